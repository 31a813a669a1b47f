"""Programs for the shells over NATS that are wrong. Every checker has errors on the lines with a mark, and on no others. Nothing here runs."""

from returns.result import Result

from ipcfold import IPC, AskError, ConnectError, Continuation, InvalidName, Message, Name, pipeline
from ipcfold import codec as typed
from ipcfold import pointfree as anywhere
from ipcfold.codec import Codec
from ipcfold.nats import NATS, Process
from ipcfold.nats import aio as loops
from ipcfold.nats.pointfree import ask, wait

nats = NATS("nats://127.0.0.1:4222")
later = loops.NATS("nats://127.0.0.1:4222")
numbers = Codec(int)


def errors_of_another_shell() -> Result[Message, InvalidName | ConnectError | AskError]:
    """the errors of sockets for those of a session over NATS"""
    return pipeline(Name.of("x")).flat_map(nats.get).flat_map(anywhere.ask(Message.text("ping"))).result  # refused


def value_of_another_codec() -> None:
    """a value that is not of the codec's type"""
    pipeline(Name.of("x")).flat_map(nats.get).flat_map(typed.ask(numbers, "one"))  # refused


def session_of_another_shell() -> None:
    """the verb of NATS for a connection over sockets"""
    pipeline(Name.of("x")).flat_map(IPC().get).flat_map(ask(Message.text("ping")))  # refused


def forgotten_flat_map() -> None:
    """`map` where a step needs `flat_map`"""
    pipeline(Name.of("x")).map(nats.get).flat_map(wait())  # refused


def hidden_error() -> Result[Process, InvalidName]:
    """a return type that leaves errors out"""
    return pipeline(Name.of("x")).flat_map(nats.get).result  # refused


async def later_handler(message: Message, continuation: Continuation[int], counter: int) -> Continuation[int]:
    return continuation.continue_(counter)


def handler_that_blocks_nothing() -> None:
    """an `async def` for the server that blocks"""
    nats.listen(Name("x"))(0, later_handler)  # refused


async def handler_of_another_carry() -> None:
    """a handler that returns no continuation"""

    async def handler(message: Message, continuation: object, counter: int) -> int:
        return counter

    await later.listen(Name("x"))(0, handler)  # refused
