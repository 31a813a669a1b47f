"""The loop of a server: it takes the turns of the engine on the thread that called it, and calls the handler."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable
from time import monotonic
from typing import Final, Generic, TypeVar, final

from returns.curry import partial
from returns.pipeline import flow
from returns.result import Failure, Result

from ipcfold.blocking.flusher import Flusher
from ipcfold.continuation import Handler
from ipcfold.core.fold import Ask
from ipcfold.errors import HandlerFailed, SystemFailure, UsedAfterFork
from ipcfold.local.claim import Claim
from ipcfold.local.engine import Engine
from ipcfold.local.signals import handled
from ipcfold.local.stream import LONGEST_SLEEP
from ipcfold.peer import Name
from ipcfold.result import flat_map

C = TypeVar("C")

_BURST: Final = 0.001  # seconds of folding after which the sockets are checked again, because another client may have sent something


class _ForkedError(Exception):
    """The handler returned in a child process that it forked. The child must not serve."""


@final
class Loop(Generic[C]):
    """One run of a server."""

    def __init__(self, name: Name, claim: Claim, engine: Engine[C], handler: Handler[C]) -> None:
        self._name = name
        self._claim = claim
        self._engine = engine
        self._handler = handler
        self._owner = os.getpid()
        self._flusher = Flusher(engine.flush)
        self._signalled = False
        self._interruptible = False  # whether the handler runs: nothing else can be interrupted without harm

    def serve(
        self, signals: Iterable[signal.Signals], mode: int, period: float
    ) -> Result[C, HandlerFailed[C] | UsedAfterFork | SystemFailure]:
        """Serve until the fold ends, at a socket of that mode, and check every `period` seconds that it is in its place."""
        engine = self._engine
        try:
            # A process that sees the socket may send a signal, so the signal handlers are installed first.
            with handled(signals, self._end, self._interrupt, engine.wake):
                listening = flow(self._claim.publish(mode), flat_map(partial(engine.listen, period)))
                return flow(listening, flat_map(self._served))
        except _ForkedError:
            return Failure(UsedAfterFork(self._name, self._owner))
        finally:
            if not engine.forked:
                self._flusher.end()
            engine.close()

    def _served(self, _: None) -> Result[C, HandlerFailed[C]]:
        engine, asked = self._engine, None
        while asked is not None or not engine.over:
            try:
                if asked is not None:
                    self._fold(asked)
                asked = engine.turn(LONGEST_SLEEP)
            except KeyboardInterrupt:  # from the handler
                self._interruptible = False
                if engine.forked:
                    raise
                self._flusher.take_back()  # if the interrupt came before that was done
                asked = None
                engine.interrupted()
        return engine.result()

    def _fold(self, asked: Ask[C] | None) -> None:
        """Ask the handler for a burst of messages. A burst lasts at least as long as the work on the sockets before it."""
        engine, handler, flusher = self._engine, self._handler, self._flusher
        now, owing = monotonic(), False
        until = now + max(_BURST, now - engine.woken)
        while asked is not None and now < until:
            message, continuation = asked
            lent = owing and flusher.lend()
            if owing and not lent:
                engine.flush()  # without a flusher nothing can be written while the handler runs
            failure: BaseException | None = None
            since = monotonic() if engine.observed else now
            self._interruptible = True
            try:
                continuation = handler(message, continuation, continuation.carry)
            except KeyboardInterrupt:
                raise
            except BaseException as error:  # the handler is the user's code: whatever it raises ends the fold
                if engine.forked:
                    raise  # in a forked child the exception leaves the server
                failure = error
            finally:
                self._interruptible = False
                if lent and not engine.forked:
                    flusher.take_back()
            if failure is not None:
                engine.failed(failure)
                return
            if engine.forked:
                raise _ForkedError
            now = monotonic()
            asked, owing = engine.answered(continuation, now, since), True

    def _end(self) -> None:
        """End in good order after a signal. A second signal means that the handler is stuck, so it is interrupted."""
        if self._signalled:
            self._interrupt()
        self._signalled = True
        self._engine.end()

    def _interrupt(self) -> None:
        """Interrupt the handler. If other code runs, it finishes first, and then the server ends."""
        if self._interruptible:
            raise KeyboardInterrupt
        self._signalled = True
        self._engine.end()
