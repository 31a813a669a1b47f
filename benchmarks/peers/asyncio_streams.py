"""The standard library's streams, in its own loop."""

from __future__ import annotations

from asyncio import AbstractEventLoop, new_event_loop
from collections.abc import Callable
from typing import Final, final

from benchmarks.peers.streams import AcknowledgingStreams, StreamPerTask, Streams


@final
class AsyncioStreams(Streams):
    """Streams in the loop of asyncio."""

    title = "asyncio streams"

    @property
    def loop(self) -> Callable[[], AbstractEventLoop]:
        """Its own."""
        return new_event_loop


@final
class AcknowledgingAsyncioStreams(AcknowledgingStreams):
    """The same with acknowledgements."""

    title = "asyncio streams, acknowledging"

    @property
    def loop(self) -> Callable[[], AbstractEventLoop]:
        """Its own."""
        return new_event_loop


@final
class AsyncioStreamPerTask(StreamPerTask):
    """A stream for each task."""

    title = "asyncio streams, one for each task"

    @property
    def loop(self) -> Callable[[], AbstractEventLoop]:
        """Its own."""
        return new_event_loop


CONTESTANTS: Final = (AsyncioStreams(), AsyncioStreamPerTask(), AcknowledgingAsyncioStreams())
