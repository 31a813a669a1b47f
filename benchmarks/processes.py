"""The processes: every server and every client has one of its own, and the coordinator, which is the caller, tells
the clients what to do.

An order is a value that can be pickled and called with the client's `Seat`; its answer comes back, or why there is
none. A trip never crosses to the coordinator: an order is a whole round, and its answer the seconds it took.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final, Protocol, TypeVar, final

import attrs

from benchmarks.contestant import SOCKET, Client, ClientPool, Contestant, patiently
from benchmarks.system import allow_many_files, cores, place

T_co = TypeVar("T_co", covariant=True)
T = TypeVar("T")

_SPAWN: Final = get_context("spawn")
_LONGEST_ROUND: Final = 120.0  # seconds


class Failed(Exception):  # noqa: N818 - a contestant that fails is a result, too
    """A contestant's process could not do what it was told; the text says why."""


@final
class Seat:
    """What a client's process has: its contestant, where the server is, and what it made so far."""

    def __init__(self, contestant: Contestant, address: str) -> None:
        self.contestant = contestant
        self.address = address
        self._client: Client | None = None
        self._crowd: ClientPool | None = None

    @property
    def client(self) -> Client:
        """The client, connected at its first use."""
        if self._client is None:
            self._client = self.connected()
        return self._client

    def connected(self) -> Client:
        """One more client."""
        return patiently(lambda: self.contestant.connect(self.address), self.address)

    def crowd(self, clients: int, content: bytes) -> ClientPool:
        """So many clients, connected at the first use."""
        if self._crowd is None:
            self._crowd = patiently(lambda: self.contestant.crowd(self.address, clients, content), self.address)
        return self._crowd


class Order(Protocol[T_co]):
    """What to do in a client's process."""

    def __call__(self, seat: Seat, /) -> T_co: ...


@attrs.frozen
class _Failure:
    reason: str


def _prepare() -> None:
    """Before anything else in a process of a contestant."""
    allow_many_files()
    os.dup2(2, 1)  # what peers print must not get between the tables


def _obey(contestant: Contestant, address: str, orders: Connection) -> None:
    """The main function of a client's process."""
    _prepare()
    seat = Seat(contestant, address)
    while True:
        try:
            order: Order[object] | None = orders.recv()
        except EOFError:  # the coordinator is gone
            return
        if order is None:
            return
        try:
            orders.send(order(seat))
        except Exception as error:  # noqa: BLE001 - whatever a peer raises is told, and the other rows go on
            orders.send(_Failure(f"{type(error).__name__}: {error}"))


def _serve(contestant: Contestant, address: str) -> None:
    _prepare()
    contestant.serve(address)


def _serve_many(contestant: Contestant, address: str) -> None:
    _prepare()
    contestant.serve_many(address)


@final
class Worker:
    """A client's process, as the coordinator sees it."""

    def __init__(self, contestant: Contestant, address: str) -> None:
        self._orders, theirs = _SPAWN.Pipe()
        self._process = _SPAWN.Process(target=_obey, args=(contestant, address, theirs), daemon=True)
        self._process.start()
        theirs.close()
        self._silent = False

    @property
    def pid(self) -> int:
        """Its number."""
        return self._process.pid or 0

    def tell(self, order: Order[object]) -> None:
        """Have it do that, and do not wait."""
        try:
            self._orders.send(order)
        except OSError as error:
            raise Failed(f"its client is gone: {error}") from error

    def answer(self) -> object:
        """What came of what it was told."""
        if self._silent or not self._orders.poll(_LONGEST_ROUND):
            self._silent = True  # an answer that came later would be taken for that to the next order
            raise Failed(f"no answer in {_LONGEST_ROUND:.0f} s")
        try:
            answer: object = self._orders.recv()
        except (EOFError, OSError) as error:
            raise Failed("its client ended") from error
        if isinstance(answer, _Failure):
            raise Failed(answer.reason)
        return answer

    def do(self, order: Order[T], kind: type[T]) -> T:
        """Have it do that; what came of it, which is of that kind."""
        self.tell(order)
        answer = self.answer()
        if not isinstance(answer, kind):
            raise Failed(f"an answer that is no {kind.__name__}: {answer!r}")
        return answer

    def close(self) -> None:
        """End it."""
        with suppress(OSError):  # it has ended already
            self._orders.send(None)
        end(self._process, 0.5)


class _Ending(Protocol):
    def join(self, timeout: float | None = None) -> None: ...
    def is_alive(self) -> bool: ...
    def terminate(self) -> None: ...
    def kill(self) -> None: ...


def end(process: _Ending, patience: float) -> None:
    """End a process of ours, more and more firmly."""
    process.join(patience)
    for insist in (process.terminate, process.kill):
        if process.is_alive():
            insist()
            process.join(3)


@final
class Pair:
    """A server and a client of one contestant."""

    def __init__(self, contestant: Contestant, directory: Path, serve: Callable[[Contestant, str], None]) -> None:
        directory.mkdir(mode=0o700, parents=True)
        self.contestant = contestant
        self.address = str(directory / SOCKET)
        self._server = _SPAWN.Process(target=serve, args=(contestant, self.address), daemon=True)
        self._server.start()
        self.client = Worker(contestant, self.address)
        self._more: list[Worker] = []

    @property
    def server(self) -> int:
        """The number of the server's process."""
        return self._server.pid or 0

    def because(self, failure: Failed) -> Failed:
        """The failure, with what is known about the server."""
        if self._server.is_alive():
            return failure
        return Failed(f"{failure}; its server has ended, with code {self._server.exitcode}")

    def another_client(self) -> Worker:
        """One more client's process, which ends with the pair."""
        self._more.append(Worker(self.contestant, self.address))
        return self._more[-1]

    def place(self, placement: Placement) -> None:
        """Keep the processes where the placement says."""
        try:
            place(self.client.pid, placement.client)
            place(self.server, placement.server)
        except OSError as error:
            raise Failed(f"its process is gone: {error}") from error

    def close(self) -> None:
        """End all of its processes."""
        for client in (self.client, *self._more):
            client.close()
        end(self._server, 0)


@contextmanager
def pairs(contestants: list[Contestant], directory: Path, *, many: bool = False) -> Iterator[list[Pair]]:
    """A running server and client of each; `many` where the server is to have many clients."""
    with ExitStack() as stack:
        started: list[Pair] = []
        for index, contestant in enumerate(contestants):
            started.append(Pair(contestant, directory / str(index), _serve_many if many else _serve))
            stack.callback(started[-1].close)
        yield started


@attrs.frozen
class Placement:
    """Where to run, which decides more than anything: waking another core costs tens of microseconds."""

    title: str
    client: set[int]
    server: set[int]


def placements() -> list[Placement]:
    """All there are here."""
    everywhere = cores()
    free = Placement("wherever the system puts them", set(everywhere), set(everywhere))
    one, *others = everywhere
    apart = [Placement("on two cores", {one}, {other}) for other in others[:1]]
    return [Placement("on one core", {one}, {one}), *apart, free]


def usual_placement() -> Placement:
    """The one for workloads that are measured in one only: two cores, if there are."""
    return placements()[-2]
