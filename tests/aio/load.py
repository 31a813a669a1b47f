"""A web application with two workers over one server, under load: `python -m tests.aio.load SECONDS [RATE] [LOOP] [SEED]`.

RATE is the number of requests a second to try for. One in twenty clients goes away before it has its answer. The command exits with
status 1 if anything was lost, doubled or left behind, or if a worker printed a warning.
"""

import asyncio
import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
from collections import Counter
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic
from typing import final

import attrs
from returns.result import Success

from ipcfold import Continuation, Message, aio
from ipcfold.events import Connected, Event
from tests.aio.support import run, serving
from tests.environment import PLAIN, ROOT

_CLIENTS = 40
_LEAVES = 0.05
_HEAD = b"POST / HTTP/1.1\r\nHost: here\r\nContent-Length: %d\r\n\r\n%b"


@final
@attrs.frozen
class Load:
    """How many requests to make, by how many clients, and at most how many a second."""

    requests: int
    clients: int = _CLIENTS
    rate: float = float("inf")


@final
@attrs.frozen
class Seen:
    """What happened."""

    answered: int
    left: int
    """Clients that went away."""
    folded: int
    cancelled: int
    """Questions that the workers cancelled."""
    wrong: list[str]
    """What must not be."""
    seconds: float

    def __str__(self) -> str:
        done = self.answered + self.left
        return (
            f"{done:,} requests in {self.seconds:.0f} s, {done / self.seconds:,.0f} a second: {self.answered:,} answered, "
            f"{self.left:,} clients gone, {self.cancelled:,} questions cancelled, {self.folded:,} messages folded; wrong: {self.wrong}"
        )


class Client:
    """A client with a connection that it keeps until it goes away."""

    def __init__(self, path: Path) -> None:
        self._path = str(path)
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """The streams of this client."""
        if self._streams is None:
            self._streams = await asyncio.open_unix_connection(self._path)
        return self._streams

    async def request(self, body: bytes, *, stays: bool) -> bytes | None:
        """The answer to a request; `None` if this client goes away before it comes."""
        reader, writer = await self.open()
        writer.write(_HEAD % (len(body), body))
        if not stays:
            await self.close()
            return None
        head = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head)
        assert length is not None, head
        answer = await reader.readexactly(int(length[1]))
        return answer if b" 200 " in head.splitlines()[0] else head + answer

    async def close(self) -> None:
        """Go away."""
        if self._streams is not None:
            self._streams[1].close()
            with suppress(ConnectionError):
                await self._streams[1].wait_closed()
            self._streams = None


async def loaded(directory: Path, load: Load, seed: int) -> Seen:
    """Put this load on an application."""
    chance = random.Random(seed)  # noqa: S311 - to be repeated
    path = directory / "web"
    folded, known, counts, wrong = Counter[bytes](), list[bytes](), Counter[str](), list[str]()
    up = asyncio.Event()

    async def handler(message: Message, continuation: Continuation[int], count: int) -> Continuation[int]:
        folded[message.content] += 1
        await asyncio.sleep(0)
        return continuation.respond(count + 1, message)

    def observe(event: Event) -> None:
        if isinstance(event, Connected) and event.peer.pid != os.getpid():
            up.set()

    async def use(number: int, began: float) -> None:
        client = Client(path)
        for turn in range(load.requests // load.clients):
            await asyncio.sleep(max(0.0, began + turn * load.clients / load.rate - monotonic()))
            body = b"%d %d" % (number, turn)
            answer = await client.request(body, stays=chance.random() > _LEAVES)
            if answer is None:
                counts["left"] += 1
            elif answer == body:
                known.append(body)
            else:
                wrong.append(f"{body!r} got {answer!r}")
        await client.close()

    async with serving(aio.IPC(directory, observe=observe), handler, 0) as server:
        web = _started(directory, path)
        reading = asyncio.create_task(asyncio.to_thread(web.communicate))
        try:
            await up.wait()
            began = monotonic()
            await asyncio.gather(*(use(number, began) for number in range(load.clients)))
            seconds = monotonic() - began
        finally:
            web.send_signal(signal.SIGTERM)
            _, printed = await reading
    cancelled = 0
    for line in printed.splitlines():
        if line.startswith("{"):
            cancelled += json.loads(line)["cancelled"]
            wrong += [f"{what} left: {count}" for what, count in json.loads(line).items() if what != "cancelled" and count > 0]
        elif (
            re.search("Warning: (?!Enable)|Traceback|Task", line) and f"laddr={path}" not in line
        ):  # uvicorn leaves its listener to the end
            wrong.append(line)
    wrong += [f"lost: {body!r}" for body in known if not folded[body]]
    wrong += [f"folded {times} times: {body!r}" for body, times in folded.items() if times > 1]
    if server.result() != Success(len(folded)):
        wrong.append(f"the carry is {server.result()}, not {len(folded)}")
    return Seen(len(known), counts["left"], len(folded), cancelled, wrong, seconds)


def _started(directory: Path, path: Path) -> subprocess.Popen[str]:
    """The application, which is about to accept at this path. Its socket listens already, so that nobody needs to try."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen(_CLIENTS)
        served = ["--workers", "2", "--fd", str(listener.fileno()), "--log-level", "warning"]
        return subprocess.Popen(
            [sys.executable, "-m", "uvicorn", "tests.aio.web:app", *served],
            cwd=ROOT,
            env=_environment(directory),
            pass_fds=[listener.fileno()],
            stderr=subprocess.PIPE,
            text=True,
        )


def _environment(directory: Path) -> dict[str, str]:
    return {**PLAIN, "IPCFOLD_DIRECTORY": str(directory), "PYTHONWARNINGS": "default::ResourceWarning"}


def main(seconds: str, rate: str = "2000", loop: str = "uvloop", seed: str = "") -> int:
    """Say what happened."""
    chosen = int(seed or random.randrange(2**32))  # noqa: S311 - a seed
    print(f"seed {chosen}", flush=True)  # noqa: T201 - its purpose
    load = Load(int(float(seconds) * float(rate)), rate=float(rate))
    with TemporaryDirectory(prefix="ipc") as directory:
        seen = run(lambda: loaded(Path(directory), load, chosen), loop, patience=3600.0)
    print(seen)  # noqa: T201 - as above
    return 1 if seen.wrong else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
