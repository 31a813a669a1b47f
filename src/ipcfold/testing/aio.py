"""Servers in the event loop of a test. It works with every plugin that runs `async` tests, such as those of anyio and pytest-asyncio."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final, Generic, TypeVar, final

import attrs
from returns.result import Failure, Result, Success

from ipcfold import HandlerFailed, ListenError, Name, aio, cases
from ipcfold.events import Connected, Disconnected, Event, Folded, Listening, Refused, Stopping

C = TypeVar("C")
E = TypeVar("E", Listening, Connected, Refused, Folded, Disconnected, Stopping)

_SERVER: Final = Name("server")
_PATIENCE: Final = 60.0  # seconds after which a test that still waits fails


@final
class Running(Generic[C]):
    """A server in the event loop of a test."""

    def __init__(self, ipc: aio.IPC, name: Name) -> None:
        """`serving` makes these."""
        self.name = name
        self.events = list[Event]()
        """The events of the server so far, as an observer gets them."""
        self._ipc = ipc
        self._changed = asyncio.Event()
        self._asked = False
        self._task: asyncio.Task[Result[C, ListenError[C]]] | None = None

    async def connect(self) -> aio.Process:
        """Connect to the server. The test fails here if the server has ended."""
        match cases(await self._ipc.get(self.name)):
            case Success(process):
                return process
            case Failure(error):
                raise AssertionError(str(error))

    async def until(self, kind: type[E], count: int = 1) -> list[E]:
        """Wait until there are `count` events of this kind, and return them."""
        while len(found := [event for event in self.events if isinstance(event, kind)]) < count:
            self._changed.clear()
            try:
                async with asyncio.timeout(_PATIENCE):
                    await self._changed.wait()
            except TimeoutError:
                missing = f"{len(found)} of {count} {kind.__name__}"
                raise AssertionError(f"the server {str(self.name)!r} got no further within {_PATIENCE:g} s: {missing}") from None
        return found

    async def stop(self) -> Result[C, ListenError[C]]:
        """End the server in good order, by a cancellation of its task, and return its result."""
        self._asked = True
        return await self._end()

    async def begin(self, carry: C, handler: aio.Handler[C], left: aio.Leaving[C] | None, woken: aio.Waking[C] | None) -> None:
        """Start, and return when clients can connect or the server has failed."""
        listen = attrs.evolve(self._ipc, observe=self._observe).listen(self.name)
        self._task = asyncio.create_task(listen(carry, handler, left, woken))
        self._task.add_done_callback(lambda _: self._changed.set())
        while not self.events and not self._task.done():
            await self._changed.wait()
            self._changed.clear()

    async def finish(self) -> None:
        """End the server. Raise if it failed and the test did not call `stop`."""
        asked = self._asked
        match cases(await self._end()):
            case Failure(error) if not asked:
                raise AssertionError(str(error)) from (error.error if isinstance(error, HandlerFailed) else None)
            case _:
                pass

    async def _end(self) -> Result[C, ListenError[C]]:
        assert self._task is not None  # noqa: S101 - `begin` comes first
        if not self._task.done():
            self._task.cancel()
        await asyncio.wait([self._task])
        return self._task.result()

    def _observe(self, event: Event) -> None:
        self.events.append(event)
        self._changed.set()
        if self._ipc.observe is not None:
            self._ipc.observe(event)


@final
@attrs.frozen
class Serve:
    """Starts servers in the loop of the test: `async with serve(handler, carry) as server:`."""

    ipc: aio.IPC

    @asynccontextmanager
    async def __call__(
        self,
        handler: aio.Handler[C],
        carry: C,
        name: Name = _SERVER,
        *,
        left: aio.Leaving[C] | None = None,
        woken: aio.Waking[C] | None = None,
    ) -> AsyncIterator[Running[C]]:
        """A server of this handler and first carry, which ends with the block. The test fails if it fails and the test does not stop it."""
        server = Running[C](self.ipc, name)
        await server.begin(carry, handler, left, woken)
        try:
            yield server
        finally:
            await server.finish()
