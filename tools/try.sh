#!/usr/bin/env bash
# Installs the project with its engine into .venv-try and asks it about the
# recorded incident in examples/no-valid-host.
set -euo pipefail
cd "$(dirname "$0")/.."
. tools/common.sh

example=examples/no-valid-host
[ -f "$example/ISSUE" ] && [ -d "$example/logs" ] || fail "\
The recorded incident $example is missing. Is this a complete checkout?"

make_venv .venv-try
# What an earlier build left would be installed along.
rm -rf build/lib
install '.[engine]'

issue=$(cat "$example/ISSUE")
printf '$ openstack rca analyze --issue "%s" --log-dir %s\n' \
    "$issue" "$example/logs" >&2
exec .venv-try/bin/openstack rca analyze --issue "$issue" \
    --log-dir "$example/logs"
