#!/usr/bin/env bash
# Versions: nats-py 2.16.0, CPython 3.11 to 3.13, Linux 6.18 on x86-64.
#
# `nats.connect(url, allow_reconnect=False)` to a port where nobody listens. One expects the refusal of the system at once.
# It tries the same server again every two seconds, 60 times, so for two minutes. `allow_reconnect` has no part in that.
# `connect_timeout` is for one attempt. With `max_reconnect_attempts=-1` it never returns.
#
# Source: nats/aio/client.py, `_select_next_server`; observed.
set -euo pipefail
directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
"${PYTHON:-python3}" -m venv "$directory/venv"
"$directory/venv/bin/pip" install -q nats-py==2.16.0
"$directory/venv/bin/python" - <<'PYTHON'
import asyncio
import socket
import time

import nats


async def main():
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # it does not listen, so the system refuses connections
        address = "nats://127.0.0.1:%d" % closed.getsockname()[1]
        refused = []

        async def say(error):
            refused.append(error)

        began = time.monotonic()
        try:
            await asyncio.wait_for(nats.connect(address, allow_reconnect=False, connect_timeout=1, error_cb=say), 7)
            outcome = "connected"
        except TimeoutError:
            outcome = "still trying"
        except Exception as error:
            outcome = repr(error)
        print(f"{outcome} after {time.monotonic() - began:.1f} s and {len(refused)} refusals")
        assert outcome == "still trying"
        assert len(refused) >= 3
        assert all(isinstance(error, ConnectionRefusedError) for error in refused)


asyncio.run(main())
PYTHON
