"""Fixtures for pytest. Your top-level `conftest.py` loads them: `pytest_plugins = ["ipcfold.testing.plugin"]`.

- `ipc`: an `IPC` of its own for each test, in a temporary directory with a short path.
- `aio_ipc`, `aio_serve`: the same for `async` tests. `async with aio_serve(handler, carry) as server:` serves in the loop of the test.
- `serve`: starts servers on threads, and ends them with the test. The test fails if a server fails whose result it does not read.

A test that fails shows the events of its servers, and the transcript of its last simulation.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, contextmanager
from tempfile import TemporaryDirectory
from threading import Condition
from traceback import format_stack
from typing import TYPE_CHECKING, Any, Final, Generic, Protocol, TypeVar, final

import attrs
import pytest
from returns.result import Failure, Result, Success

from ipcfold import IPC, Handler, HandlerFailed, ListenError, Name, Process, TimedOut, cases
from ipcfold.continuation import Leaving, Waking
from ipcfold.events import Connected, Disconnected, Event, Folded, Listening, Refused, Stopping
from ipcfold.testing.simulation import kept

if TYPE_CHECKING:
    from ipcfold import aio
    from ipcfold.testing import aio as aio_testing

C = TypeVar("C")
T = TypeVar("T")
E = TypeVar("E", Listening, Connected, Refused, Folded, Disconnected, Stopping)

_SERVER: Final = Name("server")


@final
class Running(Generic[C]):
    """A server on a thread."""

    def __init__(
        self,
        ipc: IPC,
        name: Name,
        handler: Handler[C],
        carry: C,
        patience: float,
        left: Leaving[C] | None = None,
        woken: Waking[C] | None = None,
    ) -> None:
        """`serve` makes these."""
        self._patience = patience
        self.name = name
        self.events = list[Event]()
        """The events of the server so far, as an observer gets them."""
        self._ipc = ipc
        self._asked = False
        self._told = Condition()
        self._server = attrs.evolve(ipc, observe=self._observe).listen(name).start(carry, handler, left, woken)

    def connect(self) -> Process:
        """Connect to the server. The test fails here if the server has ended."""
        match cases(self._ipc.get(self.name)):
            case Success(process):
                return process
            case Failure(error):
                raise AssertionError(str(error))

    def until(self, kind: type[E], count: int = 1) -> list[E]:
        """Wait until there are `count` events of this kind, and return them."""
        return self._until(lambda: found if len(found := [event for event in self.events if isinstance(event, kind)]) >= count else None)

    def stop(self) -> Result[C, ListenError[C]]:
        """End the server in good order, as a signal does, and return its result."""
        self._asked = True
        self._server.stop()
        match cases(self._server.result(self._patience)):
            case Success(carry):
                return Success(carry)
            case Failure(error):
                assert not isinstance(error, TimedOut), self._stuck()  # noqa: S101 - as for every other wait, the test fails
                return Failure(error)

    def finish(self) -> None:
        """End the server. Raise if it failed and the test did not call `stop`."""
        asked = self._asked
        match cases(self.stop()):
            case Failure(error) if not asked:
                raise AssertionError(str(error)) from (error.error if isinstance(error, HandlerFailed) else None)
            case _:
                pass

    def _observe(self, event: Event) -> None:
        with self._told:
            self.events.append(event)
            self._told.notify_all()
        if self._ipc.observe is not None:
            self._ipc.observe(event)

    def _until(self, found: Callable[[], T | None]) -> T:
        with self._told:
            self._told.wait_for(lambda: found() is not None, self._patience)
            result = found()
        if result is None:
            raise AssertionError(self._stuck())
        return result

    def _stuck(self) -> str:
        """Where the server is, for the report of a test that waited for it in vain."""
        frame = sys._current_frames().get(self._server.thread.ident or 0)  # noqa: SLF001 - the documented way to another thread's stack
        where = "".join(format_stack(frame)) if frame is not None else "it has ended"
        return f"the server {str(self.name)!r} got no further within {self._patience:g} s:\n{where}"


class Serve(Protocol):
    """The type of the fixture `serve`."""

    def __call__(
        self, handler: Handler[C], carry: C, name: Name = ..., *, left: Leaving[C] | None = ..., woken: Waking[C] | None = ...
    ) -> Running[C]:
        """Start a server of this handler and first carry, and return it once it listens. Its default name is `server`."""
        ...


_SERVERS: Final = pytest.StashKey[list[Running[Any]]]()  # Any: servers of every carry


@pytest.fixture
def ipc() -> Iterator[IPC]:
    """An `IPC` in a directory of its own, whose path is short enough for sockets."""
    with TemporaryDirectory(prefix="ipc") as directory:
        yield IPC(directory)


@contextmanager
def serving(ipc: IPC, servers: list[Running[Any]] | None = None, *, patience: float = 60.0) -> Iterator[Serve]:  # Any: as above
    """The same as the fixture `serve`, for your own fixtures and for examples of Hypothesis.

    Each server is appended to `servers`. `patience`: the seconds after which a test that still waits for a server fails. It then
    shows where the server is stuck.
    """
    with ExitStack() as ending:

        def serve(
            handler: Handler[C],
            carry: C,
            name: Name = _SERVER,
            *,
            left: Leaving[C] | None = None,
            woken: Waking[C] | None = None,
        ) -> Running[C]:
            server = Running(ipc, name, handler, carry, patience, left, woken)
            if servers is not None:
                servers.append(server)
            ending.callback(server.finish)
            return server

        yield serve


@pytest.fixture
def serve(ipc: IPC, request: pytest.FixtureRequest) -> Iterator[Serve]:
    """Starts servers at `ipc`: `serve(handler, carry)`. They end with the test."""
    with serving(ipc, request.node.stash.setdefault(_SERVERS, [])) as serve:
        yield serve


@pytest.fixture
def aio_ipc(ipc: IPC) -> aio.IPC:
    """An `aio.IPC` in the directory of `ipc`."""
    from ipcfold import aio  # noqa: PLC0415 - few tests need it

    return aio.IPC(ipc.directory)


@pytest.fixture
def aio_serve(aio_ipc: aio.IPC) -> aio_testing.Serve:
    """Starts servers in the loop of the test, whichever plugin runs it: `async with aio_serve(handler, carry) as server:`."""
    from ipcfold.testing.aio import Serve  # noqa: PLC0415 - few tests need it

    return Serve(aio_ipc)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol() -> Generator[None, object, object]:
    """Keep the simulations of a test for its report."""
    token = kept.set([])
    try:
        return (yield)
    finally:
        kept.reset(token)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add the events of servers and the last simulation to the report of a failed test."""
    report = yield
    if report.failed:
        report.sections += [
            (f"ipcfold server {server.name}", "\n".join(map(str, server.events))) for server in item.stash.get(_SERVERS, [])
        ]
        report.sections += [("ipcfold simulation", str(simulation)) for simulation in (kept.get() or [])[-1:]]
    return report
