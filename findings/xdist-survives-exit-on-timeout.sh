#!/usr/bin/env bash
# Versions: CPython 3.11, pytest 9.2.0, pytest-xdist 3.8.0.
#
# pytest has faulthandler_exit_on_timeout on, and one of four tests takes longer than faulthandler_timeout.
# One expects that the option ends the run, with workers and without.
# Without workers it does: there is no summary, and the tests behind the slow one never run.
# With one worker of pytest-xdist only the worker ends. The slow test is reported as crashed, and a new worker runs the others.
# So the two together are a time limit for each test that takes no other test with it.
#
# Source: observed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
unset PYTEST_ADDOPTS CI
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check 'pytest==9.2.0' 'pytest-xdist==3.8.0'
cat > "$work/test_slow.py" <<'EOF'
import time


def test_before():
    pass


def test_slow():
    time.sleep(30)


def test_after():
    pass


def test_last():
    pass
EOF
printf '[pytest]\nfaulthandler_timeout = 3\nfaulthandler_exit_on_timeout = true\n' > "$work/pytest.ini"
cd "$work"
for workers in 0 1; do
    status=0
    "$work/venv/bin/python" -m pytest -q -p no:cacheprovider -n "$workers" test_slow.py > "out$workers" 2> "err$workers" || status=$?
    echo "-n $workers: exit status $status, last line: $(tail -n 1 "out$workers")"
    [ "$status" = 1 ]
done
if grep -q passed out0; then exit 1; fi
grep -q "worker 'gw0' crashed while running 'test_slow.py::test_slow'" out1
grep -q '^1 failed, 3 passed' out1
