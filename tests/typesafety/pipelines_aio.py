"""What every checker must accept of the asyncio shell, with the types that it must infer. Nothing here runs."""

from collections.abc import Awaitable
from typing import assert_type

from returns.result import Result

from ipcfold import (
    AskError, CloseError, ConnectError, Continuation, InvalidMediaType, InvalidName, ListenError, MediaType, Message, Name, Peer,
    ReceiveError, SendError, aio,
)  # fmt: skip
from ipcfold.aio import ask, close, pipeline, send, wait
from ipcfold.log import SQLiteLog

ipc = aio.IPC()


async def steps() -> None:
    checked = pipeline(Name.of("x"))
    assert_type(checked, aio.Pipeline[Name, InvalidName])
    connected = checked.flat_map(ipc.get)
    assert_type(connected, aio.Pipeline[aio.Process, InvalidName | ConnectError])
    assert_type(checked.flat_map(ipc.wait), aio.Pipeline[aio.Process, InvalidName | ConnectError])
    sent = connected.flat_map(send(Message.text("ping")))
    assert_type(sent, aio.Pipeline[aio.Process, InvalidName | ConnectError | SendError])
    assert_type(await sent.flat_map(wait()), Result[Message, InvalidName | ConnectError | SendError | ReceiveError])
    assert_type(await sent.flat_map(wait(1.0)), Result[Message, InvalidName | ConnectError | SendError | ReceiveError])
    assert_type(await connected.flat_map(ask(Message.text("ping"), 1.0)), Result[Message, InvalidName | ConnectError | AskError])
    assert_type(await connected.flat_map(close()), Result[None, InvalidName | ConnectError | CloseError])
    assert_type(await pipeline(ipc.get(Name("x"))), Result[aio.Process, ConnectError])


async def whole_chain() -> None:
    response = await pipeline(Name.of("x")).flat_map(ipc.wait).flat_map(send(Message.text("ping"))).flat_map(wait())
    assert_type(response, Result[Message, InvalidName | ConnectError | SendError | ReceiveError])


async def count(message: Message, continuation: Continuation[int], counter: int) -> Continuation[int]:
    return continuation.respond(counter + 1, Message.text("pong"))


def count_at_once(message: Message, continuation: Continuation[int], counter: int) -> Continuation[int]:
    return continuation.respond(counter + 1, Message.text("pong"))


async def left(peer: Peer, continuation: Continuation[int], counter: int) -> Continuation[int]:
    return continuation.continue_(counter)


def woken(continuation: Continuation[int], counter: int) -> Continuation[int]:
    return continuation.continue_(counter)


async def serve(name: Name) -> Result[int, ListenError[int]]:
    assert_type(await ipc.listen(name)(0, count_at_once), Result[int, ListenError[int]])
    assert_type(await ipc.listen(name, log=SQLiteLog.of("log"), standby=True)(0, count), Result[int, ListenError[int]])
    return await ipc.listen(name)(0, count, left, woken=woken)


async def server() -> None:
    assert_type(await pipeline(Name.of("x")).flat_map(serve), Result[int, InvalidName | ListenError[int]])


def typed(name: Name) -> Result[MediaType, InvalidMediaType]:
    return MediaType.of(f"{name}/plain")


async def typed_later(name: Name) -> Result[MediaType, InvalidMediaType]:
    return MediaType.of(f"{name}/plain")


async def recovered(error: InvalidName) -> Result[MediaType, InvalidMediaType]:
    return MediaType.of(error.value)


async def other_methods(checked: aio.Pipeline[Name, InvalidName]) -> None:
    assert_type(checked.map(lambda name: name.value), aio.Pipeline[str, InvalidName])
    assert_type(checked.alt(lambda error: len(error.value)), aio.Pipeline[Name, int])
    assert_type(checked.flat_map(typed), aio.Pipeline[MediaType, InvalidName | InvalidMediaType])
    assert_type(checked.flat_map(typed_later), aio.Pipeline[MediaType, InvalidName | InvalidMediaType])
    assert_type(checked.flat_map(lambda name: MediaType.of(f"{name}/plain")), aio.Pipeline[MediaType, InvalidName | InvalidMediaType])
    assert_type(checked.flat_map(lambda name: typed_later(name)), aio.Pipeline[MediaType, InvalidName | InvalidMediaType])
    assert_type(checked.lash(recovered), aio.Pipeline[Name | MediaType, InvalidMediaType])
    assert_type(await checked.match(lambda name: len(name.value), lambda error: error.value), int | str)


def wider(checked: aio.Pipeline[Name, InvalidName]) -> aio.Pipeline[Name | None, InvalidName | InvalidMediaType]:
    return checked


def awaited(checked: aio.Pipeline[Name, InvalidName]) -> Awaitable[Result[Name, InvalidName]]:
    return checked
