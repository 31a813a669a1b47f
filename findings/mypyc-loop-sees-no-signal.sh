#!/usr/bin/env bash
# Versions: mypy 2.4.1 with mypyc, CPython 3.11. It wants a C compiler.
#
# A loop waits for a flag that a signal's handler or another thread sets. It has a limit of 1.5 seconds.
# It is compiled by mypyc, without a change, and calls time.monotonic in each turn.
# One expects the same end: mypyc calls the same functions and holds the same lock as the interpreter.
# Compiled code never looks for signals, nor gives the lock up to another thread. The flag is not set before the loop ends.
# Only a call into code of the interpreter, or one that releases the lock, lets either run.
#
# Source: mypyc issue 579 asks for a check of Ctrl-C in compiled code; observed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check 'mypy[mypyc]==2.4.1' 'setuptools==80.9.0'
mkdir "$work/interpreted" "$work/compiled"
cat > "$work/interpreted/waiting.py" <<'EOF'
import time

flag: list[bool] = []


def seen_within(seconds: float) -> bool:
    end = time.monotonic() + seconds
    while not flag:
        if time.monotonic() > end:
            return False
    return True
EOF
cat > "$work/show.py" <<'EOF'
import signal
import threading

import waiting


def by_signal():
    waiting.flag.clear()
    signal.signal(signal.SIGALRM, lambda *_: waiting.flag.append(True))
    signal.setitimer(signal.ITIMER_REAL, 0.2)
    return waiting.seen_within(1.5)


def by_thread():
    waiting.flag.clear()
    timer = threading.Timer(0.2, waiting.flag.append, [True])
    timer.start()
    seen = waiting.seen_within(1.5)
    timer.join()
    return seen


print("a signal is seen:", by_signal(), "- a thread is seen:", by_thread())
EOF
cd "$work/compiled"
cp ../interpreted/waiting.py .
MYPYC_OPT_LEVEL=0 "$work/venv/bin/mypyc" waiting.py > log 2>&1 || { cat log; exit 1; }
rm waiting.py # what is left is the compiled module
for how in interpreted compiled; do
    PYTHONPATH=$work/$how "$work/venv/bin/python" "$work/show.py" > "$work/$how/out"
    echo "$how: $(cat "$work/$how/out")"
done
grep -qx 'a signal is seen: True - a thread is seen: True' "$work/interpreted/out"
grep -qx 'a signal is seen: False - a thread is seen: False' "$work/compiled/out"
