#!/usr/bin/env bash
# Versions: CPython 3.11.7 and 3.12.1; 3.13.0 does what one expects.
#
# The main thread joins a thread that is no daemon. Ctrl-C interrupts the join, while the thread works on.
# One expects the thread to be alive, and the interpreter to wait for it at its end.
# `is_alive` is False from then on, a second join returns at once, and the interpreter ends in the middle of the thread's work.
# So what the thread does after Ctrl-C, such as saving its state, gets lost without an error. Since Python 3.13 the thread stays alive.
#
# Source: observed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat > "$work/program.py" <<'EOF'
import os
import signal
import sys
import threading
import time


def work():
    waiting.wait()
    time.sleep(0.2)  # until the main thread joins
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(1)
    print("saved", flush=True)


waiting = threading.Event()
thread = threading.Thread(target=work)
thread.start()
waiting.set()
try:
    thread.join()
except KeyboardInterrupt:
    print("alive:", thread.is_alive(), "runs:", thread.ident in sys._current_frames(), flush=True)
EOF
python=${PYTHON:-python3}
said=$(timeout 30 "$python" "$work/program.py")
echo "$("$python" --version): $said"
if "$python" -c 'import sys; sys.exit(sys.version_info >= (3, 13))'; then
    [ "$said" = "alive: False runs: True" ]
else
    [ "$said" = $'alive: True runs: True\nsaved' ]
fi
