"""An event loop on a thread of its own, for code that blocks."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from threading import Thread
from typing import Any, TypeVar, final

T = TypeVar("T")


@final
class Portal:
    """An event loop on a thread of its own."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._run, name="ipcfold nats", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_forever()
        finally:
            self._loop.close()

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run it there, and wait for its result. An exception that comes meanwhile, such as Ctrl-C, cancels it."""
        running: Future[T] = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        try:
            return running.result()
        except BaseException:
            running.cancel()
            raise

    def finish(self, coroutine: Callable[[], Coroutine[Any, Any, object]]) -> None:
        """Run it there, and then end the loop and the thread, without waiting for any of that."""

        async def last() -> None:
            try:
                await coroutine()
            finally:
                self._loop.stop()

        def begin() -> None:
            self._last = self._loop.create_task(last())

        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(begin)

    def close(self) -> None:
        """End the loop and the thread, and wait for that."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
