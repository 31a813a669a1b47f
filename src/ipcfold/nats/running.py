"""Servers for programs that block: each runs an event loop of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from threading import Condition, Thread, get_ident
from types import TracebackType
from typing import Any, Generic, TypeVar, final

import attrs
from returns.result import Failure, Result, Success

from ipcfold.continuation import Handler, Leaving, Waking
from ipcfold.errors import TimedOut
from ipcfold.log import Snapshots
from ipcfold.nats.errors import ListenError
from ipcfold.nats.server import Server as LoopServer
from ipcfold.peer import Name
from ipcfold.result import cases

C = TypeVar("C")


@final
class Running(Generic[C]):
    """A server on a thread of its own. As a context manager it stops the server at the end, and waits for it."""

    def __init__(self, name: Name, serving: Coroutine[Any, Any, Result[C, ListenError[C]]]) -> None:
        """`Server.start` makes these."""
        self._name = name
        self._serving = serving
        self._changed = Condition()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[Result[C, ListenError[C]]] | None = None
        self._stopped = False
        self._ended = False
        self._result: Result[C, ListenError[C]] | None = None
        self._error: BaseException | None = None
        self._thread = Thread(target=self._run, name=f"ipcfold server {name}", daemon=True)
        self._thread.start()
        with self._changed:
            self._changed.wait_for(lambda: self._task is not None or self._ended)

    def _run(self) -> None:
        async def serve() -> Result[C, ListenError[C]]:
            with self._changed:
                self._loop, self._task = asyncio.get_running_loop(), asyncio.current_task()
                self._changed.notify_all()
            return await self._serving

        result: Result[C, ListenError[C]] | None = None
        try:
            with asyncio.Runner() as runner:
                result = runner.run(serve())
        except BaseException as error:  # noqa: BLE001 - whoever asks for the result gets it
            self._error = error
        with self._changed:
            self._result, self._loop, self._ended = result, None, True
            self._changed.notify_all()

    @property
    def name(self) -> Name:
        """The name of the server."""
        return self._name

    def stop(self) -> None:
        """End the server in good order, without waiting for its end. Any thread may call this, also its handler."""
        with self._changed:
            if self._loop is not None and self._task is not None and not self._stopped:
                self._stopped = True  # to cancel the task again would interrupt its end
                self._loop.call_soon_threadsafe(self._task.cancel)

    def result(self, timeout: float | None = None) -> Result[C, ListenError[C] | TimedOut]:
        """The result of the server, once it has ended; `timeout` in seconds, `None` for as long as it takes.

        The thread that serves, which is that of the handler, never waits.
        """
        with self._changed:
            if get_ident() != self._thread.ident:
                self._changed.wait_for(lambda: self._ended, timeout)
            result = self._result
        if self._error is not None:
            raise self._error
        if result is None:
            return Failure(TimedOut(self._name, timeout or 0.0, "the end of"))
        match cases(result):
            case Success(carry):
                return Success(carry)
            case Failure(error):
                return Failure(error)

    def __enter__(self) -> Running[C]:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()
        self.result()


@final
@attrs.frozen
class Server:
    """A server that has not started. Calling it with the first carry and the handler blocks until the server ends."""

    server: LoopServer

    @property
    def name(self) -> Name:
        """Its name."""
        return self.server.name

    def adopting(self) -> Server:
        """The same server, whose handler may answer what is in the stream in another way than it did, from now on.

        The stream says that, too. Other servers that run with the old handler end when they notice.
        """
        return Server(self.server.adopting())

    def __call__(
        self,
        carry: C,
        handler: Handler[C],
        left: Leaving[C] | None = None,
        woken: Waking[C] | None = None,
        *,
        snapshots: Snapshots[C] | None = None,
    ) -> Result[C, ListenError[C]]:
        """Fold the handler over every message of the stream; returns the carry so far, or the error.

        `carry` is the one at the beginning of the stream. All servers of a name must have the same, and the same functions. They are called
        on each of the servers, and must be pure.

        `snapshots`: how the leader keeps the carry in the stream, so that a server that starts folds only what came later.
        """
        with asyncio.Runner() as runner:
            return runner.run(self.server(carry, handler, left, woken, snapshots=snapshots))

    def start(
        self,
        carry: C,
        handler: Handler[C],
        left: Leaving[C] | None = None,
        woken: Waking[C] | None = None,
        *,
        snapshots: Snapshots[C] | None = None,
    ) -> Running[C]:
        """Serve on a thread of its own. This returns at once: `NATS.wait` waits until clients can connect. No signal ends such a server."""
        return Running(self.name, self.server(carry, handler, left, woken, snapshots=snapshots))
