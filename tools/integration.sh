#!/usr/bin/env bash
# Brings up a real OpenStack, the engine and the API beside it, plays faults
# and judges the incidents: tools/integration.sh [smoke|all|SCENARIO ...]. The
# cloud is kept in .cloud, so that the next run is faster; its figures are in
# .cloud/check/table.txt. The last line counts the tests; the exit status is 0
# when none failed. Missing servers are installed, where this user may.
set -euo pipefail
cd "$(dirname "$0")/.."
. tools/common.sh

make_venv .venv-test
install -r test-requirements.txt -e '.[engine]'
export PATH="$PWD/.venv-test/bin:$PATH"
unset PYTHON

folder=${RCA_INTEGRATION_FOLDER:-$PWD/.cloud}
export RCA_INTEGRATION_FOLDER=$folder
export RCA_INTEGRATION="${*:-smoke}"
if [ "$RCA_INTEGRATION" = smoke ]; then
    export RCA_INTEGRATION_BRIEF=${RCA_INTEGRATION_BRIEF:-1}
fi
# A scenario is one test, and lasts minutes.
export OS_TEST_TIMEOUT=${OS_TEST_TIMEOUT:-1800}
rm -f "$folder/check/table.txt"
python -m tools.cloud --folder "$folder" install --packages

record=$venv/stestr-integration
rm -rf "$record"
mkdir -p "$record"
status=0
stestr --repo-url "$record" --test-path ./openstack_rca/tests/integration \
    run || status=1
if [ -f "$folder/check/table.txt" ]; then
    printf '\n'
    cat "$folder/check/table.txt"
fi
if ! read -r passed failed skipped < <(
        stestr --repo-url "$record" last --subunit 2> /dev/null |
            python tools/results.py count); then
    fail "No test was run."
fi
if [ "$failed" -gt 0 ]; then
    printf '\nFailed:\n'
    python tools/results.py failed < <(
        stestr --repo-url "$record" last --subunit 2> /dev/null)
fi
printf '\n%d passed, %d failed, %d skipped\n' "$passed" "$failed" "$skipped"
[ "$failed" -eq 0 ] || status=1
exit "$status"
