"""What the tests of the shells over NATS share."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, TypeAlias, TypeVar

from returns.result import Failure, Result

from ipcfold import Continuation, Message, Name
from ipcfold.nats.aio import NATS
from ipcfold.nats.broker import Broker, Unanswered
from ipcfold.nats.subjects import Subjects
from tests.shells.handlers import EMPTY, Log
from tests.shells.handlers import log as plain
from tests.shells.support import PATIENCE

T = TypeVar("T")

Serving: TypeAlias = "asyncio.Task[Result[Any, Any]]"


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a test in an event loop."""

    async def limited() -> T:
        async with asyncio.timeout(PATIENCE):
            return await coroutine

    return asyncio.run(limited())


def log(message: Message, continuation: Continuation[Log], carry: Log) -> Continuation[Log]:
    """Log every message and do what it says, as servers over sockets do; and `tell` and `defer`."""
    verb, _, argument = message.content.decode().partition(" ")
    noted = (*carry, message.content.decode())
    match verb:
        case "tell":
            return continuation.tell(noted, continuation.peer, Message.text(argument))
        case "wake":
            return continuation.wake(noted, continuation.now + float(argument))
        case _:
            return plain(message, continuation, carry)


@asynccontextmanager
async def serving(nats: NATS, name: Name, handler: Callable[..., Any] = log, **options: Any) -> AsyncIterator[Serving]:
    """A server that is up, as a task, which is cancelled in the end. `task`: that of another user."""
    functions = {key: options.pop(key) for key in ("left", "woken") if key in options}
    served = options.pop("task", None)
    task = asyncio.create_task(served or nats.listen(name, **options)(EMPTY, handler, **functions))
    try:
        await ready(nats, name, task)
        yield task
    finally:
        if not task.done():
            task.cancel()
        await task


async def ready(nats: NATS, name: Name, task: "asyncio.Task[Any]") -> None:
    """Wait until the server has greeted, or has ended."""
    waiting = asyncio.create_task(nats.wait(name, PATIENCE))
    await asyncio.wait((waiting, task), return_when=asyncio.FIRST_COMPLETED)
    if waiting.done():
        await waiting.result().unwrap().close()
    else:
        waiting.cancel()


async def standing_by(url: str, name: Name) -> None:
    """Wait until a server that does not lead is there."""
    broker = (await Broker.open(NATS(url).address, PATIENCE)).unwrap()
    while await broker.request(Subjects(name).standby) == Failure(Unanswered.NOBODY):
        await asyncio.sleep(0)
    await broker.close()
