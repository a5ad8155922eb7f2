#!/usr/bin/env bash
# Installs Keystone, which the functional tests ask for tokens, into
# .venv-keystone: its exact versions are its own business, see
# tools/keystone-constraints.txt. Nothing is done when it is there.
set -euo pipefail
cd "$(dirname "$0")/.."
. tools/common.sh

constraints=tools/keystone-constraints.txt
wanted=.venv-keystone
if cmp -s "$constraints" "$wanted/built" &&
        "$wanted/bin/python" -c 'import keystone, pyuwsgi' 2> /dev/null; then
    exit 0
fi
# An older one goes: pip would not take out what is no longer needed.
rm -rf "$wanted"
make_venv "$wanted"
install keystone pyuwsgi
# Last: without this file it is not used.
cp "$constraints" "$wanted/built"
