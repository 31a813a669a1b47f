#!/usr/bin/env bash
# Versions: CPython 3.11, Linux 6.18.
#
# A server holds a record lock and listens on a unix socket. It is killed, and another process waits for its lock.
# One expects the server's socket to be closed by the time the lock is free, above all as its descriptor is the lower one.
# The kernel drops record locks while it walks over the descriptors, and closes the files only after that walk.
# So whoever gets the lock can still connect to the dead server, and learns of its death by a reset only.
# How often it happens depends on the machine. The script tries until it sees it, at most 300 times.
#
# Source: observed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat > "$work/server.py" <<'EOF'
import fcntl
import os
import resource
import socket
import sys

limit = min(resource.getrlimit(resource.RLIMIT_NOFILE)[1] % 2**63, 100_000)
resource.setrlimit(resource.RLIMIT_NOFILE, (limit, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[1] + "/socket")
listener.listen(8)
lock = os.open(sys.argv[1] + "/lock", os.O_RDWR | os.O_CREAT)
fcntl.lockf(lock, fcntl.LOCK_EX)
assert listener.fileno() < lock
for _ in range(limit - lock - 10):  # the more there are, the longer is the walk
    os.dup(2)
print("ready", flush=True)
sys.stdin.read()
EOF
cat > "$work/show.py" <<'EOF'
import fcntl
import os
import socket
import subprocess
import sys

work = sys.argv[1]
for attempt in range(1, 301):
    server = subprocess.Popen([sys.executable, work + "/server.py", work], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert server.stdout.readline() == b"ready\n"
    client = socket.socket(socket.AF_UNIX)
    with open(work + "/lock", "r+") as lock:
        server.kill()
        fcntl.lockf(lock, fcntl.LOCK_EX)
        refused = client.connect_ex(work + "/socket")
    server.wait()
    os.unlink(work + "/socket")
    if not refused:
        try:
            ended = client.recv(1) == b""
        except ConnectionResetError:
            ended = True
        assert ended
        print(f"attempt {attempt}: the lock is free, and the dead server's socket still accepts a connection")
        sys.exit(0)
sys.exit("the dead server's socket refused whoever had its lock, 300 times")
EOF
timeout 55 "${PYTHON:-python3}" "$work/show.py" "$work"
