"""A server that runs on a thread of its own, and can be stopped from outside."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from pathlib import Path
from threading import Condition, Thread, get_ident
from types import TracebackType
from typing import Generic, TypeVar, final

from returns.result import Failure, Result, Success

from ipcfold.errors import ListenError, SystemFailure, TimedOut, UsedAfterFork
from ipcfold.local.exits import AtExit
from ipcfold.local.release import Ending
from ipcfold.peer import Name
from ipcfold.result import cases

C = TypeVar("C")


@final
class Running(Generic[C]):
    """A server on a thread of its own. As a context manager it stops the server at the end, and waits for it.

    Nothing here raises for a server that cannot listen or has failed: `started` and `result` are results. If a program reads neither, a
    `RuntimeWarning` says what has happened.
    """

    __slots__ = ("_at_exit", "_changed", "_engine", "_listens", "_misused", "_name", "_owner", "_result", "_seen", "_thread")

    def __init__(self, name: Name, drain: float, serve: Callable[[Callable[[Ending], object]], Result[C, ListenError[C]]]) -> None:
        """`Server.start` makes these."""
        self._name = name
        self._owner = os.getpid()
        self._changed = Condition()
        self._engine: Ending | None = None
        self._listens = False
        self._result: Result[C, ListenError[C]] | None = None
        self._misused: TypeError | None = None
        self._seen = False  # whether the program knows how it ended
        self._thread = Thread(target=self._run, args=(serve,), name=f"ipcfold server {name}", daemon=True)
        self._at_exit = AtExit(drain)
        try:
            self._thread.start()
        except (RuntimeError, MemoryError) as error:
            reason, advice = str(error) or "there is no memory left", "check this user's limits"
            self._result = Failure(SystemFailure("start a thread for", Path(str(name)), reason, advice))
            return
        with self._changed:
            self._changed.wait_for(lambda: self._listens or self._result is not None)
        if self._misused is not None:
            self._seen = True
            raise self._misused

    def __repr__(self) -> str:
        ended = self._result
        state = "is ending" if ended is None else f"has ended with {ended}"
        if os.getpid() == self._owner and (engine := self._engine) is not None and engine.accepting is not False:
            state = "listens" if engine.accepting else "stands by"
        return f"<Running: the server {str(self._name)!r} {state}>"

    @property
    def name(self) -> Name:
        """The name of the server."""
        return self._name

    @property
    def thread(self) -> Thread:
        """The thread that serves."""
        return self._thread

    @property
    def started(self) -> Result[Running[C], ListenError[C]]:
        """This server, if clients could connect to it, or it stands by; or else why not, such as `NameTaken`.

        So `start(carry, handler).started.unwrap()` raises where a program cannot go on without its server.
        """
        result = self._result
        if self._listens or result is None:
            return Success(self)
        self._seen = True
        return result.map(lambda _: self)

    @property
    def listening(self) -> bool:
        """Whether clients can connect now."""
        engine = self._engine
        return engine is not None and engine.accepting is True and os.getpid() == self._owner  # a forked child has no server

    def stop(self) -> None:
        """End the server in good order, as a signal does, without waiting for its end. Any thread may call this, also its handler."""
        if os.getpid() == self._owner:  # first, because a forked child may inherit the lock locked
            with self._changed:
                if self._engine is not None:
                    self._engine.end()

    def result(self, timeout: float | None = None) -> Result[C, ListenError[C] | TimedOut]:
        """The result of the server, once it has ended; `timeout` in seconds, `None` for as long as it takes.

        The thread that serves, which is that of the handler, never waits.
        """
        if os.getpid() != self._owner:
            return Failure(UsedAfterFork(self._name, self._owner))
        result = self._wait(timeout)
        if result is None:
            return Failure(TimedOut(self._name, timeout or 0.0, "the end of"))
        self._seen = True
        match cases(result):
            case Success(carry):
                return Success(carry)
            case Failure(error):
                return Failure(error)

    def __enter__(self) -> Running[C]:
        if not self._listens:
            self._warn("does not listen")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()
        if os.getpid() == self._owner:
            self._wait(None)

    def __del__(self) -> None:
        self._warn("has ended")

    def _wait(self, timeout: float | None) -> Result[C, ListenError[C]] | None:
        with self._changed:
            if get_ident() != self._thread.ident:  # the handler, which would wait for itself
                self._changed.wait_for(lambda: self._result is not None, timeout)
            return self._result

    def _warn(self, what: str) -> None:
        """Tell the program of a failure that it does not look for."""
        if not self._seen and isinstance(self._result, Failure) and os.getpid() == self._owner:
            self._seen = True
            warnings.warn(f"the server {str(self._name)!r} {what}: {self._result.failure()}", RuntimeWarning, stacklevel=3)

    def _run(self, serve: Callable[[Callable[[Ending], object]], Result[C, ListenError[C]]]) -> None:
        result: Result[C, ListenError[C]] | None = None
        try:
            result = serve(self._begun)
        except BaseException as error:
            if os.getpid() != self._owner:  # an exception of the handler in a forked child
                raise
            self._misused = error if isinstance(error, TypeError) else None
            reason, advice = str(error) or "there is no memory left", "check this user's limits"
            result = Failure(SystemFailure("serve as", Path(str(self._name)), reason, advice))
        finally:
            if os.getpid() == self._owner:
                with self._changed:
                    self._engine, self._result = None, result
                    self._changed.notify_all()
                self._at_exit.over()

    def _begun(self, engine: Ending) -> None:
        self._at_exit.begin(engine.end)
        with self._changed:
            if self._engine is not None and self._engine.accepting is False:  # it stood by, and was told to stop meanwhile
                engine.end()
            self._engine, self._listens = engine, True
            self._changed.notify_all()
