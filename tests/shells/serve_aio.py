"""A server process in an event loop: `python -m tests.shells.serve_aio LOOP HANDLER DIRECTORY NAME [OPTIONS]`; see `tests.shells.serve`.

LOOP is `asyncio` or `uvloop`. HANDLER is `plain`, `async` or `recorded`.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from typing import Any, TypeVar

from returns.result import Failure, Result, Success

from ipcfold import Continuation, ListenError, Message, Name, UsedAfterFork, aio, cases
from tests.shells.handlers import EMPTY, Log, log
from tests.shells.serve import served
from tests.wire.recordings import handle

C = TypeVar("C")

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def loop_factory(loop: str) -> Callable[[], asyncio.AbstractEventLoop]:
    """Makes loops of that kind."""
    if loop == "uvloop":
        import uvloop  # noqa: PLC0415 - only where it is installed

        return uvloop.new_event_loop
    return asyncio.new_event_loop


async def released(path: str) -> None:
    """Wait until somebody has opened and closed the other end of this fifo."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    loop, closed = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(descriptor, closed.set)
    try:
        await closed.wait()
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)


async def log_later(message: Message, continuation: Continuation[Log], carry: Log) -> Continuation[Log]:
    """Do the same as `log`, but wait for the fifo without blocking the loop."""
    content = message.content.decode()
    verb, _, argument = content.partition(" ")
    if verb == "block":
        await released(argument)
        return continuation.respond((*carry, content), Message.text("released"))
    if len(carry) % 2:
        await asyncio.sleep(0)  # every second message is answered in a later turn
    answer = log(message, continuation, carry)
    return await answer if asyncio.iscoroutine(answer) else answer


def main(loop: str, kind: str, directory: str, name: str, *options: str) -> None:
    first: Any = 0 if kind == "recorded" else EMPTY  # Any: one program for handlers of two types
    handler: Any = {"plain": log, "async": log_later, "recorded": handle}[kind]  # Any: as above

    def serve(directory: str, name: Name, timeout: float | None, first: C, **options: Any) -> Result[C, ListenError[C]]:
        async def run() -> Result[C, ListenError[C]]:
            result = await aio.IPC(directory, **options).listen(name, timeout, signals=SIGNALS)(first, handler)
            match cases(result):
                case Failure(UsedAfterFork()):  # this child must not end the loop, whose poller it shares with its parent
                    os._exit(0)
                case Success() | Failure():
                    return result

        with asyncio.Runner(loop_factory=loop_factory(loop)) as runner:
            return runner.run(run())

    served(serve, first, directory, name, *options)


if __name__ == "__main__":
    main(*sys.argv[1:])
