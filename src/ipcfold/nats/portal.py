"""An event loop on a thread of its own, for code that blocks."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import Future, wait
from threading import RLock, Thread
from typing import Any, Final, TypeVar, final

T = TypeVar("T")

_FINISH: Final = 1.0  # seconds that verbs which were interrupted have to let go of what they hold

# Any: what a coroutine yields to the loop and gets from it, which is the loop's affair.


class ClosedError(Exception):
    """The loop has ended."""


@final
class Portal:
    """An event loop on a thread of its own."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._lock = RLock()  # a signal handler may use a session that a verb is using
        self._running = set[Future[Any]]()
        self._closed = False
        self._thread = Thread(target=self._run, name="ipcfold nats", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_forever()
            self._loop.run_until_complete(_ended())
        finally:
            left = asyncio.all_tasks(self._loop)
            for task in left:
                task.cancel()
            self._loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
            self._loop.close()

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run it there, and wait for its result. An exception that comes meanwhile, such as Ctrl-C, cancels it.

        Raises `ClosedError` if the loop has ended, or is about to.
        """
        with self._lock:
            if self._closed:
                coroutine.close()
                raise ClosedError
            running: Future[T] = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
            self._running.add(running)
        running.add_done_callback(self._running.discard)
        try:
            return running.result()
        except BaseException:
            running.cancel()
            raise

    def finish(self, coroutine: Callable[[], Coroutine[Any, Any, object]]) -> None:
        """Run it there, and then end the loop and the thread, without waiting for any of that. Nobody may use the portal any more."""

        async def last() -> None:
            try:
                await coroutine()
            finally:
                self._loop.stop()

        def begin() -> None:
            self._last = self._loop.create_task(last())

        if not self._closed:
            self._closed = True
            self._loop.call_soon_threadsafe(begin)

    def close(self) -> None:
        """End the loop and the thread, after what runs there for other threads, and wait for that."""
        with self._lock:
            closed, self._closed = self._closed, True
        wait(tuple(self._running))
        if not closed:
            self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()


async def _ended() -> None:
    """Let everything end that still runs in this loop."""
    rest = asyncio.all_tasks() - {asyncio.current_task()}
    for task in rest:
        if not task.cancelling():
            task.cancel()
    if rest:
        await asyncio.wait(rest, timeout=_FINISH)
