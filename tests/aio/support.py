"""Loops for the tests of the asyncio shell, and servers in them."""

import asyncio
import gc
import os
import warnings
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeVar

import pytest
from returns.result import Result

from ipcfold import ListenError, Name, aio
from tests.shells.serve_aio import loop_factory
from tests.shells.support import NAME, PATIENCE

C = TypeVar("C")
T = TypeVar("T")

LOOPS = pytest.mark.parametrize("loop", ["asyncio", "uvloop"])


def run(main: Callable[[], Coroutine[Any, Any, T]], loop: str = "asyncio", patience: float = PATIENCE) -> T:
    """Run it in a loop of that kind, in debug mode. No task, socket or warning may be left of it."""
    before = descriptors()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        problems = list[object]()
        with asyncio.Runner(loop_factory=loop_factory(loop), debug=loop == "asyncio") as runner:
            runner.get_loop().slow_callback_duration = PATIENCE
            runner.get_loop().set_exception_handler(lambda _, context: problems.append(context))
            result = runner.run(_alone(main, patience))
            gc.collect()
        assert problems == []
    gc.collect()
    assert descriptors() == before
    return result


async def _alone(main: Callable[[], Coroutine[Any, Any, T]], patience: float) -> T:
    async with asyncio.timeout(patience):
        result = await main()
    gc.collect()
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == {asyncio.current_task()}
    return result


async def turns(count: int) -> None:
    """Let the other tasks of the loop go on for so many turns of it."""
    for _ in range(count):
        await asyncio.sleep(0)


def descriptors() -> int:
    """The number of open files of this process that are sockets or pollers."""
    found = 0
    for each in os.listdir("/proc/self/fd"):
        with suppress(FileNotFoundError):  # that of the list itself
            found += os.readlink(f"/proc/self/fd/{each}").startswith(("socket:", "anon_inode:"))
    return found


@asynccontextmanager
async def serving(
    ipc: aio.IPC, handler: aio.Handler[C], carry: C, name: Name = NAME, **options: Any
) -> AsyncIterator[asyncio.Task[Result[C, ListenError[C]]]]:
    """A server in this loop that listens, and ends with the block."""
    server = asyncio.create_task(ipc.listen(name)(carry, handler, **options))
    (await (await ipc.wait(name, PATIENCE)).unwrap().close()).unwrap()
    try:
        yield server
    finally:
        server.cancel()
        await asyncio.wait([server])
