"""Fixtures for pytest, for whoever asks for them in the `conftest.py` at the top: `pytest_plugins = ["ipcfold.testing.plugin"]`.

- `ipc`: an `IPC` of its own for each test, in a short temporary directory.
- `serve`: starts servers on threads, ends them with the test, and fails it if one failed that nobody asked about.

A test that fails shows what its servers did, and the transcript of its last simulation.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from tempfile import TemporaryDirectory
from threading import Event as Flag
from typing import Any, Final, Generic, Protocol, TypeVar, final

import attrs
import pytest
from returns.result import Failure, Result

from ipcfold import IPC, Continuation, Handler, HandlerFailed, ListenError, MediaType, Message, Name, Process
from ipcfold.events import Event
from ipcfold.testing.simulation import kept

C = TypeVar("C")

_SERVER: Final = Name("server")
_STOP: Final = Message(MediaType("application", "vnd.ipcfold.test-stop"), b"")
_PATIENCE: Final = 30.0  # seconds until something is stuck that takes milliseconds


@final
class Running(Generic[C]):
    """A server on a thread."""

    def __init__(self, ipc: IPC, name: Name, handler: Handler[C], carry: C, pool: ThreadPoolExecutor) -> None:
        """Made by `serve`."""
        self.name = name
        self.events = list[Event]()
        """What happened at it so far, as its observer is told."""
        self._ipc = ipc
        self._told = Flag()
        self._asked = False
        server = attrs.evolve(ipc, observe=self._observe).listen(name)
        self._future: Future[Result[C, ListenError[C]]] = pool.submit(lambda: server(carry, _stoppable(handler)))
        self._future.add_done_callback(lambda _: self._told.set())
        self._told.wait(_PATIENCE)

    def connect(self) -> Process:
        """A new connection to it."""
        return self._ipc.get(self.name).unwrap()

    def stop(self) -> Result[C, ListenError[C]]:
        """End it in good order, if it has not ended; what it returned."""
        self._asked = True
        if not self._future.done():
            self._ipc.get(self.name).map(lambda process: process.send(_STOP))
        return self._future.result(_PATIENCE)

    def finish(self) -> None:
        """End it, and raise if it failed and nobody knows."""
        asked = self._asked
        result = self.stop()
        if isinstance(result, Failure) and not asked:
            error = result.failure()
            raise AssertionError(str(error)) from (error.error if isinstance(error, HandlerFailed) else None)

    def _observe(self, event: Event) -> None:
        self.events.append(event)
        self._told.set()


class Serve(Protocol):
    """What the fixture `serve` is."""

    def __call__(self, handler: Handler[C], carry: C, name: Name = ...) -> Running[C]:
        """A server of this handler and first carry, listening; its name is `server` if none is given."""


def _stoppable(handler: Handler[C]) -> Handler[C]:
    """The handler, and an end to it from outside: only the main thread gets signals."""

    def handle(message: Message, continuation: Continuation[C], carry: C) -> Continuation[C]:
        return continuation.stop(carry) if message == _STOP else handler(message, continuation, carry)

    return handle


_SERVERS: Final = pytest.StashKey[list[Running[Any]]]()  # Any: of whatever carry


@pytest.fixture
def ipc() -> Iterator[IPC]:
    """An `IPC` in a directory of its own, whose path is short enough for sockets."""
    with TemporaryDirectory(prefix="ipc") as directory:
        yield IPC(directory)


@contextmanager
def serving(ipc: IPC, servers: list[Running[Any]] | None = None) -> Iterator[Serve]:  # Any: as above
    """What the fixture `serve` gives, for one's own fixtures and for examples of Hypothesis; `servers` gets each one."""
    with ThreadPoolExecutor(64) as pool, ExitStack() as ending:

        def serve(handler: Handler[C], carry: C, name: Name = _SERVER) -> Running[C]:
            running = Running(ipc, name, handler, carry, pool)
            if servers is not None:
                servers.append(running)
            ending.callback(running.finish)
            return running

        yield serve


@pytest.fixture
def serve(ipc: IPC, request: pytest.FixtureRequest) -> Iterator[Serve]:
    """Starts servers at `ipc`, as `serve(handler, carry)`; they end with the test."""
    with serving(ipc, request.node.stash.setdefault(_SERVERS, [])) as serve:
        yield serve


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol() -> Generator[None, object, object]:
    """Keep the simulations of one test for its report."""
    token = kept.set([])
    try:
        return (yield)
    finally:
        kept.reset(token)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show what happened, where it went wrong."""
    report = yield
    if report.failed:
        report.sections += [
            (f"ipcfold server {running.name}", "\n".join(map(str, running.events))) for running in item.stash.get(_SERVERS, [])
        ]
        report.sections += [("ipcfold simulation", str(simulation)) for simulation in (kept.get() or [])[-1:]]
    return report
