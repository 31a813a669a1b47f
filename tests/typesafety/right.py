"""What mypy must accept, with the types it must infer. Nothing here runs."""

from typing import assert_type

from returns.maybe import Maybe
from returns.pipeline import flow
from returns.result import Failure, Result, Success

from ipcfold import (
    IPC,
    AskError,
    CloseError,
    ConnectError,
    ConnectionClosed,
    ConnectionDropped,
    ConnectionLost,
    ConnectionRefused,
    Continuation,
    DirectoryUnusable,
    Handler,
    HandlerFailed,
    Interrupted,
    InUse,
    InvalidMediaType,
    InvalidName,
    ListenError,
    MediaType,
    Message,
    MessageTooLarge,
    Name,
    NameTaken,
    NoServer,
    PathTooLong,
    PeerUntrusted,
    Process,
    ProcessClosed,
    ProtocolBroken,
    ReceiveError,
    ReservedMessage,
    SendError,
    Server,
    SystemFailure,
    TimedOut,
    Unacknowledged,
    UnreadExceeded,
    UsedAfterFork,
    cases,
    fold,
)
from ipcfold.pointfree import ask, close, flat_map, send, wait


# A server


def count(message: Message, continuation: Continuation[int], counter: int) -> Continuation[int]:
    if counter == 42:
        return continuation.stop(counter)
    return continuation.respond(counter + 1, Message.text("pong"))


def collect(message: Message, continuation: Continuation[list[bytes]], carry: list[bytes]) -> Continuation[list[bytes]]:
    return continuation.continue_([*carry, message.content])


def serve(name: Name) -> Result[int, ListenError[int]]:
    return IPC().listen(name)(0, count)


handler: Handler[int] = count
assert_type(flow(Name.of("server-name"), flat_map(serve)), Result[int, InvalidName | ListenError[int]])
assert_type(IPC().listen(Name("x")), Server)
assert_type(IPC("/tmp", heartbeat=2, trust=lambda peer: peer.uid == 0).listen(Name("x"), 1.5)(0, count), Result[int, ListenError[int]])
assert_type(IPC().listen(Name("x"))(0, lambda message, continuation, carry: continuation.stop(carry)), Result[int, ListenError[int]])
nothing_yet: list[bytes] = []
assert_type(IPC().listen(Name("x"))(nothing_yet, collect), Result[list[bytes], ListenError[list[bytes]]])
assert_type(fold(count, 0, [Message.text("ping")]), Result[Continuation[int], HandlerFailed[int]])

# A client: a pipeline's type lists exactly what can go wrong

assert_type(
    flow(Name.of("x"), flat_map(IPC().wait), flat_map(send(Message.text("ping"))), flat_map(wait())),
    Result[Message, InvalidName | ConnectError | SendError | ReceiveError],
)
assert_type(
    flow(Name.of("x"), flat_map(IPC().wait), flat_map(send(Message.text("ping"))), flat_map(wait())),
    Result[
        Message,
        InvalidName
        | DirectoryUnusable
        | PathTooLong
        | NoServer
        | PeerUntrusted
        | ConnectionRefused
        | ProtocolBroken
        | TimedOut
        | SystemFailure
        | MessageTooLarge
        | ReservedMessage
        | ProcessClosed
        | UsedAfterFork
        | Unacknowledged
        | ConnectionClosed
        | ConnectionLost
        | ConnectionDropped
        | Interrupted
        | InUse
        | UnreadExceeded,
    ],
)
assert_type(flow(Name("x"), IPC().get, flat_map(ask(Message.text("a"), 1.0))), Result[Message, ConnectError | AskError])
assert_type(flow(Name("x"), IPC().get, flat_map(close())), Result[None, ConnectError | CloseError])


def use(process: Process) -> None:
    assert_type(process.send(Message.text("a"), Message.octets(b"b")), Result[Process, SendError])
    assert_type(process.wait(1), Result[Message, ReceiveError])
    assert_type(process.ask(Message.text("a")), Result[Message, AskError])
    with process as same:
        assert_type(same, Process)


# Maybe, too


def shout(text: str) -> Maybe[str]:
    return Maybe.from_value(text.upper())


assert_type(flow(Name.maybe("x"), flat_map(lambda name: Maybe.from_value(str(name)))), Maybe[str])
assert_type(MediaType.of("text/plain").unwrap().parameter("charset"), Maybe[str])
assert_type(flow(MediaType("text", "plain").parameter("charset"), flat_map(shout)), Maybe[str])
assert_type(Message.of("text/plain", "a"), Result[Message, InvalidMediaType])

# Every door's union can be exhausted


def told(result: Result[Message, ReceiveError]) -> str:
    match cases(result):
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


def carried(result: Result[int, ListenError[int]]) -> int:
    match cases(result):
        case Success(carry):
            return carry
        case Failure(error):
            match error:
                case HandlerFailed(carry=carry):
                    assert_type(carry, int)
                    return carry
                case DirectoryUnusable() | PathTooLong() | NameTaken() | UsedAfterFork() | SystemFailure():
                    return -1
