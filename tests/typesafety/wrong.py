"""What mypy must refuse: each line with a mark behind it that says the code, and no other. Nothing here runs."""

import attrs
from returns.pipeline import flow
from returns.result import Failure, Result, Success

from ipcfold import IPC, Continuation, Handler, InvalidName, ListenError, Message, Name, Peer, Process, ReceiveError, TimedOut, cases, fold
from ipcfold import codec as typed_verbs
from ipcfold.codec import Codec, TypedContinuation, typed
from ipcfold.events import Event, Folded
from ipcfold.handlers import Remembered, once, rescue, route
from ipcfold.pointfree import flat_map, send, wait
from ipcfold.testing import ProtocolMachine, Send, simulate


def count(message: Message, continuation: Continuation[int], counter: int) -> Continuation[int]:
    return continuation.respond(counter + 1)


def bare(message: Message, continuation: Continuation[int], counter: int) -> int:
    return counter + 1


async def later(message: Message, continuation: Continuation[int], counter: int) -> Continuation[int]:
    return continuation


def gone(peer: Peer, continuation: Continuation[int], counter: int) -> Continuation[int]:
    return continuation


def mixed(message: Message, continuation: Continuation[int], counter: int) -> Continuation[str]:
    return Continuation("text")


def confused(message: Message, continuation: Continuation[int], counter: int) -> Continuation[int]:
    return continuation.stop("text")  # refused: arg-type


def forgetful(message: Message, continuation: Continuation[int], counter: int) -> Continuation[int]:
    return continuation.respond(Message.text("pong"))  # refused: arg-type


def noisy(message: Message, continuation: Continuation[int], counter: int) -> Continuation[int]:
    return continuation.respond(counter, "pong")  # refused: arg-type


server = IPC().listen(Name("x"))
server(0, bare)  # refused: arg-type
server(0, mixed)  # refused: arg-type
server("text", count)  # refused: arg-type
server(0, lambda message, continuation, carry: carry)  # refused: arg-type return-value
fold(bare, 0, [])  # refused: arg-type
handler: Handler[str] = count  # refused: assignment

continuation = Continuation(0)
continuation.carry = 1  # refused: misc
Name("x").value = "y"  # refused: misc
Name.of(3)  # refused: arg-type
Message.text(b"bytes")  # refused: arg-type
IPC().listen("x")  # refused: arg-type
IPC().wait("x")  # refused: arg-type


# A pipeline whose steps do not fit, and one that hides what can go wrong


def use(process: Process) -> None:
    flow(Name.of("x"), flat_map(send(Message.text("ping"))))  # refused: arg-type
    flow(process, wait(), flat_map(wait()))  # refused: arg-type


hidden: Result[Message, InvalidName] = flow(Name.of("x"), flat_map(IPC().wait), flat_map(wait()))  # refused: arg-type assignment


def narrow(name: Name) -> Result[int, TimedOut]:
    return IPC().listen(name)(0, count)  # refused: return-value


# A match that forgets a case


def half(result: Result[int, ListenError[int]]) -> int:  # refused: return
    match cases(result):  # refused: exhaustive-match
        case Success(carry):
            return carry


def some(result: Result[Message, ReceiveError]) -> str:  # refused: return
    match cases(result):
        case Success(message):
            return str(message)
        case Failure(error):
            match error:  # refused: exhaustive-match
                case TimedOut():
                    return "late"


# Combinators of functions that do not fit

rescue(count, 3)  # refused: call-overload
rescue(bare, Message.text("no"))  # refused: arg-type
server(0, once(count))  # refused: arg-type
server(Remembered(0), once(count), left=gone)  # refused: arg-type
server(0, later)  # refused: arg-type
route({"text/plain": count}, mixed)  # refused: misc
route({3: count}, count)  # refused: dict-item


# Observers and tests that do not fit


def half_told(event: Event) -> str:  # refused: return
    match event:  # refused: exhaustive-match
        case Folded():
            return "folded"


IPC(observe=narrow)  # refused: arg-type
simulate(count, "text", [])  # refused: arg-type
simulate(count, 0, [Message.text("ping")])  # refused: list-item
Send("ann", "ping")  # refused: arg-type


class Wrong(ProtocolMachine[int]):
    def check(self, carry: str) -> None: ...  # refused: override


# The returns plugin is on: without it, this partial application would go through

from returns.curry import partial

partial(narrow, "x")  # refused: arg-type


# Values that are not of the codec's type, handlers of others, and a union that is not exhausted


@attrs.frozen
class Resize:
    width: int


@attrs.frozen
class Rotate:
    degrees: float


jobs, totals = Codec(Resize | Rotate), Codec(int)


def counted(job: Resize | Rotate, continuation: TypedContinuation[int, int], count: int) -> TypedContinuation[int, int]:
    return continuation.respond(count + 1, Resize(1))  # refused: arg-type


def halved(job: Resize | Rotate, continuation: TypedContinuation[int, int], count: int) -> TypedContinuation[int, int]:
    match job:  # refused: exhaustive-match
        case Resize():
            return continuation.stop(count)
    return continuation


def raw(job: Resize | Rotate, continuation: TypedContinuation[int, int], count: int) -> TypedContinuation[int, int]:
    return continuation.respond(count, Message.text("pong"))  # refused: arg-type


Codec(3)  # refused: arg-type
jobs.encode(1)  # refused: arg-type
jobs.media_type = None  # refused: misc assignment
typed(totals, counted)  # refused: arg-type
typed(jobs, counted)  # refused: arg-type
typed(jobs, counted, responses=jobs)  # refused: arg-type
IPC().listen(Name("x"))("text", typed(jobs, counted, responses=totals))  # refused: arg-type
typed_verbs.send(jobs, Resize(1), 2)  # refused: misc
typed_verbs.ask(jobs, 1)  # refused: misc
wide: Codec[Resize | Rotate | int] = jobs  # refused: assignment
answer: Result[Resize, TimedOut] = flow(Name("x"), IPC().get, flat_map(typed_verbs.ask(jobs, Resize(1))))  # refused: arg-type assignment
