#!/usr/bin/env bash
# Writes constraints.txt anew: resolves everything in an empty virtual
# environment and freezes it. The header of the file is kept.
set -euo pipefail
cd "$(dirname "$0")/.."

venv=$(mktemp -d)
trap 'rm -rf "$venv"' EXIT
python3 -m venv "$venv"
# Pinned by hand: see the header of constraints.txt.
pinned=(torch==2.13.0 SQLAlchemy==2.0.52 'sphinx<9.1')
"$venv/bin/pip" install "${pinned[@]}" '.[engine]' \
    -r test-requirements.txt -r doc/requirements.txt \
    codespell doc8 hacking import-linter mypy psutil ruff types-jsonschema \
    types-PyMySQL types-PyYAML
"$venv/bin/pip" check

new=$(grep '^#' constraints.txt
      "$venv/bin/pip" freeze --exclude openstack_rca |
          sed 's/^\(torch==[0-9.]*\)+.*/\1/')
printf '%s\n' "$new" > constraints.txt
