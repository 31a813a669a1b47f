"""Idle clients cost a turn of a server in an event loop nothing: its calls are counted, so that no time decides."""

import asyncio
import gc
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import count
from pathlib import Path
from types import FrameType

import pytest

from ipcfold import Continuation, Limits, Message, aio
from ipcfold.events import Connected, Event
from ipcfold.testing import Clock
from tests.aio.support import LOOPS, run, serving, turns
from tests.shells.support import descriptors
from tests.shells.wire import RECEIVED, START, START_OK, Wire

_TURNS = 6  # of the loop, in which a message is folded and answered


@contextmanager
def counting() -> Iterator[list[int]]:
    """Count the calls of this thread, of functions in Python and in C. No collection of garbage adds its own."""
    calls, counted = count(), [0]

    def note(_: FrameType, event: str, __: object) -> None:
        if event in ("call", "c_call"):
            next(calls)

    gc.collect()
    gc.disable()
    sys.setprofile(note)
    try:
        yield counted
    finally:
        sys.setprofile(None)
        gc.enable()
        counted[0] = next(calls)


@LOOPS
@pytest.mark.parametrize("later", [False, True])
def test_idle_clients_cost_a_turn_nothing(directory: Path, loop: str, *, later: bool) -> None:
    def plain(message: Message, continuation: Continuation[int], number: int) -> Continuation[int]:
        return continuation.respond(number + 1, message)

    async def coming(message: Message, continuation: Continuation[int], number: int) -> Continuation[int]:
        return continuation.respond(number + 1, message)

    async def main() -> None:
        clock = Clock()  # otherwise a look at the clock of the system is due now and then
        there, changed = list[Event](), asyncio.Event()

        def observe(event: Event) -> None:
            if isinstance(event, Connected):
                there.append(event)
                changed.set()

        ipc = aio.IPC(directory, heartbeat=1e6, limits=Limits(handshake=1e6, connections=10_000), observe=observe, clock=clock)
        with ExitStack() as idle:
            async with serving(ipc, coming if later else plain, 0):
                client = idle.enter_context(Wire.to(directory))
                await asyncio.to_thread(client.expect, START)
                client.write(START_OK)
                costs = list[int]()
                for number in (0, 20, 400):
                    while len(there) < 2 + number:  # with the one that waited for the server
                        idle.enter_context(Wire.to(directory)).write(START_OK)
                        changed.clear()
                        await changed.wait()
                    await turns(50)
                    for _ in range(2):  # the first one may still find something to tidy
                        client.write("ping")
                        with counting() as calls:
                            await turns(_TURNS)
                        client.expect(RECEIVED, "ping")
                    costs.append(calls[0])
                clock.go()  # so that the server can end without their confirmation
                assert costs[0] > 0
                assert costs == [costs[0]] * 3

    with descriptors(4000):
        run(main, loop)
