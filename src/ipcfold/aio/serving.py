"""One run of a server in an event loop: the loop watches the engine's one descriptor, and its next deadline.

There is no thread, and no task for a client. Turns of the engine run as callbacks of the loop, and call plain functions at once.
The task of the server awaits what an `async def` returns, one at a time. Meanwhile the callbacks go on.
"""

from __future__ import annotations

import asyncio
import os
from asyncio import Future, Handle
from collections.abc import Awaitable, Iterable
from contextlib import suppress
from inspect import isawaitable
from math import inf
from threading import current_thread, main_thread
from typing import Final, TypeVar, final

from returns.curry import partial
from returns.pipeline import flow
from returns.result import Failure, Result, Success

from ipcfold.aio.functions import Functions
from ipcfold.aio.signals import handled
from ipcfold.aio.waiting import driven
from ipcfold.continuation import Continuation
from ipcfold.core.fold import Ask
from ipcfold.errors import HandlerFailed, LogEnded, SystemFailure, UsedAfterFork
from ipcfold.events import Ending
from ipcfold.local.calling import Calling
from ipcfold.local.claim import Claim
from ipcfold.local.clock import Timer
from ipcfold.local.engine import Engine, ForkedError
from ipcfold.local.flusher import Flusher
from ipcfold.local.forks import wiped_by_fork
from ipcfold.local.release import surely
from ipcfold.local.stream import LONGEST_SLEEP
from ipcfold.peer import Name
from ipcfold.result import cases, flat_map

C = TypeVar("C")

_BURST: Final = 0.001  # seconds of folding after which the loop gets its turn, because others have something to do, too


@final
class Serving(Calling[C]):
    """One run of a server."""

    __slots__ = (
        "_answering",
        "_cancelled",
        "_changed",
        "_claim",
        "_due",
        "_failure",
        "_functions",
        "_loop",
        "_mark",
        "_name",
        "_owner",
        "_pending",
        "_rings",
        "_served",
        "_signalled",
        "_since",
        "_soon",
        "_take",
        "_task",
        "_timer",
        "_until",
    )

    def __init__(self, name: Name, claim: Claim, engine: Engine[C], functions: Functions[C]) -> None:
        """The task that calls this is the one that serves."""
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - a coroutine of asyncio runs in a task
        self._name = name
        self._claim = claim
        # With a log, many messages share a commit. So a thread commits them and writes the answers if a plain function takes long.
        super().__init__(engine, functions.handler, Flusher(engine.flush, threaded=engine.logged is not None))
        self._take = engine.answered
        engine.answered = self._taken
        engine.accelerate(self)
        self._functions = functions
        self._owner = os.getpid()
        self._mark = wiped_by_fork()
        self._loop = asyncio.get_running_loop()
        self._task = task
        self._cancelled = task.cancelling()  # how many requests to cancel the task are known
        self._changed: Future[None] | None = None  # what the task awaits while no handler is to be awaited
        self._pending: Awaitable[Continuation[C]] | None = None  # what a function has returned, while that is awaited
        self._answering = False  # whether the task awaits it now
        self._since = 0.0  # when that function was called
        self._until = 0.0  # when the burst is over
        self._due = inf  # when the next turn is due
        self._soon: Handle | None = None
        self._timer: Timer | None = None
        self._rings = 0.0  # when it rings
        self._failure: BaseException | None = None  # of a callback
        self._served = False  # whether clients could connect
        self._signalled = False

    async def serve(
        self, signals: Iterable[int], mode: int, period: float
    ) -> Result[C, HandlerFailed[C] | UsedAfterFork | SystemFailure | LogEnded[C]]:
        """Serve until the fold ends, at a socket of that mode, and check every `period` seconds that it is in its place."""
        engine = self._engine
        try:
            with handled(self._loop, signals, self._end):
                try:
                    listening = flow(
                        await self._recovered(),
                        flat_map(lambda _: self._claim.publish(mode, engine.began)),
                        flat_map(partial(engine.listen, period)),
                    )
                    match cases(listening):
                        case Success():
                            self._served = True
                            if current_thread() is main_thread():
                                engine.speak()
                            self._loop.add_reader(engine.fileno(), self._turn)
                            self._turn()
                            await self._run()
                        case Failure(refused) if not engine.inherited():
                            return Failure(refused)
                        case Failure():
                            raise ForkedError
                finally:
                    self._close()
        except GeneratorExit:  # the loop has ended without this task
            raise
        except BaseException as error:  # noqa: BLE001 - the carry would be lost with it
            if engine.inherited():
                return Failure(UsedAfterFork(self._name, self._owner))
            interrupted = isinstance(error, KeyboardInterrupt | asyncio.CancelledError)
            if not interrupted:
                engine.broken(error)
                if not self._served:
                    return Failure(SystemFailure("serve at", self._claim.path, str(error) or "there is no memory left"))
            if self._served:
                engine.ended(Ending.INTERRUPTED if interrupted else Ending.BROKEN)
                await self._departures()
        finally:
            surely(self._close, engine.wakeup.close, engine.conclude)
        if engine.forked:
            return Failure(UsedAfterFork(self._name, self._owner))
        return flow(engine.result(), flat_map(Success))

    async def _recovered(self) -> Result[None, LogEnded[C]]:
        """Go on with what is in the log, if there is one. A signal or a cancellation ends that."""
        engine = self._engine
        if engine.logged is None:
            return Success(None)
        steps = engine.logged.start(lambda: self._signalled or engine.inherited())
        return (await driven(steps, self._functions, self._end)).map(engine.recovered)

    async def _run(self) -> None:
        """Await what the functions return, until the server has ended."""
        engine = self._engine
        while self._pending is not None or not engine.over:
            if self._failure is not None:
                raise self._failure
            if self._pending is not None:
                await self._answer(self._pending)
                continue
            self._changed = self._loop.create_future()
            try:
                await self._changed
            except asyncio.CancelledError:
                self._use_up()
                engine.end()
            finally:
                self._changed = None
        if self._failure is not None:
            raise self._failure

    async def _answer(self, pending: Awaitable[Continuation[C]]) -> None:
        """Await what a function has returned, and give it to the fold."""
        engine = self._engine
        self._answering = True
        try:
            answer = await pending
        except asyncio.CancelledError as error:
            self._answered()
            if self._use_up():
                engine.interrupted()
            else:  # it comes from something that the handler has awaited
                engine.failed(error)
        except KeyboardInterrupt:
            self._answered()
            engine.interrupted()
        except BaseException as error:  # noqa: BLE001 - the handler is the user's code: whatever it raises ends the fold
            self._answered()
            engine.failed(error)
        else:
            self._answered()
            if engine.inherited():
                raise ForkedError
            now = engine.now()
            asked = self._take(answer, now, self._since)
            if asked is not None and now < self._until:
                self._fold(asked)
        if self._pending is None:
            self._rest()
        elif self._soon is None:  # what is owed is written as soon as the next function waits for something
            self._soon = self._loop.call_soon(self._turn)

    def _answered(self) -> None:
        self._answering = self._engine.beside = False
        self._pending = None

    def _use_up(self) -> bool:
        """Whether somebody has asked to cancel the task, or a second signal the handler. Each request counts once."""
        asked = self._task.cancelling() > self._cancelled
        while self._task.cancelling() > self._cancelled:
            self._task.uncancel()
        return asked

    def _turn(self) -> None:
        """Take a turn of the engine, and fold what has come. The loop calls this."""
        if self._soon is not None:
            self._soon.cancel()
            self._soon = None
        engine = self._engine
        try:
            asked = engine.look(engine.clock.late(self._due))
            if asked is not None and self._pending is None:
                paid = 0.0 if engine.logged is None else engine.logged.paid
                self._until = engine.now() + max(_BURST, paid)
                self._fold(asked)
                self._rest()
            else:
                self._see_to(engine.due)
        except BaseException as error:  # noqa: BLE001 - the task of the server handles it
            self._failure = error
            self._unwatch()
            if self._answering:
                self._task.cancel()
            self._wake()

    def _fold(self, asked: Ask[C] | None) -> None:
        """Call the functions for a burst of inputs, until one of them returns something to await."""
        engine, functions, flusher, owing = self._engine, self._functions, self._flusher, False
        now = engine.now()
        while asked is not None and (now < self._until or not owing):
            lent = owing and flusher.lend()
            if owing and not lent:
                engine.flush()  # an acknowledgement must not wait for a slow function
            self._since = now
            try:
                answer = functions(*asked)
            except BaseException as error:  # noqa: BLE001 - as for what is awaited
                self._failed(error)
                return
            finally:
                if lent and not engine.forked:
                    flusher.take_back()
            if flusher.failure is not None:
                raise flusher.failure
            if engine.forked or not self._mark[0]:
                raise ForkedError
            now = engine.now()
            asked, owing = self._taken(answer, now, self._since), True

    def _taken(self, answer: Continuation[C] | Awaitable[Continuation[C]], now: float, since: float) -> Ask[C] | None:
        """Take what a function has returned, or let the task await it. Returns the next input, if there is one."""
        if type(answer) is Continuation or not isawaitable(answer):
            return self._take(answer, now, since)  # the fold judges what is neither
        self._pending = answer
        self._engine.beside = True
        self._wake()
        return None

    def _failed(self, error: BaseException) -> None:
        """Take what the handler has raised. The accelerator calls this, too."""
        if self._engine.inherited():
            raise error
        if isinstance(error, KeyboardInterrupt):
            self._engine.interrupted()
        else:
            self._engine.failed(error)

    def _rest(self) -> None:
        """Write what is owed, and see to the next turn."""
        self._see_to(self._engine.settle())

    def _see_to(self, due: float) -> None:
        """Let the loop call for the next turn, when it is due."""
        if self._engine.over:
            self._wake()
            return
        if due == self._due and (self._timer is not None or due == inf):
            return
        if due == inf:
            self._due = inf
            return
        now = self._engine.now()
        self._due, left = max(due, now), due - now
        if left <= 0:
            if self._soon is None:
                self._soon = self._loop.call_soon(self._turn)
        elif self._timer is None or due < self._rings:
            if self._timer is not None:
                self._timer.cancel()
            self._rings = due
            self._timer = self._engine.clock.call_at(self._loop, now + min(left, LONGEST_SLEEP), self._ring)

    def _ring(self) -> None:
        self._timer = None
        self._turn()

    def _wake(self) -> None:
        if self._changed is not None and not self._changed.done():
            self._changed.set_result(None)

    def _end(self) -> None:
        """End in good order after a signal. A second signal means that the handler is stuck, so it is cancelled."""
        if self._signalled and self._answering:
            self._task.cancel()
        self._signalled = True
        self._engine.end()

    async def _departures(self) -> None:
        """Fold the departures of the clients whose connections were closed at once."""
        engine = self._engine
        while (asked := engine.departed()) is not None and not engine.inherited():
            try:
                answer = self._functions(*asked)
                if type(answer) is not Continuation and isawaitable(answer):
                    answer = await answer
            except (KeyboardInterrupt, asyncio.CancelledError):
                self._use_up()
                engine.interrupted()
            except BaseException as error:  # noqa: BLE001 - as for every call of the handler
                engine.failed(error)
            else:
                engine.answered(answer, engine.now(), engine.now())

    def _close(self) -> None:
        """Release everything; a second call does nothing."""
        for handle in (self._soon, self._timer):
            if handle is not None:
                handle.cancel()
        self._soon = self._timer = None
        self._unwatch()
        if not self._engine.inherited():
            surely(self._flusher.end)
        self._engine.close()

    def _unwatch(self) -> None:
        """Let the loop forget the engine, but not in a forked child, which shares the poller of the loop with its parent."""
        if not self._engine.inherited():
            with suppress(RuntimeError, ValueError, OSError):  # the loop or the engine is closed already
                self._loop.remove_reader(self._engine.fileno())
