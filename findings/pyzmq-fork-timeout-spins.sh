#!/usr/bin/env bash
# Versions: pyzmq 27.3.0 with libzmq 4.3.5, CPython 3.11.
#
# A process forks, and the child calls recv on a socket of its parent that has a receive timeout of 0.3 seconds.
# One expects zmq.Again after 0.3 seconds, or an error that tells of the fork.
# recv never returns, and uses a whole core meanwhile. send succeeds, and its message never leaves the child.
# libzmq knows its process: each wait in a child ends at once with EINTR. pyzmq takes EINTR for a signal, and waits anew, as PEP 475 says.
# The timeout starts anew each time.
#
# Source: signaler.cpp of libzmq and PEP 475, each on its own; that they meet in this way is observed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check 'pyzmq==27.3.0'
cat > "$work/show.py" <<'EOF'
import os
import signal
import sys
import time

import zmq

context = zmq.Context()
server, client = context.socket(zmq.ROUTER), context.socket(zmq.DEALER)
server.bind(f"ipc://{sys.argv[1]}/socket")
client.connect(f"ipc://{sys.argv[1]}/socket")
server.rcvtimeo = client.rcvtimeo = 300
server.linger = client.linger = 0
client.send(b"before")
server.recv_multipart()
read, write = os.pipe()
child = os.fork()
if not child:
    began, used = time.monotonic(), time.process_time()

    def tell(*_):
        os.write(write, f"{time.monotonic() - began:.1f} {time.process_time() - used:.1f}".encode())
        os._exit(0)

    client.send(b"of the child")
    signal.signal(signal.SIGALRM, tell)
    signal.alarm(3)
    try:
        client.recv()
    except zmq.Again:
        os.write(write, b"ended")
    os._exit(0)
os.waitpid(child, 0)
waited, _, burnt = os.read(read, 100).decode().partition(" ")
print(f"a timeout of 0.3 s: after {waited} s recv had not returned, and had used a core for {burnt} s")
try:
    came = server.recv_multipart()
except zmq.Again:
    came = None
print(f"what the child sent: {came}")
client.send(b"after")
after = server.recv_multipart()[1]
print(f"what the parent sent then: {after}")
assert float(waited) >= 2.9
assert float(burnt) > 0.5
assert came is None
assert after == b"after"
EOF
timeout 30 "$work/venv/bin/python" "$work/show.py" "$work"
