#!/usr/bin/env bash
# Versions: uvicorn 0.54.0, CPython 3.11 to 3.13.
#
# A program may wait until the socket of uvicorn is there (`--uds PATH`), and then connect.
# With one worker that works: uvicorn makes the socket once the application has started.
# With `--workers 2` the parent binds the socket first, and a worker listens at it only after the start of the application.
# Until then the path is there, and each client is refused.
#
# Source: `bind_socket` of uvicorn/config.py, called before the workers start, and `startup` of uvicorn/server.py.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check 'uvicorn==0.54.0'
cat > "$work/app.py" <<'EOF'
import asyncio
import os


async def app(scope, receive, send):
    assert scope["type"] == "lifespan"
    await receive()
    print("starts", flush=True)
    while not os.path.exists("go"):
        await asyncio.sleep(0.01)
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await send({"type": "lifespan.shutdown.complete"})
EOF
cat > "$work/show.py" <<'EOF'
import os
import signal
import socket
import subprocess
import sys
import time


def attempt():
    with socket.socket(socket.AF_UNIX) as client:
        try:
            client.connect("web.sock")
        except OSError as error:
            return type(error).__name__
    return "connected"


def seen(*options):
    command = [sys.executable, "-m", "uvicorn", "app:app", "--uds", "web.sock", "--log-level", "error", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as web:
        web.stdout.readline()  # the application starts
        before = os.path.exists("web.sock"), attempt()
        open("go", "w").close()
        while attempt() != "connected":
            time.sleep(0.01)
        web.send_signal(signal.SIGTERM)
        web.communicate()
    os.remove("go")
    if os.path.exists("web.sock"):
        os.remove("web.sock")
    return before


one, two = seen(), seen("--workers", "2")
print("one worker, while the application starts: (path, client)", one)
print("two workers", two)
assert one == (False, "FileNotFoundError")
assert two == (True, "ConnectionRefusedError")
EOF
cd "$work"
"$work/venv/bin/python" "$work/show.py"
