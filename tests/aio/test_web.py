"""A web application with two workers over one server, under load: nothing is lost, also if clients go away."""

import asyncio
import os
import random
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from returns.result import Success

from ipcfold import Continuation, Message, aio
from ipcfold.events import Connected, Event
from tests.aio.support import run, serving
from tests.environment import PLAIN, ROOT

pytest.importorskip("uvicorn")
pytest.importorskip("starlette")

CLIENTS, REQUESTS = 20, 25


def test_an_application_with_two_workers_loses_nothing_though_clients_go_away(directory: Path) -> None:
    socket = directory / "web"
    command = ["uvicorn", "tests.aio.web:app", "--workers", "2", "--uds", str(socket), "--log-level", "warning"]
    environment = {**PLAIN, "IPCFOLD_DIRECTORY": str(directory), "PYTHONWARNINGS": "default::ResourceWarning"}
    folded = list[bytes]()
    known = list[bytes]()
    chance = random.Random(0)  # noqa: S311 - to be repeated

    async def handler(message: Message, continuation: Continuation[int], count: int) -> Continuation[int]:
        folded.append(message.content)
        await asyncio.sleep(0)
        return continuation.respond(count + 1, message)

    async def request(body: bytes, *, stays: bool) -> None:
        reader, writer = await asyncio.open_unix_connection(str(socket))
        writer.write(b"POST / HTTP/1.0\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
        if stays:
            answer = await reader.read()
            assert answer.rpartition(b"\r\n\r\n")[2] == body
            known.append(body)
        writer.close()
        await writer.wait_closed()

    async def client(number: int) -> None:
        for turn in range(REQUESTS):
            await request(b"%d %d" % (number, turn), stays=chance.random() > 0.05)

    async def main() -> None:
        up = asyncio.Event()

        def observe(event: Event) -> None:
            if isinstance(event, Connected) and event.peer.pid != os.getpid():
                up.set()  # a worker has connected, so the socket of the application is there

        ipc = aio.IPC(directory, observe=observe)
        async with serving(ipc, handler, 0) as server:
            web = subprocess.Popen([sys.executable, "-m", *command], cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True)
            try:
                await up.wait()
                await asyncio.gather(*map(client, range(CLIENTS)))
            finally:
                web.send_signal(signal.SIGTERM)
                _, printed = await asyncio.to_thread(web.communicate)
            warned = [line for line in printed.splitlines() if re.search("Warning: (?!Enable)|Traceback|Task", line)]
            assert [line for line in warned if f"laddr={socket}" not in line] == []  # uvicorn leaves its own listener to the end
        assert server.result() == Success(len(folded))
        assert len(folded) == len(set(folded))
        assert set(known) <= set(folded)

    run(main)
