"""The loop of a server: it takes the turns of the engine on the thread that called it, and calls the handler."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from time import monotonic, sleep, time
from typing import TYPE_CHECKING, Any, Final, TypeVar, final

from returns.curry import partial
from returns.pipeline import flow
from returns.result import Failure, Result, Success

from ipcfold.continuation import Continuation, Handler
from ipcfold.core.fold import Ask
from ipcfold.core.functions import Handlers, driven
from ipcfold.core.transports import READ
from ipcfold.errors import HandlerFailed, LogEnded, SystemFailure, UsedAfterFork
from ipcfold.events import Ending
from ipcfold.local.calling import Calling
from ipcfold.local.claim import Claim
from ipcfold.local.client_socket import ClientSocket
from ipcfold.local.engine import Engine, ForkedError
from ipcfold.local.flusher import Flusher
from ipcfold.local.forks import wiped_by_fork
from ipcfold.local.release import surely
from ipcfold.local.signals import Handled
from ipcfold.local.stream import AT_ONCE, LONGEST_SLEEP
from ipcfold.message import Message
from ipcfold.peer import Name
from ipcfold.result import cases, flat_map

if TYPE_CHECKING:
    from ipcfold.local.logged import Rest  # few servers have a log

C = TypeVar("C")

_BURST: Final = 0.001  # seconds of folding after which the sockets are checked again, because another client may have sent something


@final
class Loop(Calling[C]):
    """One run of a server."""

    __slots__ = (
        "_claim",
        "_handlers",
        "_mark",
        "_name",
        "_owner",
        "_raised",
        "_served",
        "_signalled",
    )

    def __init__(self, name: Name, claim: Claim, engine: Engine[C], handlers: Handlers[C] | Handler[C], *, accelerate: bool = True) -> None:
        """`accelerate`: whether to use the accelerator where it is built."""
        self._name = name
        self._claim = claim
        self._handlers = handlers if isinstance(handlers, Handlers) else Handlers(handlers)
        super().__init__(engine, self._handlers.handler, Flusher(engine.flush))
        self._owner = os.getpid()
        self._mark = wiped_by_fork()
        self._signalled = False
        self._served = False  # whether clients could connect
        self._raised: BaseException | None = None  # by the handler in a forked child
        if accelerate:
            engine.accelerate(self, self.wait)

    def serve(
        self, signals: Iterable[int], mode: int, period: float
    ) -> Result[C, HandlerFailed[C] | UsedAfterFork | SystemFailure | LogEnded[C]]:
        """Serve until the fold ends, at a socket of that mode, and check every `period` seconds that it is in its place.

        Nothing that is raised here leaves, because the carry would be lost with it: the system may fail, memory may run
        out, and a signal handler of the program may raise at any step. Then the server closes everything at once.
        """
        try:
            return self._serve(signals, mode, period)
        except MemoryError as error:  # of the last steps, which are taken once more, because the others freed some
            if error is self._raised:
                raise
            surely(self.close, self._engine.wakeup.close, self._engine.conclude)
            if self._engine.forked:
                return Failure(UsedAfterFork(self._name, self._owner))
            if not self._served:
                return Failure(SystemFailure("serve at", self._claim.path, "there is no memory left"))
            return self._engine.result()

    def _serve(
        self, signals: Iterable[int], mode: int, period: float
    ) -> Result[C, HandlerFailed[C] | UsedAfterFork | SystemFailure | LogEnded[C]]:
        engine = self._engine
        try:
            # A process that sees the socket may send a signal, so the signal handlers are installed first.
            with Handled(signals, self._end, self._interrupt, engine.wakeup):
                try:
                    listening = flow(
                        self._recovered(),
                        flat_map(lambda _: self._claim.publish(mode, engine.began)),
                        flat_map(partial(engine.listen, period)),
                    )
                    match cases(listening):
                        case Success():
                            self._served = True
                            self._turns()
                        case Failure(refused) if not engine.inherited():
                            return Failure(refused)
                        case Failure():
                            raise ForkedError
                finally:
                    self.close()
        except BaseException as error:
            if engine.inherited():
                if error is self._raised:
                    raise  # the handler's exception leaves the server in a forked child
                return Failure(UsedAfterFork(self._name, self._owner))
            interrupted = isinstance(error, KeyboardInterrupt)
            if not interrupted:
                engine.broken(error)
                if not self._served:
                    return Failure(SystemFailure("serve at", self._claim.path, str(error) or "there is no memory left"))
            if self._served:
                engine.ended(Ending.INTERRUPTED if interrupted else Ending.BROKEN)
                self._departures()
        finally:
            surely(self.close, engine.wakeup.close, engine.conclude)
        if engine.forked:
            return Failure(UsedAfterFork(self._name, self._owner))
        with suppress(MemoryError):  # what was closed has freed some
            return flow(engine.result(), flat_map(Success))
        return flow(engine.result(), flat_map(Success))

    def _recovered(self) -> Result[None, LogEnded[C]]:
        """Go on with what is in the log, if there is one. A signal ends that."""
        engine = self._engine
        if engine.logged is None:
            return Success(None)
        self._interruptible = True
        try:
            steps = engine.logged.start(lambda: self._signalled or engine.inherited())
            return driven(steps, self._step).map(engine.recovered)
        except KeyboardInterrupt:  # between two steps
            return Failure(engine.logged.interrupted)
        finally:
            self._interruptible = False

    def _step(self, step: Ask[C] | Rest) -> Continuation[C] | None:
        """Take a step of a server that starts with a log."""
        if isinstance(step, tuple):
            return self._handlers(*step)
        sleep(step.seconds)
        return None

    def _departures(self) -> None:
        """Fold the departures of the clients whose connections were closed at once."""
        engine = self._engine
        while (asked := engine.departed()) is not None and not engine.inherited():
            try:
                answer = self._handlers(*asked)
            except KeyboardInterrupt:
                engine.interrupted()
            except BaseException as error:  # noqa: BLE001 - as for every call of the handler
                engine.failed(error)
            else:
                engine.answered(answer, engine.now(), engine.now())

    def close(self) -> None:
        """End the flusher, and release everything; a second call does nothing."""
        engine = self._engine
        if not engine.inherited():
            surely(self._flusher.end)
        engine.close()

    def _turns(self) -> None:
        engine, asked = self._engine, None
        while asked is not None or not engine.over:
            try:
                if asked is not None:
                    self.fold(asked)
                asked = engine.turn(LONGEST_SLEEP)
            except KeyboardInterrupt:  # from the handler
                self._interruptible = False
                if engine.inherited():
                    raise
                self._flusher.take_back()  # if the interrupt came before that was done
                asked = None
                engine.interrupted()

    def wait(self, seconds: float) -> list[tuple[Any, int]]:  # Any: what the poller of the engine watches
        """Wait for events for so many seconds, and fold the plain messages among them, until there is anything else to do.

        Each of them is all that its client has sent, and its answer is written before the next one. So no answer waits while the
        handler runs. Returns the other events.
        """
        engine, handler, mark = self._engine, self._handler, self._mark
        poll, core = engine.poll, engine.core
        heard: float | None = None
        now = monotonic()
        until = now + seconds
        going = True
        while going:
            happened, count = poll(until - now if now < until else 0.0), 0
            woken = now = monotonic()
            going = len(happened) > 0 and now < until
            for thing, events in happened:  # what is not of a client is handled before anything is folded
                if events != READ or type(thing) is not ClientSocket:
                    going = False
            if not going:
                break
            last = now + _BURST
            for client, _ in happened:
                if count and now >= last:
                    break
                asked = client.begin(core, now, time())
                if asked is None:
                    count += client.told  # then it is read
                    going = False
                    break
                count += 1
                message, continuation = asked
                self._interruptible = True
                try:
                    continuation = handler(message, continuation, continuation.carry)
                except BaseException as error:  # noqa: BLE001 - as in `fold`
                    self._interruptible = going = False
                    self._failed(error)
                    break
                finally:
                    self._interruptible = False
                if engine.forked or not mark[0]:
                    raise ForkedError
                now = monotonic()
                written = client.keep(core, continuation, now)
                if not written:
                    if written is None:
                        engine.answered(continuation, now, now)
                    going = False
                    break
            if count == len(happened):
                heard = woken
                going = going and count < AT_ONCE
        engine.served(len(happened), heard)
        return happened[count:]

    def fold(self, asked: Ask[C] | None) -> None:
        """Ask the handler for a burst of messages. A burst lasts at least as long as the work on the sockets before it."""
        engine, handler, flusher, mark = self._engine, self._handler, self._flusher, self._mark
        clock, owing = engine.now, False
        now = clock()
        worked = now - engine.woken
        if engine.logged is not None and engine.logged.paid > worked:
            worked = engine.logged.paid
        until = now + (worked if worked > _BURST else _BURST)  # noqa: FURB136 - to call `max` costs more
        while asked is not None and now < until:
            what, continuation = asked
            lent = owing and flusher.lend()
            if owing and not lent:
                engine.flush()  # without a flusher nothing can be written while the handler runs
            failure: BaseException | None = None
            since = clock() if engine.observed else now
            self._interruptible = True
            try:
                if type(what) is Message:  # the usual case
                    continuation = handler(what, continuation, continuation.carry)
                else:
                    continuation = self._handlers(what, continuation)
            except BaseException as error:  # noqa: BLE001 - the handler is the user's code: whatever it raises ends the fold
                failure = error
            finally:
                self._interruptible = False
                if lent and not engine.forked:
                    flusher.take_back()
            if failure is not None:
                self._failed(failure)
                return
            if engine.forked or not mark[0]:
                raise ForkedError
            now = clock()
            asked, owing = engine.answered(continuation, now, since), True
            if flusher.failure is not None:
                raise flusher.failure
            if engine.forked:  # by the observer
                raise ForkedError

    def _failed(self, error: BaseException) -> None:
        """End the fold, because the handler raised this."""
        if self._engine.inherited():
            self._raised = error
            raise error
        if isinstance(error, KeyboardInterrupt):
            raise error
        self._engine.failed(error)

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
