#!/usr/bin/env bash
# Versions: CPython 3.11 to 3.13, Linux 6.18.
#
# A socket has SO_RCVTIMEO of 0.3 seconds, and a signal with a Python handler arrives each 0.1 seconds.
# One expects recv to end after 0.3 seconds: PEP 475 says that Python retries with what is left of a timeout.
# Python knows nothing of SO_RCVTIMEO. It calls recv anew after each signal, and the kernel starts the whole time anew.
# The call lasts as long as the signals come more often than the timeout. settimeout ends in time.
#
# Source: PEP 475 and socket(7), each on its own; that they meet in this way is observed.
set -euo pipefail
timeout 30 "${PYTHON:-python3}" - <<'EOF'
import signal
import socket
import struct

SIGNALS = 20
count = 0


def counts(number, frame):
    global count
    count += 1
    if count == SIGNALS:
        signal.setitimer(signal.ITIMER_REAL, 0)


def signals_during_recv(prepare):
    global count
    count = 0
    end, other = socket.socketpair()
    prepare(end)
    signal.setitimer(signal.ITIMER_REAL, 0.1, 0.1)
    try:
        end.recv(1)
    except OSError as error:
        return count, type(error).__name__
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


signal.signal(signal.SIGALRM, counts)
kernel = signals_during_recv(lambda end: end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", 0, 300_000)))
python = signals_during_recv(lambda end: end.settimeout(0.3))
print("SO_RCVTIMEO of 0.3 s: signals, one each 0.1 s, until recv ended:", *kernel)
print("settimeout(0.3):      signals, one each 0.1 s, until recv ended:", *python)
assert kernel == (SIGNALS, "BlockingIOError")  # only the end of the signals ended it
assert python[0] < SIGNALS and python[1] == "TimeoutError"
EOF
