"""Combinators of handlers as programs use them, with variables of declared types. Each checker accepts them. Nothing here runs."""

from typing import assert_type

from ipcfold import IPC, Continuation, Handler, MediaType, Message, Name, Peer, aio
from ipcfold.codec import Codec, TypedContinuation, typed, typed_async, typed_left, typed_woken
from ipcfold.continuation import Leaving, Waking
from ipcfold.handlers import Remembered, once, once_left, once_woken, rescue, rescue_left, rescue_woken, route


def count(message: Message, continuation: Continuation[int], carry: int) -> Continuation[int]:
    return continuation.continue_(carry + 1)


def left(peer: Peer, continuation: Continuation[int], carry: int) -> Continuation[int]:
    return continuation.continue_(carry - 1)


def woken(continuation: Continuation[int], carry: int) -> Continuation[int]:
    return continuation.continue_(carry)


async def count_later(message: Message, continuation: Continuation[int], carry: int) -> Continuation[int]:
    return continuation.continue_(carry + 1)


async def left_later(peer: Peer, continuation: Continuation[int], carry: int) -> Continuation[int]:
    return continuation.continue_(carry - 1)


async def woken_later(continuation: Continuation[int], carry: int) -> Continuation[int]:
    return continuation.continue_(carry)


# A mapping of either kind of key, as a variable or a display

by_text: dict[str, Handler[int]] = {"text/plain": count}
by_type: dict[MediaType, Handler[int]] = {MediaType("text", "plain"): count}
by_both: dict[str | MediaType, Handler[int]] = {"text/plain": count, MediaType("text", "html"): count}
later: dict[str, aio.Handler[int]] = {"text/plain": count, "text/html": count_later}

assert_type(route(by_text, count), Handler[int])
assert_type(route(by_type, otherwise=count), Handler[int])
assert_type(route(by_both, count), Handler[int])
assert_type(route({"text/plain": count}, count), Handler[int])
assert_type(route({"text/plain": count, MediaType("text", "html"): count}, count), Handler[int])
assert_type(route(later, count), aio.Handler[int])
assert_type(route(by_text, count_later), aio.Handler[int])
assert_type(route({"text/plain": count_later, "text/html": count}, count), aio.Handler[int])

# Of plain functions they make plain ones, of others what only an event loop takes

sorry = Message.text("sorry")
assert_type(rescue(count, sorry), Handler[int])
assert_type(rescue(count, lambda error: Message.text(str(error))), Handler[int])
assert_type(rescue(once(count), sorry), Handler[Remembered[int]])
assert_type(once(rescue(count, sorry), remember=3), Handler[Remembered[int]])
assert_type(rescue_left(once_left(left)), Leaving[Remembered[int]])
assert_type(once_woken(rescue_woken(woken)), Waking[Remembered[int]])
assert_type(rescue(count_later, sorry), aio.Handler[int])
assert_type(once(rescue(count_later, sorry)), aio.Handler[Remembered[int]])
assert_type(rescue_left(once_left(left_later)), aio.Leaving[Remembered[int]])
assert_type(once_woken(rescue_woken(woken_later)), aio.Waking[Remembered[int]])

IPC().listen(Name("x"))(Remembered(0), rescue(once(route(by_text, count)), sorry), once_left(left), once_woken(woken))
IPC().listen(Name("x")).start(Remembered(0), once(count)).started.unwrap().stop()


async def serve() -> None:
    await aio.IPC().listen(Name("x"))(Remembered(0), rescue(once(count_later), sorry), once_left(left), once_woken(woken_later))


# Handlers of values


def add(number: int, continuation: TypedContinuation[int, int], total: int) -> TypedContinuation[int, int]:
    return continuation.respond(total + number, total)


async def add_later(number: int, continuation: TypedContinuation[int, int], total: int) -> TypedContinuation[int, int]:
    return continuation.respond(total + number, total)


async def gone_later(peer: Peer, continuation: TypedContinuation[int, int], total: int) -> TypedContinuation[int, int]:
    return continuation.tell(total, peer, total)


async def rung_later(continuation: TypedContinuation[int, int], total: int) -> TypedContinuation[int, int]:
    return continuation.continue_(total)


numbers = Codec(int)
assert_type(rescue(once(typed(numbers, add)), sorry), Handler[Remembered[int]])
assert_type(typed_async(numbers, add_later), aio.Handler[int])
assert_type(typed_async(numbers, add, responses=numbers), aio.Handler[int])
assert_type(once(typed_async(numbers, add_later)), aio.Handler[Remembered[int]])
assert_type(typed_left(numbers, gone_later), aio.Leaving[int])
assert_type(typed_woken(numbers, rung_later), aio.Waking[int])
