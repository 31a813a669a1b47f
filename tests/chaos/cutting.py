"""The wire that is cut: `python -m tests.chaos.cutting DIRECTORY TARGET FIGURES SEED`.

This process listens in a directory as a server does. It forwards all bytes to the real server at `TARGET` and back.
It cuts most connections after a random number of bytes. It ends at SIGTERM and writes its counts to `FIGURES`.
"""

import asyncio
import json
import signal
import socket
import sys
from collections import Counter
from contextlib import suppress
from enum import Enum
from pathlib import Path
from random import Random
from typing import Final, final

import attrs

from tests.shells.support import NAME

_PIECE: Final = 65536  # The largest number of bytes to forward at once.


class _CutError(Exception):
    """The connection is cut in both directions."""


class Way(Enum):
    """The ways to cut a wire."""

    CLOSE = "closed"
    RESET = "reset"
    """Closed with bytes that were not read: the writer's system calls fail."""
    HALF = "half closed"
    """This direction ends, the other goes on."""


@final
@attrs.frozen
class Cut:
    """The place and the way to cut one direction of a connection."""

    left: float
    way: Way


def cuts(random: Random) -> tuple[Cut, Cut]:
    """The cuts for the bytes from a client and for those to it. Mostly one of them comes, after a few bytes up to a million."""
    never = Cut(float("inf"), Way.CLOSE)
    if random.random() < 0.1:
        return never, never
    cut = Cut(int(10 ** random.uniform(0.5, 6)), random.choice(list(Way)))
    return (cut, never) if random.random() < 0.5 else (never, cut)


def behind_frames(data: bytes) -> bytes:
    """The bytes after the last whole frame."""
    at = 0
    while True:
        content = at + 2 + int.from_bytes(data[at : at + 2]) + 4
        end = content + int.from_bytes(data[content - 4 : content]) + 1
        if not content <= end <= len(data) or content > len(data):
            return data[at:]
        at = end


async def hand_on(source: socket.socket, target: socket.socket, cut: Cut, figures: Counter[str]) -> None:
    """Forward bytes in one direction until they end or the wire is cut."""
    loop = asyncio.get_running_loop()
    left, under_way = cut.left, b""
    while left and (data := await loop.sock_recv(source, int(min(left, _PIECE)))):
        await loop.sock_sendall(target, data)
        left -= len(data)
        under_way = behind_frames(under_way + data)
    if not left:
        figures["connections cut mid-frame" if under_way else "connections cut between frames"] += 1
        figures[f"connections {cut.way.value}"] += 1
        match cut.way:
            case Way.CLOSE:
                raise _CutError
            case Way.RESET:
                await loop.sock_recv(source, 1)  # More bytes came. The wire reads only one.
                raise _CutError
            case Way.HALF:
                pass
    target.shutdown(socket.SHUT_WR)


async def connect_through(client: socket.socket, target: str, random: Random, figures: Counter[str]) -> None:
    """Forward one connection until both directions have ended."""
    up, down = cuts(random)
    with client, socket.socket(socket.AF_UNIX) as server:
        try:
            client.setblocking(False)
            server.setblocking(False)
            server.connect(target)
            async with asyncio.TaskGroup() as group:
                group.create_task(hand_on(client, server, up, figures))
                group.create_task(hand_on(server, client, down, figures))
        except* (OSError, _CutError):
            pass


async def serve(listener: socket.socket, target: str, random: Random, figures: Counter[str]) -> None:
    """Accept connections until the task is cancelled."""
    loop = asyncio.get_running_loop()
    serving = asyncio.current_task()
    assert serving is not None
    loop.add_signal_handler(signal.SIGTERM, serving.cancel)
    async with asyncio.TaskGroup() as group:
        while True:
            client, _ = await loop.sock_accept(listener)
            group.create_task(connect_through(client, target, random, figures))


def main(directory: str, target: str, result: str, seed: str) -> None:
    figures = Counter[str]()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(Path(directory, f"{NAME}.sock")))
        listener.listen()
        listener.setblocking(False)
        with suppress(asyncio.CancelledError):
            asyncio.run(serve(listener, target, Random(f"{seed} cutting"), figures))  # noqa: S311 - repeatable, not secret
    Path(result).write_text(json.dumps(figures))


if __name__ == "__main__":
    main(*sys.argv[1:])
