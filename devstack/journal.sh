#!/usr/bin/env bash
# Writes what DevStack's services log, as they log it, where the engine can
# read it: DevStack logs to the journal alone.
#
# A restart begins the file anew, with all of the last day, so that nothing is
# in it twice and it does not grow for ever.
set -euo pipefail

if [[ "$#" -ne 1 || ! -d "$1" ]]; then
    printf 'usage: %s FOLDER\n' "$0" >&2
    exit 2
fi
# It holds the text of the logs.
umask 077
exec journalctl --output json --all --no-pager --since "1 day ago" --no-tail \
    --follow --unit 'devstack@*' > "$1/journal.json"
