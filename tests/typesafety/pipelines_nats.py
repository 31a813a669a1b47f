"""What every checker must accept of the shells over NATS, with the types that it must infer. Nothing here runs."""

from typing import assert_type

from returns.result import Failure, Result, Success

from ipcfold import (
    ConnectionClosed, ConnectionLost, Continuation, HandlerFailed, InUse, InvalidName, LogFailed, LogForeign, Message, MessageTooLarge, Name,
    Peer, Pipeline, ProcessClosed, ProtocolBroken, ReservedMessage, TimedOut, UnreadExceeded, UsedAfterFork, aio, cases, errors as local, pipeline,
)  # fmt: skip
from ipcfold import codec as typed
from ipcfold import pointfree as anywhere
from ipcfold.codec import Codec, Undecodable, Unencodable
from ipcfold.log import Snapshots
from ipcfold.nats import (
    NATS, AskError, BrokerRefused, BrokerUnreachable, CloseError, ConnectError, HandlerRaised, ListenError, LookError, NobodyListens,
    NotAuthorized, NotPermitted, Process, ReceiveError, Running, SendError, Unacknowledged,
)  # fmt: skip
from ipcfold.nats import aio as loops
from ipcfold.nats.pointfree import ask, close, send, wait

nats = NATS("nats://127.0.0.1:4222")
later = loops.NATS("nats://127.0.0.1:4222")


def steps() -> None:
    checked = pipeline(Name.of("x"))
    connected = checked.flat_map(nats.get)
    assert_type(connected, Pipeline[Process, InvalidName | ConnectError])
    assert_type(checked.flat_map(nats.wait), Pipeline[Process, InvalidName | ConnectError])
    assert_type(checked.flat_map(nats.exists), Pipeline[bool, InvalidName | LookError])
    sent = connected.flat_map(send(Message.text("ping")))
    assert_type(sent, Pipeline[Process, InvalidName | ConnectError | SendError])
    assert_type(sent.flat_map(wait()), Pipeline[Message, InvalidName | ConnectError | SendError | ReceiveError])
    assert_type(connected.flat_map(ask(Message.text("ping"), 1.0)), Pipeline[Message, InvalidName | ConnectError | AskError])
    assert_type(connected.flat_map(close()), Pipeline[None, InvalidName | ConnectError | CloseError])


def whole_chain() -> None:
    response = pipeline(Name.of("x")).flat_map(nats.wait).flat_map(ask(Message.text("ping")))
    assert_type(
        response,
        Pipeline[
            Message,
            InvalidName | BrokerUnreachable | NotAuthorized | NotPermitted | BrokerRefused | NobodyListens | TimedOut | MessageTooLarge |
            ReservedMessage | ProcessClosed | UsedAfterFork | Unacknowledged | ConnectionClosed | ConnectionLost | ProtocolBroken |
            UnreadExceeded | HandlerRaised,
        ],
    )  # fmt: skip


def steps_of_any_shell() -> None:
    connected = pipeline(Name.of("x")).flat_map(nats.get)
    sent = connected.flat_map(anywhere.send(Message.text("ping")))
    assert_type(sent, Pipeline[Process, InvalidName | ConnectError | SendError])
    assert_type(sent.flat_map(anywhere.wait()), Pipeline[Message, InvalidName | ConnectError | SendError | ReceiveError])
    assert_type(connected.flat_map(anywhere.ask(Message.text("ping"), 1.0)), Pipeline[Message, InvalidName | ConnectError | AskError])
    assert_type(connected.flat_map(anywhere.close()), Pipeline[None, InvalidName | ConnectError | CloseError])


def typed_steps() -> None:
    connected = pipeline(Name.of("x")).flat_map(nats.get)
    asked = connected.flat_map(typed.ask(numbers, 1))
    assert_type(asked, Pipeline[int, InvalidName | ConnectError | Unencodable | AskError | Undecodable])
    other = connected.flat_map(typed.ask(numbers, 1, 1.0, responses=texts))
    assert_type(other, Pipeline[str, InvalidName | ConnectError | Unencodable | AskError | Undecodable])
    sent = connected.flat_map(typed.send(numbers, 1, 2))
    assert_type(sent, Pipeline[Process, InvalidName | ConnectError | Unencodable | SendError])
    waited = sent.flat_map(typed.wait(texts, 1.0))
    assert_type(waited, Pipeline[str, InvalidName | ConnectError | Unencodable | SendError | ReceiveError | Undecodable])


def told(connecting: Result[Process, ConnectError]) -> str:
    match cases(connecting):
        case Success(process):
            return str(process.peer)
        case Failure(error):
            match error:
                case NobodyListens() | TimedOut():
                    return "later"
                case BrokerUnreachable() | NotAuthorized() | NotPermitted() | BrokerRefused():
                    return "ask the operator"


def ended(reason: Unacknowledged) -> str:
    match reason.reason:
        case HandlerRaised(error=error):
            return error
        case ConnectionClosed() | ConnectionLost() | ProtocolBroken() | UnreadExceeded():
            return "the session"
        case BrokerUnreachable() | NotAuthorized() | BrokerRefused() | NotPermitted():
            return "the broker"


def count(message: Message, continuation: Continuation[int], counter: int) -> Continuation[int]:
    return continuation.respond(counter + 1, Message.text("pong"))


def left(peer: Peer, continuation: Continuation[int], counter: int) -> Continuation[int]:
    return continuation.continue_(counter)


def woken(continuation: Continuation[int], counter: int) -> Continuation[int]:
    return continuation.continue_(counter)


async def count_later(message: Message, continuation: Continuation[int], counter: int) -> Continuation[int]:
    return continuation.respond(counter + 1, Message.text("pong"))


numbers = Codec(int)
texts = Codec(str)
snapshots = Snapshots(numbers)


def serve(name: Name) -> Result[int, ListenError[int]]:
    assert_type(nats.listen(name)(0, count), Result[int, ListenError[int]])
    assert_type(nats.listen(name).adopting()(0, count, left, woken=woken, snapshots=snapshots), Result[int, ListenError[int]])
    assert_type(nats.listen(name).start(0, count), Running[int])
    assert_type(nats.listen(name).start(0, count).result(1.0), Result[int, ListenError[int] | TimedOut])
    return nats.listen(name)(0, count)


def served(result: Result[int, ListenError[int]]) -> int:
    match cases(result):
        case Success(carry):
            return carry
        case Failure(error):
            match error:
                case HandlerFailed(carry=carry) | LogFailed(carry=carry):
                    return carry
                case BrokerUnreachable() | NotAuthorized() | NotPermitted() | BrokerRefused() | LogForeign():
                    return 0


async def steps_of_a_loop() -> None:
    checked = aio.pipeline(Name.of("x"))
    connected = checked.flat_map(later.get)
    assert_type(connected, aio.Pipeline[loops.Process, InvalidName | ConnectError])
    assert_type(
        connected.flat_map(lambda process: process.ask(Message.text("ping"))),
        aio.Pipeline[Message, InvalidName | ConnectError | loops.AskError],
    )
    assert_type(await (await later.wait(Name("x"))).unwrap().send(Message.text("ping")), Result[loops.Process, SendError | InUse])
    sent = connected.flat_map(anywhere.send(Message.text("ping")))
    assert_type(sent, aio.Pipeline[loops.Process, InvalidName | ConnectError | loops.SendError])
    assert_type(sent.flat_map(anywhere.wait()), aio.Pipeline[Message, InvalidName | ConnectError | loops.SendError | loops.ReceiveError])
    assert_type(connected.flat_map(anywhere.ask(Message.text("ping"))), aio.Pipeline[Message, InvalidName | ConnectError | loops.AskError])
    assert_type(connected.flat_map(anywhere.close()), aio.Pipeline[None, InvalidName | ConnectError | loops.CloseError])
    asked = connected.flat_map(typed.ask(numbers, 1))
    assert_type(asked, aio.Pipeline[int, InvalidName | ConnectError | Unencodable | loops.AskError | Undecodable])
    waited = connected.flat_map(typed.send(numbers, 1)).flat_map(typed.wait(texts))
    assert_type(waited, aio.Pipeline[str, InvalidName | ConnectError | Unencodable | loops.SendError | loops.ReceiveError | Undecodable])


async def steps_of_a_loop_over_sockets() -> None:
    connected = aio.pipeline(Name.of("x")).flat_map(aio.IPC().get)
    asked = connected.flat_map(anywhere.ask(Message.text("ping")))
    assert_type(asked, aio.Pipeline[Message, InvalidName | local.ConnectError | local.AskError])
    counted = connected.flat_map(typed.ask(numbers, 1))
    assert_type(counted, aio.Pipeline[int, InvalidName | local.ConnectError | Unencodable | local.AskError | Undecodable])
    sent = connected.flat_map(typed.send(numbers, 1))
    assert_type(sent, aio.Pipeline[aio.Process, InvalidName | local.ConnectError | Unencodable | local.SendError])


async def one_step_of_a_loop(name: Name) -> None:
    assert_type(await later.processes(), Result[frozenset[Name], LookError])


async def serve_in_a_loop(name: Name) -> Result[int, ListenError[int]]:
    assert_type(await later.listen(name)(0, count), Result[int, ListenError[int]])
    return await later.listen(name)(0, count_later, left, woken=woken, snapshots=snapshots)
