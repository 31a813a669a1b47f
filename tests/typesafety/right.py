"""What mypy must accept, with the types it must infer. Nothing here runs."""

from typing import Generic, TypeVar, assert_type

import attrs
from cattrs.preconf.msgpack import make_converter
from hypothesis.strategies import SearchStrategy
from returns.maybe import Maybe
from returns.pipeline import flow
from returns.result import Failure, Result, Success

from ipcfold import (
    IPC, AskError, Came, CloseError, ConnectError, Continuation, Handler, HandlerFailed, InvalidMediaType, InvalidName, ListenError, LogError,
    LogFailed, MediaType, Message, Name, Peer, Process, ReceiveError, ReplayDiverged, ReplayInterrupted, SendError, Server, TimedOut, Woken, cases, fold,
)  # fmt: skip
from ipcfold import codec as typed_verbs
from ipcfold.codec import Codec, TypedContinuation, Undecodable, Unencodable, typed
from ipcfold.events import Connected, Departure, Disconnected, Event, Folded, Listening, Refused, Stopping
from ipcfold.handlers import Remembered, once, rescue, route
from ipcfold.log import MemoryLog, Snapshots, SQLiteLog
from ipcfold.otel import observer
from ipcfold.pointfree import ask, close, flat_map, send, wait
from ipcfold.testing import Client, Elapse, Kill, ProtocolMachine, Send, Simulation, messages, replayed, simulate
from ipcfold.testing.plugin import Running, Serve


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


def left(peer: Peer, continuation: Continuation[int], counter: int) -> Continuation[int]:
    return continuation.tell(counter - 1, peer, Message.text("bye")).wake(counter - 1, continuation.now + 5)


def woken(continuation: Continuation[int], counter: int) -> Continuation[int]:
    return continuation.defer(counter).answer(counter, continuation.ticket, Message.text("late")).wake(counter, None)


assert_type(IPC().listen(Name("x"))(0, count, left, woken), Result[int, ListenError[int]])
assert_type(IPC().listen(Name("x")).start(0, count, left=left).result(1.0), Result[int, ListenError[int] | TimedOut])

# A log

logged = IPC().listen(Name("x"), log=SQLiteLog.of("log"), standby=True)
assert_type(logged(0, count, snapshots=Snapshots(Codec(int))), Result[int, ListenError[int]])
assert_type(IPC().listen(Name("x"), log=MemoryLog())(0, count), Result[int, ListenError[int]])
assert_type(SQLiteLog.of("log").map(SQLiteLog.adopting), Result[SQLiteLog, LogError])
assert_type(replayed(count, MemoryLog(), 0), Result[int, LogFailed[int] | ReplayDiverged[int] | ReplayInterrupted])
assert_type(IPC().steady(Name("x")).ask(Message.text("ping")), Result[Message, ConnectError | AskError])
assert_type(IPC().get(Name("x")).unwrap().epoch, Maybe[int])
assert_type(fold(count, 0, [Came(0.0, Peer(1), Message.text("x")), Woken(1.0)], woken=woken), Result[Continuation[int], HandlerFailed[int]])
assert_type(rescue(count, lambda error: Message.text(str(error))), Handler[int])
assert_type(once(rescue(count, Message.text("no"))), Handler[Remembered[int]])
assert_type(route({"text/plain": count}, otherwise=count), Handler[int])
assert_type(IPC().listen(Name("x"))(Remembered(0), once(count)), Result[Remembered[int], ListenError[Remembered[int]]])

# A client: a pipeline's type lists exactly what can go wrong; pipelines.py lists the members of the unions

assert_type(
    flow(Name.of("x"), flat_map(IPC().wait), flat_map(send(Message.text("ping"))), flat_map(wait())),
    Result[Message, InvalidName | ConnectError | SendError | ReceiveError],
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

# Typed messages: the type of a codec is found, also of a union, and so is that of a pipeline, wherever in it the verb stands

T = TypeVar("T")


@attrs.frozen
class Resize:
    width: int


@attrs.frozen
class Rotate:
    degrees: float


@attrs.frozen
class Box(Generic[T]):
    content: T


Job = Resize | Rotate
jobs, totals = Codec(Job), Codec(int)
assert_type(jobs, Codec[Resize | Rotate])
assert_type(Codec(Resize), Codec[Resize])
assert_type(Codec(Resize | Rotate), Codec[Resize | Rotate])
assert_type(Codec(Box[int]), Codec[Box[int]])
assert_type(Codec(Job, MediaType("application", "vnd.msgpack"), make_converter()), Codec[Resize | Rotate])
assert_type(jobs.encode(Resize(1)), Result[Message, Unencodable])
assert_type(jobs.decode(Message.text("")), Result[Resize | Rotate, Undecodable])


def widest(job: Job, continuation: TypedContinuation[int, Job], most: int) -> TypedContinuation[int, Job]:
    match job:
        case Resize(width=width):
            return continuation.respond(max(most, width), job).continue_(max(most, width))
        case Rotate():
            assert_type(job, Rotate)
            return continuation.respond(most, job, Resize(most)).close(most)


def counted(job: Job, continuation: TypedContinuation[int, int], count: int) -> TypedContinuation[int, int]:
    return continuation.respond(count + 1, count + 1)


def refused(error: Undecodable, continuation: TypedContinuation[int, int], count: int) -> TypedContinuation[int, int]:
    return continuation.respond(count, -1).close(count)


assert_type(typed(jobs, widest), Handler[int])
assert_type(typed(jobs, counted, responses=totals, undecodable=refused), Handler[int])
assert_type(IPC().listen(Name("x"))(0, typed(jobs, counted, responses=totals)), Result[int, ListenError[int]])
assert_type(fold(typed(jobs, widest), 0, []), Result[Continuation[int], HandlerFailed[int]])
lines: Handler[list[int]] = typed(totals, lambda total, continuation, carry: continuation.respond([*carry, total], len(carry)))

Asked = ConnectError | Unencodable | AskError | Undecodable
Waited = ConnectError | Unencodable | SendError | ReceiveError | Undecodable

assert_type(flow(Name("x"), IPC().get, flat_map(typed_verbs.ask(jobs, Resize(1)))), Result[Resize | Rotate, Asked])
assert_type(flow(Name("x"), IPC().get, flat_map(typed_verbs.ask(jobs, Resize(1), 1.0, responses=totals))), Result[int, Asked])
assert_type(
    flow(Name("x"), IPC().get, flat_map(typed_verbs.send(jobs, Resize(1), Rotate(1.0))), flat_map(typed_verbs.ask(jobs, Resize(1)))),
    Result[Resize | Rotate, Asked],
)
assert_type(
    flow(Name("x"), IPC().get, flat_map(typed_verbs.send(totals, 1)), flat_map(typed_verbs.wait(jobs, 1.0))),
    Result[Resize | Rotate, Waited],
)


def resized(name: Name) -> Result[Job, Waited]:
    return flow(name, IPC().get, flat_map(typed_verbs.send(totals, 1)), flat_map(typed_verbs.wait(jobs)))


def asked(result: Result[Job, Unencodable | Undecodable | TimedOut]) -> str:
    match cases(result):
        case Success(job):
            match job:
                case Resize(width=width):
                    return f"{width}"
                case Rotate(degrees=degrees):
                    return f"{degrees}"
        case Failure(error):
            match error:
                case Undecodable(message=message, reason=reason):
                    return f"{message.content!r} {reason}"
                case Unencodable() | TimedOut():
                    return str(error)


# Observers and tests of one's own


def tell(event: Event) -> str:
    match event:
        case Listening() | Connected() | Refused():
            return "came"
        case Folded(duration=seconds):
            assert_type(seconds, float)
            return "folded"
        case Disconnected(departure=departure):
            assert_type(departure, Departure)
            return departure.value
        case Stopping(ending=ending):
            return ending.value


happened: list[Event] = []
IPC(observe=tell)
IPC(observe=happened.append)
IPC(observe=observer())
assert_type(simulate(count, 0, [Send("ann", Message.text("ping")), Kill("ann", lost=3), Elapse(1)]), Simulation[int])
assert_type(simulate(count, 0, []).carry, int)
assert_type(simulate(count, 0, []).clients["ann"].answers, tuple[tuple[Message, ...], ...])


class Counting(ProtocolMachine[int]):
    def server(self) -> tuple[int, Handler[int]]:
        return 0, count

    def messages(self, client: Client) -> SearchStrategy[Message]:
        return messages()

    def check(self, carry: int) -> None:
        assert_type(self.carry, int)


def test_served(serve: Serve) -> None:
    assert_type(serve(count, 0), Running[int])
    assert_type(serve(count, 0, Name("x")).stop(), Result[int, ListenError[int]])
