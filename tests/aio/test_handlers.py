"""The combinators of handlers make `async def` handlers of `async def` handlers, and nest with plain ones."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from returns.result import Success

from ipcfold import Continuation, Message, Outcome, Peer, aio
from ipcfold.codec import Codec, TypedContinuation, Undecodable, typed, typed_async, typed_left, typed_woken
from ipcfold.handlers import Remembered, once, once_left, once_woken, rescue, rescue_left, rescue_woken, route
from tests.aio.support import LOOPS, run, serving
from tests.shells.support import NAME, PATIENCE
from tests.test_once import NONE, Jobs, ring, work
from tests.test_rescue import EMPTY, LIMITS, RIGHT, SORRY, WRONG, Log, handle

NUMBERS, TEXTS = Codec(int), Codec(str)
ONE = Message.text("one")


async def handle_later(message: Message, continuation: Continuation[Log], carry: Log) -> Continuation[Log]:
    await asyncio.sleep(0)
    return handle(message, continuation, carry)


async def no_alarm(continuation: Continuation[Log], carry: Log) -> Continuation[Log]:
    return continuation.continue_(carry)


@LOOPS
@pytest.mark.parametrize("handler", [handle, handle_later, route({"a/b": handle}, handle_later)], ids=["plain", "async", "routed"])
def test_a_rescued_server_goes_on_after_any_wrong_answer(directory: Path, loop: str, handler: aio.Handler[Log]) -> None:
    async def main() -> None:
        ipc = aio.IPC(directory, limits=LIMITS)
        async with serving(ipc, rescue(handler, SORRY), EMPTY, woken=no_alarm) as server, (await ipc.get(NAME)).unwrap() as process:
            for how in (*WRONG, RIGHT):
                message = Message.text(how)
                assert await process.ask(message, PATIENCE) == Success(message if how == RIGHT else SORRY)
        assert server.result() == Success((RIGHT,))

    run(main, loop)


@LOOPS
def test_async_departures_and_alarms_are_rescued_and_remembered(directory: Path, loop: str) -> None:
    async def main() -> None:
        rung = asyncio.Event()

        async def wake(message: Message, continuation: Continuation[Jobs], carry: Jobs) -> Continuation[Jobs]:
            await asyncio.sleep(0)
            answer = work(message, continuation, carry)
            return answer.wake(answer.carry, continuation.now)

        async def left(_: Peer, continuation: Continuation[Jobs], carry: Jobs) -> Continuation[Jobs]:
            await asyncio.sleep(0)
            raise KeyError("left")

        async def woken(continuation: Continuation[Jobs], carry: Jobs) -> Continuation[Jobs]:
            await asyncio.sleep(0)
            if not rung.is_set():
                rung.set()
                raise KeyError("woken")
            return ring(continuation, carry)

        ipc = aio.IPC(directory)
        functions: dict[str, Any] = {"left": rescue_left(once_left(left)), "woken": rescue_woken(once_woken(woken))}
        later = Message.text("later").identified("x")
        serves = serving(ipc, rescue(once(wake), SORRY), Remembered(NONE), **functions)
        async with serves as server, (await ipc.get(NAME)).unwrap() as process:
            await process.send(Message.text("now"))
            await rung.wait()
            assert await process.ask(later, PATIENCE) == await process.ask(later, PATIENCE) == Success(Message.text("rung"))
        assert server.result().unwrap().carry[1] == ("now", "later")

    run(main, loop)


def test_an_async_handler_that_returns_no_continuation_is_named_or_rescued() -> None:
    async def nothing(*_: object) -> None: ...

    async def cancelled(*_: object) -> Continuation[int]:
        raise asyncio.CancelledError

    async def of(answer: Any) -> Continuation[Any]:
        answered: Continuation[Any] = await answer
        return answered

    start: Continuation[Any] = Continuation(0)
    remembered: Any = Remembered(0)
    wrong: Any = nothing
    combined: Any = once(wrong)
    with pytest.raises(TypeError, match="the handler returned NoneType, not a Continuation"):
        asyncio.run(of(combined(ONE, start.carrying(remembered), remembered)))
    combined = rescue(wrong, SORRY)
    assert asyncio.run(of(combined(ONE, start, 0))).responses == (SORRY,)
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(of(rescue(cancelled, SORRY)(ONE, start, 0)))


@LOOPS
def test_a_typed_handler_may_be_an_async_function(directory: Path, loop: str) -> None:
    async def main() -> None:
        async def add(number: int, continuation: TypedContinuation[int, int], total: int) -> TypedContinuation[int, int]:
            await asyncio.sleep(0)
            return continuation.respond(total + number, total + number)

        async def refuse(error: Undecodable, continuation: TypedContinuation[int, int], total: int) -> TypedContinuation[int, int]:
            await asyncio.sleep(0)
            return continuation.respond(total, -1)

        ipc = aio.IPC(directory)
        handler = typed_async(NUMBERS, add, undecodable=refuse)
        async with serving(ipc, handler, 40) as server, (await ipc.get(NAME)).unwrap() as process:
            answers = [await process.ask(message, PATIENCE) for message in (NUMBERS.encode(2).unwrap(), ONE)]
        assert [NUMBERS.decode(answer.unwrap()).unwrap() for answer in answers] == [42, -1]
        assert server.result() == Success(42)

    run(main, loop)


def test_every_typed_function_gives_the_same_answer_plain_and_async() -> None:
    def said(what: object, continuation: TypedContinuation[int, str], carry: int) -> TypedContinuation[int, str]:
        return continuation.tell(carry + 1, continuation.peer, str(what)).stop(carry + 1)

    def rung(continuation: TypedContinuation[int, str], carry: int) -> TypedContinuation[int, str]:
        return said("rung", continuation, carry)

    async def said_later(what: object, continuation: TypedContinuation[int, str], carry: int) -> TypedContinuation[int, str]:
        return said(what, continuation, carry)

    async def rung_later(continuation: TypedContinuation[int, str], carry: int) -> TypedContinuation[int, str]:
        return rung(continuation, carry)

    async def of(answer: Any) -> Continuation[int]:
        answered: Continuation[int] = await answer
        return answered

    start, number = Continuation(1, peer=Peer(1, 1)), NUMBERS.encode(7).unwrap()
    for plain, later in (
        (typed(NUMBERS, said, responses=TEXTS)(number, start, 1), typed_async(NUMBERS, said_later, responses=TEXTS)(number, start, 1)),
        (typed_async(NUMBERS, said, responses=TEXTS)(ONE, start, 1), typed_async(NUMBERS, said, responses=TEXTS)(ONE, start, 1)),
        (typed_left(TEXTS, said)(Peer(), start, 1), typed_left(TEXTS, said_later)(Peer(), start, 1)),
        (typed_woken(TEXTS, rung)(start, 1), typed_woken(TEXTS, rung_later)(start, 1)),
    ):
        assert plain == (later if isinstance(later, Continuation) else asyncio.run(of(later)))
    assert typed_woken(TEXTS, rung)(start, 1).outcome is Outcome.STOP
