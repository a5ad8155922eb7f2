#!/usr/bin/env bash
# Installs the project into .venv-test and runs its unit and functional tests.
# The last line counts them; the exit status is 0 when all passed.
set -euo pipefail
cd "$(dirname "$0")/.."
. tools/common.sh

make_venv .venv-test
install -r test-requirements.txt -e .

export PATH="$PWD/.venv-test/bin:$PATH"
# stestr would take the Python that this names instead of the one that has the
# project.
unset PYTHON
status=0
passed=0 failed=0 skipped=0
for kind in unit functional; do
    path=openstack_rca/tests/$kind
    printf '\nTests in %s\n' "$path" >&2
    # A record of this run alone: "stestr last" must not tell of an older one.
    record=$venv/stestr-$kind
    rm -rf "$record"
    mkdir -p "$record"
    ran=0
    stestr --repo-url "$record" --test-path "./$path" run "$@" || ran=1
    if ! read -r p f s < <(
            stestr --repo-url "$record" last --subunit 2> /dev/null |
                python tools/count_results.py); then
        printf '\n%s: no test was run in %s\n' "$0" "$path" >&2
        # An argument may well choose tests of one kind only.
        [ "$#" -gt 0 ] || status=1
        continue
    fi
    [ "$ran" -eq 0 ] && [ "$f" -eq 0 ] || status=1
    passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
done

printf '\n%d passed, %d failed, %d skipped\n' "$passed" "$failed" "$skipped"
if [ "$((passed + failed))" -eq 0 ]; then
    fail "No test was run."
fi
exit "$status"
