"""Programs for the asyncio shell that are wrong. Every checker has errors on the lines with a mark, and on no others. Nothing here runs."""

from returns.result import Result

from ipcfold import InvalidName, Message, Name, aio
from ipcfold.aio import ask, pipeline, send, wait

ipc = aio.IPC()


async def forgotten_flat_map() -> None:
    """`map` where a step needs `flat_map`"""
    await pipeline(Name.of("x")).map(ipc.get).flat_map(wait())  # refused


async def step_in_the_wrong_place() -> None:
    """a step that takes another value"""
    await pipeline(Name.of("x")).flat_map(send(Message.text("ping")))  # refused


async def step_without_its_call() -> None:
    """`flat_map(wait)` instead of `flat_map(wait())`"""
    await pipeline(Name.of("x")).flat_map(ipc.get).flat_map(wait)  # refused


async def plain_step() -> None:
    """`flat_map` with a function that returns no `Result`"""
    await pipeline(Name.of("x")).flat_map(str)  # refused


async def wrong_argument() -> None:
    """a wrong argument to `ask`"""
    await pipeline(Name.of("x")).flat_map(ipc.get).flat_map(ask("ping"))  # refused


async def forgotten_await() -> bytes:
    """the `Pipeline` used as its result"""
    return pipeline(Name.of("x")).flat_map(ipc.get).flat_map(wait()).unwrap()  # refused


async def hidden_error() -> Result[Message, InvalidName]:
    """a return type that leaves errors out"""
    return await pipeline(Name.of("x")).flat_map(ipc.get).flat_map(wait())  # refused


async def handler_of_another_carry() -> None:
    """a handler that returns no continuation"""

    async def handler(message: Message, continuation: object, counter: int) -> int:
        return counter

    await ipc.listen(Name("x"))(0, handler)  # refused
