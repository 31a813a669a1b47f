"""The cut wire: `python -m tests.chaos.cutting DIRECTORY TARGET FIGURES SEED`.

A process that listens in a directory as a server does, hands all bytes on to the real server at `TARGET` and back,
and cuts most connections after a random number of bytes. It ends with SIGTERM and writes to `FIGURES` what it did.
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

_PIECE: Final = 65536  # bytes handed on at once


class _CutError(Exception):
    """The connection ends here, in both directions."""


class Way(Enum):
    """How a wire is cut."""

    CLOSE = "closed"
    RESET = "reset"
    """Closed with bytes that were not read: the writer's system calls fail."""
    HALF = "half closed"
    """This direction ends, the other goes on."""


@final
@attrs.frozen
class Cut:
    """Where one direction of a connection is cut, and how."""

    left: float
    way: Way


def cuts(random: Random) -> tuple[Cut, Cut]:
    """What happens to the bytes from a client, and to those for it: one of both is cut, mostly, after a few bytes up to a million."""
    never = Cut(float("inf"), Way.CLOSE)
    if random.random() < 0.1:
        return never, never
    cut = Cut(int(10 ** random.uniform(0.5, 6)), random.choice(list(Way)))
    return (cut, never) if random.random() < 0.5 else (never, cut)


def behind_frames(data: bytes) -> bytes:
    """What lies behind the last whole frame: the frame under way."""
    at = 0
    while True:
        content = at + 2 + int.from_bytes(data[at : at + 2]) + 4
        end = content + int.from_bytes(data[content - 4 : content]) + 1
        if not content <= end <= len(data) or content > len(data):
            return data[at:]
        at = end


async def hand_on(source: socket.socket, target: socket.socket, cut: Cut, figures: Counter[str]) -> None:
    """Hand bytes on in one direction until they end, or the cut comes."""
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
                await loop.sock_recv(source, 1)  # more came, of which one byte is read
                raise _CutError
            case Way.HALF:
                pass
    target.shutdown(socket.SHUT_WR)


async def connect_through(client: socket.socket, target: str, random: Random, figures: Counter[str]) -> None:
    """One connection, until both directions are over."""
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
    """Accept until this is cancelled."""
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
