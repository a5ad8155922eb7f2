#!/usr/bin/env bash
# Installs the project with its engine into .venv-test, Keystone into
# .venv-keystone, and runs the unit and functional tests. Servers that are not
# installed (see bindep.txt) are told with the tests that were left out; with
# CI=true or RCA_REQUIRE_SERVERS=1 such tests fail instead. The last line
# counts all tests; the exit status is 0 when none failed.
set -euo pipefail
cd "$(dirname "$0")/.."
. tools/common.sh

# Beside the other installation: pip uses one processor.
tools/keystone.sh &
keystone=$!
# It is not left behind when the other one fails.
trap 'wait "$keystone" || true' EXIT
make_venv .venv-test
install -r test-requirements.txt -e '.[engine]'
wait "$keystone"

export PATH="$PWD/.venv-test/bin:$PATH"
# stestr would take the Python that this names instead of the one that has the
# project.
unset PYTHON
# What the servers of this run say is kept here.
export RCA_SERVER_LOGS=$PWD/$venv/servers
rm -rf "$RCA_SERVER_LOGS"
status=0
passed=0 failed=0 skipped=0
left_out=$venv/left-out failures=$venv/failures
: > "$left_out"
: > "$failures"
for kind in unit functional; do
    path=openstack_rca/tests/$kind
    printf '\nTests in %s\n' "$path" >&2
    # A record of this run alone: "stestr last" must not tell of an older one.
    record=$venv/stestr-$kind
    rm -rf "$record"
    mkdir -p "$record"
    python tools/slow_tests.py "$record"
    ran=0
    stestr --repo-url "$record" --test-path "./$path" run "$@" || ran=1
    if ! read -r p f s < <(
            stestr --repo-url "$record" last --subunit 2> /dev/null |
                python tools/results.py count); then
        printf '\n%s: no test was run in %s\n' "$0" "$path" >&2
        # An argument may well choose tests of one kind only.
        [ "$#" -gt 0 ] || status=1
        continue
    fi
    python tools/results.py skipped >> "$left_out" < <(
        stestr --repo-url "$record" last --subunit 2> /dev/null)
    python tools/results.py failed >> "$failures" < <(
        stestr --repo-url "$record" last --subunit 2> /dev/null)
    [ "$ran" -eq 0 ] && [ "$f" -eq 0 ] || status=1
    passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
done

if [ -s "$left_out" ]; then
    printf '\nLeft out:\n'
    cat "$left_out"
fi
if [ -s "$failures" ]; then
    printf '\nFailed:\n'
    cat "$failures"
fi
printf '\n%d passed, %d failed, %d skipped\n' "$passed" "$failed" "$skipped"
if [ "$((passed + failed))" -eq 0 ]; then
    fail "No test was run."
fi
exit "$status"
