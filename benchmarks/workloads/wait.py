"""How late a client that waits finds a server that starts, and what waiting costs.

The time runs from the server's last step before it listens, by the clock that all processes of a machine share, to the
client's having been greeted. Both processes are up before, so that no start of an interpreter is in it.
"""

from __future__ import annotations

from collections.abc import Iterator
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from time import monotonic, process_time, sleep
from typing import Final

import attrs

from benchmarks.contestant import PATIENCE
from benchmarks.peers.ipcfold import NAME, serve
from benchmarks.plan import Plan
from benchmarks.processes import end, placements
from benchmarks.results import Better, Table
from benchmarks.workloads.rounds import Field, Found, table
from ipcfold import IPC, Message, Name

_SPAWN: Final = get_context("spawn")
_UP: Final = 0.0
_HEAD_START: Final = 0.05
"""Seconds that a client has been waiting for at least."""


def serve_when_told(directory: str, orders: Connection) -> None:
    """The server's process: it says when it starts to listen, and ends with the message that stops it."""
    orders.send(_UP)
    while orders.recv():
        orders.send(monotonic())
        serve(directory)


def wait_when_told(directory: str, orders: Connection) -> None:
    """The client's process: it says when it has found the server, which it stops."""
    orders.send(_UP)
    while orders.recv():
        process = IPC(directory).wait(NAME, PATIENCE).unwrap()
        orders.send(monotonic())
        process.send(Message.octets(b"")).unwrap()
        process.wait()


def wait_in_vain(directory: str, seconds: float, orders: Connection) -> None:
    """Another client's process: it says which share of a core it needed."""
    orders.send(_UP)
    while orders.recv():
        began = process_time()
        IPC(directory).wait(Name("nobody"), seconds)
        orders.send((process_time() - began) / seconds * 100)


def measured(field: Field, plan: Plan, directory: Path) -> Iterator[Table]:
    """Its tables."""
    late, shares = Found(field), Found(field)
    for index, _ in enumerate(field.contestants):
        _measure(late, shares, index, plan, directory)
    placement = placements()[-1]
    yield table("wait", "from a server's listening to the return of `wait`", placement, "ms", Better.LOWER, late.figures())
    vain = table("wait", "the processor's time while waiting", placement, "% of a core", Better.LOWER, shares.figures())
    yield attrs.evolve(vain, compared=False)


def _measure(late: Found, shares: Found, index: int, plan: Plan, directory: Path) -> None:
    path = directory / str(index)
    path.mkdir(mode=0o700)
    (server, served), (client, waits), (other, vain) = _SPAWN.Pipe(), _SPAWN.Pipe(), _SPAWN.Pipe()
    processes = [
        _SPAWN.Process(target=serve_when_told, args=(str(path), served), daemon=True),
        _SPAWN.Process(target=wait_when_told, args=(str(path), waits), daemon=True),
        _SPAWN.Process(target=wait_in_vain, args=(str(path), plan.watched, vain), daemon=True),
    ]
    try:
        for process in processes:
            process.start()
        for orders in (server, client, other):
            _heard(orders)
        for number in range(plan.rounds * 3):
            client.send(True)
            sleep(_HEAD_START + number % 7 * 0.003)  # not always at the same point between two looks
            server.send(True)
            late.attempt(index, lambda: _passed(_heard(server), _heard(client)))
        for _ in range(min(plan.rounds, 3)):
            other.send(True)
            shares.attempt(index, lambda: _heard(other))
    finally:
        for orders in (server, client, other):
            orders.send(False)
        for process in processes:
            end(process, 1)


def _passed(began: float, ended: float) -> float:
    return (ended - began) * 1000


def _heard(orders: Connection) -> float:
    if not orders.poll(PATIENCE):
        raise OSError("no answer")
    value: float = orders.recv()
    return value
