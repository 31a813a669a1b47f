"""A server that has not started: it takes the name, and then runs the loop."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from threading import current_thread, main_thread
from typing import TYPE_CHECKING, TypeVar, final

import attrs
from returns.curry import partial
from returns.pipeline import flow
from returns.result import Failure, Result, Success

from ipcfold.blocking.connecting import probe
from ipcfold.blocking.running import Running
from ipcfold.continuation import Handler, Leaving, Waking
from ipcfold.core.functions import Handlers
from ipcfold.errors import HandlerFailed, ListenError, LogEnded, NameTaken, SystemFailure, UsedAfterFork
from ipcfold.local.claim import Claim
from ipcfold.local.exits import AtExit, Exits
from ipcfold.local.names import found
from ipcfold.local.release import surely
from ipcfold.local.unstarted import Unstarted
from ipcfold.result import cases, flat_map

if TYPE_CHECKING:
    from ipcfold.local.engine import Engine
    from ipcfold.local.logged import Opening  # few servers have a log
    from ipcfold.local.standby import Standby  # few servers stand by
    from ipcfold.log.snapshots import Snapshots

C = TypeVar("C")


@final
@attrs.frozen
class Server(Unstarted):
    """A server that has not started. Calling it with the first carry and the handler blocks until the server ends."""

    def __call__(
        self,
        carry: C,
        handler: Handler[C],
        left: Leaving[C] | None = None,
        woken: Waking[C] | None = None,
        *,
        snapshots: Snapshots[C] | None = None,
    ) -> Result[C, ListenError[C]]:
        """Fold the handler over every message; returns the last carry, or the error.

        - `left(peer, continuation, carry)` is folded once for each client that connected, after its last message. It can tell
          others, but it has nobody to respond to: that is a failure of the handler.
        - `woken(continuation, carry)` is folded when the time has come that the last `continuation.wake(carry, at)` asked for. It is
          never early. A handler that runs makes it late; so does what waited when the last alarm was folded, which comes first.
        - `snapshots`: how to keep the carry in the log, if there is a log.

        Folding ends with a `stop` of the handler, one of the signals, or the timeout; then every client is asked
        to close and has `limits.drain` seconds to confirm. Departures are still folded, and alarms are not.

        On another thread than the main one it also ends in good order when Ctrl-C or an exit has interrupted the main
        thread and Python waits for this thread, and before the interpreter ends.
        """
        handlers = Handlers(handler, left, woken)
        at_exit = AtExit(self.settings.limits.drain)

        def begun(engine: Engine[C]) -> None:
            if current_thread() is main_thread():
                engine.speak()
            else:
                engine.duty = Exits()
                at_exit.begin(engine.end)

        def waits(standby: Standby[C]) -> None:
            if current_thread() is not main_thread():
                standby.duty = Exits()
                at_exit.begin(standby.end)

        try:
            return self.serve(carry, handlers, begun, snapshots, waits)
        finally:
            at_exit.over()

    def start(
        self,
        carry: C,
        handler: Handler[C],
        left: Leaving[C] | None = None,
        woken: Waking[C] | None = None,
        *,
        snapshots: Snapshots[C] | None = None,
    ) -> Running[C]:
        """Serve on a thread of its own. This returns when clients can connect, or when the server cannot serve.

        No signal ends such a server. It ends when `stop` is called, and in good order when the interpreter ends.

        >>> from tempfile import TemporaryDirectory
        >>> from ipcfold import IPC, Message, Name
        >>> def count(message, continuation, counter):
        ...     return continuation.respond(counter + 1, Message.text("pong"))
        >>> with TemporaryDirectory() as directory, IPC(directory).listen(Name("counter")).start(0, count) as server:
        ...     with IPC(directory).get(Name("counter")).unwrap() as process:
        ...         response = process.ask(Message.text("ping"))
        >>> server.result()
        <Success: 1>
        """
        handlers = Handlers(handler, left, woken)
        return Running(self.name, self.settings.limits.drain, lambda begun: self.serve(carry, handlers, begun, snapshots, begun))

    def serve(
        self,
        carry: C,
        handlers: Handlers[C],
        begun: Callable[[Engine[C]], object],
        snapshots: Snapshots[C] | None = None,
        waits: Callable[[Standby[C]], object] = lambda _: None,
    ) -> Result[C, ListenError[C]]:
        """Serve, and call `begun` when clients can connect, and `waits` before that if the server stands by."""
        opening = self.opening(carry, snapshots, left=handlers.left is not None, woken=handlers.woken is not None)
        return flow(opening, flat_map(partial(self._placed, carry, handlers, begun, waits)))

    def _placed(
        self,
        carry: C,
        handlers: Handlers[C],
        begun: Callable[[Engine[C]], object],
        waits: Callable[[Standby[C]], object],
        opening: Opening[C] | None,
    ) -> Result[C, ListenError[C]]:
        try:
            return flow(
                self.path(),
                flat_map(partial(self._claim, handlers, waits, opening)),
                flat_map(partial(self._claimed, carry, handlers, begun, opening)),
            )
        finally:
            if opening is not None:
                opening.recovery.leave()

    def _claim(
        self, handlers: Handlers[C], waits: Callable[[Standby[C]], object], opening: Opening[C] | None, path: Path
    ) -> Result[Claim, NameTaken | SystemFailure | LogEnded[C]]:
        """The name, at once or once it is free."""
        if not self.standby:
            claimed: Result[Claim, NameTaken | SystemFailure | LogEnded[C]] = flow(Claim.of(self.name, path), flat_map(Success))
            return claimed
        match cases(self.stand_by(path, opening, "ipcfold.blocking.loop")):
            case Success(standby):
                waits(standby)
                return standby.claim(self.signals, lambda asked: handlers(*asked))
            case Failure(error):
                return Failure(error)

    def _claimed(
        self, carry: C, handlers: Handlers[C], begun: Callable[[Engine[C]], object], opening: Opening[C] | None, claim: Claim
    ) -> Result[C, ListenError[C]]:
        try:
            free = found(self.free(claim), probe(self.settings.heartbeat, self.settings.limits, self.settings.trust))
            return flow(free, flat_map(partial(self._run, carry, handlers, begun, opening)))
        finally:
            try:
                surely(claim.release)
            except MemoryError:  # for the call itself
                surely(claim.release)

    def _run(
        self, carry: C, handlers: Handlers[C], begun: Callable[[Engine[C]], object], opening: Opening[C] | None, claim: Claim
    ) -> Result[C, HandlerFailed[C] | UsedAfterFork | SystemFailure | LogEnded[C]]:
        try:
            # Clients never need these modules, and importing them takes a quarter of the time to import this library.
            from ipcfold.blocking.loop import Loop  # noqa: PLC0415 - clients never need it

            ready = self.engine(carry, claim, opening, left=handlers.left is not None, woken=handlers.woken is not None)
        except OSError as unread:  # for example no descriptor is left
            return Failure(SystemFailure("serve at", claim.path, unread.strerror or str(unread)))
        match cases(ready):
            case Success(engine):
                engine.listens = partial(begun, engine)
                return Loop(self.name, claim, engine, handlers).serve(self.signals, self.mode, self.settings.heartbeat)
            case Failure(error):
                return Failure(error)
