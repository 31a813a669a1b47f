"""Waits in an event loop: for descriptors, and for the steps of a server that starts with a log."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from inspect import isawaitable
from time import monotonic
from typing import TYPE_CHECKING, Final, TypeVar

from ipcfold.continuation import Continuation
from ipcfold.local.clock import SYSTEM, Clock

if TYPE_CHECKING:
    from ipcfold.aio.functions import Functions
    from ipcfold.local.logged import Rest, Starting  # few servers have a log
    from ipcfold.local.signals import Wakeup

C = TypeVar("C")
R = TypeVar("R")

_BURST: Final = 0.001  # seconds of folding after which the loop gets its turn, because others have something to do, too


async def readable(until: float, *descriptors: int, clock: Clock = SYSTEM) -> bool:
    """Wait until one of the descriptors is readable; false if that time comes first."""
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[bool] = loop.create_future()

    def tell(is_readable: bool) -> None:  # noqa: FBT001 - the loop gives it
        if not ready.done():
            ready.set_result(is_readable)

    timer = clock.call_at(loop, until, tell, False)
    try:
        for descriptor in descriptors:
            loop.add_reader(descriptor, tell, True)
        return await ready
    finally:
        timer.cancel()
        for descriptor in descriptors:
            loop.remove_reader(descriptor)


async def driven(steps: Starting[C, R], functions: Functions[C], end: Callable[[], object], wakeup: Wakeup | None = None) -> R:
    """Take all steps. The loop gets its turn between them, and the `wakeup` ends a rest.

    When the task is cancelled, that is over, and `end` is called, which ends the steps.
    """
    task = asyncio.current_task()
    known = 0 if task is None else task.cancelling()
    until = monotonic() + _BURST
    try:
        step = next(steps)
        while True:
            answer: Continuation[C] | None = None
            raised: BaseException | None = None
            try:
                if isinstance(step, tuple):
                    given = functions(*step)
                    answer = given if isinstance(given, Continuation) or not isawaitable(given) else await given
                    if monotonic() > until:
                        await asyncio.sleep(0)
                        until = monotonic() + _BURST
                else:
                    await _rest(step, wakeup)
            except GeneratorExit:  # the loop has ended without this task
                steps.close()
                raise
            except asyncio.CancelledError as error:
                raised = error  # of something that the handler has awaited, unless somebody has asked to cancel the task
                while task is not None and task.cancelling() > known:
                    task.uncancel()
                    raised = KeyboardInterrupt()
                if isinstance(raised, KeyboardInterrupt):
                    end()
            except BaseException as error:  # noqa: BLE001 - the handler may raise anything
                raised = error
            step = steps.send(answer) if raised is None or not isinstance(step, tuple) else steps.throw(raised)
    except StopIteration as last:
        result: R = last.value
        return result


async def _rest(rest: Rest, wakeup: Wakeup | None) -> None:
    from ipcfold.local.standby import ending  # noqa: PLC0415 - few servers have a log

    descriptors = () if wakeup is None else (wakeup.stream.fileno(),)
    with ending(rest.pid) as process:
        await readable(monotonic() + rest.seconds, *descriptors, *(() if process is None else (process,)))
