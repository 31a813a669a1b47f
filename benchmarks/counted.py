"""An end of a connection whose instructions are counted: `python -m benchmarks.counted END PLACE`.

The place is a directory for sockets, or the descriptor of a socket for an end of `multiprocessing.connection`.

It does each workload twice, with a mark after each time. What is made only once is made in the first time, so the second
one counts. A mark is a call of `os.getppid`, see `counted.c`.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final

from ipcfold import IPC, Continuation, Message, Name

NAME: Final = Name.of("counted").unwrap()
MESSAGE: Final = Message.text("x" * 64)
MESSAGES: Final = 400  # of each time
BATCH: Final = 100  # messages under way at once; as many pass the socket in one piece, and so do their answers
HEARTBEAT: Final = 3600.0  # seconds, so that none comes

CLIENT: Final = {"round trip": 1, "ask": 1, "pipelined": BATCH}
SERVER: Final = {"round trip": 1, "pipelined": BATCH}
"""The workloads of each end, and how many messages are under way at once."""


def _client(directory: Path) -> None:
    process = IPC(directory, heartbeat=HEARTBEAT).wait(NAME).unwrap()
    batch = [MESSAGE] * BATCH

    def round_trip() -> None:
        for _ in range(MESSAGES):
            process.send(MESSAGE)
            process.wait()

    def ask() -> None:
        for _ in range(MESSAGES):
            process.ask(MESSAGE)

    def pipelined() -> None:
        for _ in range(MESSAGES // BATCH):
            process.send(*batch)
            for _ in batch:
                process.wait()

    _twice(round_trip, ask, pipelined)


def _server(directory: Path) -> None:
    def echo(message: Message, continuation: Continuation[int], carry: int) -> Continuation[int]:
        if not carry % MESSAGES:
            os.getppid()
            if carry == 2 * len(SERVER) * MESSAGES:
                os._exit(0)
        return continuation.respond(carry + 1, message)

    IPC(directory, heartbeat=HEARTBEAT).listen(NAME)(0, echo).unwrap()


def converse(connection: Connection) -> None:
    """A round trip of `multiprocessing.connection`, as often as a workload has messages."""
    for _ in range(MESSAGES):
        connection.send_bytes(MESSAGE.content)
        connection.recv_bytes()


def answer(connection: Connection) -> None:
    """The other end of it."""
    for _ in range(MESSAGES):
        connection.send_bytes(connection.recv_bytes())


def _twice(*workloads: Callable[[], None]) -> None:
    os.getppid()
    for workload in workloads:
        for _ in range(2):
            workload()
            os.getppid()


if __name__ == "__main__":
    gc.disable()  # a collection costs what there is of other modules
    match sys.argv[1:]:
        case ["client", directory]:
            _client(Path(directory))
        case ["server", directory]:
            _server(Path(directory))
        case ["peer's client", descriptor]:
            _twice(partial(converse, Connection(int(descriptor))))
        case ["peer's server", descriptor]:
            _twice(partial(answer, Connection(int(descriptor))))
        case _:
            raise SystemExit(__doc__)
    os._exit(0)  # threads that sleep do not end
