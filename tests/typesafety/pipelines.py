"""What every checker must accept, with the types that it must infer. Nothing here runs."""

from typing import assert_type

import attrs
from returns.result import Failure, Result, Success

from ipcfold import (
    IPC, AskError, CloseError, ConnectError, ConnectionClosed, ConnectionDropped, ConnectionLost, ConnectionRefused, Continuation,
    DirectoryUnusable, HandlerFailed, Interrupted, InUse, InvalidMediaType, InvalidName, ListenError, LogFailed, MediaType, Message,
    MessageTooLarge, Name, NameTaken, NoServer, PathTooLong, PeerUntrusted, Pipeline, Process, ProcessClosed, ProtocolBroken, ReceiveError, ReplayDiverged,
    ReplayInterrupted, ReservedMessage, SendError, SystemFailure, TimedOut, Unacknowledged, UnreadExceeded, UsedAfterFork, cases, pipeline,
)  # fmt: skip
from ipcfold import codec as typed_verbs
from ipcfold.codec import Codec, Undecodable, Unencodable
from ipcfold.pointfree import ask, close, send, wait


def steps() -> None:
    checked = pipeline(Name.of("x"))
    assert_type(checked, Pipeline[Name, InvalidName])
    connected = checked.flat_map(IPC().get)
    assert_type(connected, Pipeline[Process, InvalidName | ConnectError])
    assert_type(checked.flat_map(IPC().wait), Pipeline[Process, InvalidName | ConnectError])
    sent = connected.flat_map(send(Message.text("ping")))
    assert_type(sent, Pipeline[Process, InvalidName | ConnectError | SendError])
    assert_type(sent.flat_map(wait()), Pipeline[Message, InvalidName | ConnectError | SendError | ReceiveError])
    assert_type(sent.flat_map(wait(1.0)).result, Result[Message, InvalidName | ConnectError | SendError | ReceiveError])
    assert_type(connected.flat_map(ask(Message.text("ping"), 1.0)), Pipeline[Message, InvalidName | ConnectError | AskError])
    assert_type(connected.flat_map(close()), Pipeline[None, InvalidName | ConnectError | CloseError])


def whole_chain() -> None:
    response = pipeline(Name.of("x")).flat_map(IPC().wait).flat_map(send(Message.text("ping"))).flat_map(wait())
    assert_type(
        response,
        Pipeline[
            Message,
            InvalidName | DirectoryUnusable | PathTooLong | NoServer | PeerUntrusted | ConnectionRefused | ProtocolBroken | TimedOut |
            SystemFailure | MessageTooLarge | ReservedMessage | ProcessClosed | UsedAfterFork | Unacknowledged | ConnectionClosed |
            ConnectionLost | ConnectionDropped | Interrupted | InUse | UnreadExceeded,
        ],
    )  # fmt: skip


def count(message: Message, continuation: Continuation[int], counter: int) -> Continuation[int]:
    return continuation.respond(counter + 1, Message.text("pong"))


def serve(name: Name) -> Result[int, ListenError[int]]:
    return IPC().listen(name)(0, count)


def server() -> None:
    assert_type(pipeline(Name.of("x")).flat_map(serve).result, Result[int, InvalidName | ListenError[int]])


def typed(name: Name) -> Result[MediaType, InvalidMediaType]:
    return MediaType.of(f"{name}/plain")


def recovered(error: InvalidName) -> Result[MediaType, InvalidMediaType]:
    return MediaType.of(error.value)


def other_methods(checked: Pipeline[Name, InvalidName]) -> None:
    assert_type(checked.map(lambda name: name.value), Pipeline[str, InvalidName])
    assert_type(checked.map(str), Pipeline[str, InvalidName])
    assert_type(checked.alt(lambda error: len(error.value)), Pipeline[Name, int])
    assert_type(checked.flat_map(typed), Pipeline[MediaType, InvalidName | InvalidMediaType])
    assert_type(checked.flat_map(lambda name: MediaType.of(f"{name}/plain")), Pipeline[MediaType, InvalidName | InvalidMediaType])
    assert_type(checked.lash(recovered), Pipeline[Name | MediaType, InvalidMediaType])
    assert_type(checked.lash(lambda error: MediaType.of(error.value)), Pipeline[Name | MediaType, InvalidMediaType])
    assert_type(checked.match(lambda name: len(name.value), lambda error: error.value), int | str)
    assert_type(checked.match(len_of, lambda error: len(error.value)), int)


def len_of(name: Name) -> int:
    return len(name.value)


def printed(response: Pipeline[Message, InvalidName | ConnectError | SendError | ReceiveError]) -> None:
    response.match(lambda message: print(message.content), lambda error: print(error))


def wider(checked: Pipeline[Name, InvalidName]) -> Pipeline[Name | None, InvalidName | InvalidMediaType]:
    return checked


def told(response: Pipeline[Message, ReceiveError]) -> str:
    match cases(response.result):
        case Success(message):
            assert_type(message, Message)
            return message.content.decode()
        case Failure(error):
            assert_type(error, ReceiveError)
            match error:
                case TimedOut(timeout=seconds):
                    return f"{seconds}"
                case ConnectionClosed() | ConnectionLost() | ConnectionDropped() | ProtocolBroken() | UnreadExceeded() | Interrupted():
                    return "over"
                case ProcessClosed() | UsedAfterFork() | InUse():
                    return "misused"


def carried(served: Pipeline[int, ListenError[int]]) -> int:
    return served.match(lambda carry: carry, carry_of)


def carry_of(error: ListenError[int]) -> int:
    match error:
        case HandlerFailed(carry=carry) | LogFailed(carry=carry) | ReplayDiverged(carry=carry):
            assert_type(carry, int)
            return carry
        case DirectoryUnusable() | PathTooLong() | NameTaken() | UsedAfterFork() | SystemFailure() | ReplayInterrupted():
            return -1


def pattern_in_two_steps(result: Result[Process | Message, TimedOut]) -> str:
    """No checker sees that `case Success(Process())` and `case Success(Message())` leave nothing out."""
    match cases(result):
        case Success(value):
            match value:
                case Process():
                    return "process"
                case Message():
                    return "message"
        case Failure():
            return "late"


@attrs.frozen
class Resize:
    width: int


@attrs.frozen
class Rotate:
    degrees: float


Job = Resize | Rotate
jobs, totals = Codec(Job), Codec(int)
assert_type(jobs, Codec[Resize | Rotate])
assert_type(Codec(Resize | Rotate), Codec[Resize | Rotate])
Asked = ConnectError | Unencodable | AskError | Undecodable
Waited = ConnectError | Unencodable | SendError | ReceiveError | Undecodable


def values(connected: Pipeline[Process, ConnectError]) -> None:
    assert_type(connected.flat_map(typed_verbs.ask(jobs, Resize(1))), Pipeline[Resize | Rotate, Asked])
    assert_type(connected.flat_map(typed_verbs.ask(jobs, Resize(1), 1.0, responses=totals)), Pipeline[int, Asked])
    assert_type(connected.flat_map(typed_verbs.send(totals, 1)).flat_map(typed_verbs.wait(jobs, 1.0)), Pipeline[Resize | Rotate, Waited])
    assert_type(
        connected.flat_map(typed_verbs.send(jobs, Resize(1), Rotate(1.0))).flat_map(typed_verbs.ask(jobs, Resize(1))),
        Pipeline[Resize | Rotate, Asked],
    )
