"""The clock of a server, and of the connections of an event loop: that of the system, or one that a test moves."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, Protocol, final

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop  # servers that block never need it


class Timer(Protocol):
    """A call that is still to come."""

    def cancel(self) -> None:
        """Leave it out. A second call does nothing."""
        ...


class Clock(Protocol):
    """A clock, and how to wait until it has come to a time."""

    def monotonic(self) -> float:
        """The time in seconds. It never decreases, and means nothing by itself."""
        ...

    def time(self) -> float:
        """The time in seconds since the epoch."""
        ...

    def late(self, due: float) -> float:
        """How many seconds ago this time was, if somebody was too busy to notice it."""
        ...

    def pause(self, seconds: float) -> float:
        """The seconds for which to wait at most until this clock has gone on by so many."""
        ...

    def watch(self, moved: Callable[[], object]) -> Callable[[], None]:
        """Call this from any thread when somebody has moved the clock. Returns what ends that."""
        ...

    def call_at(
        self, loop: AbstractEventLoop, when: float, callback: Callable[..., object], *arguments: Any
    ) -> Timer:  # Any: of any function
        """Let the loop, in whose thread this is called, call the function at that time."""
        ...


@final
class SystemClock:
    """The clock of the system. Nobody moves it."""

    monotonic = staticmethod(time.monotonic)
    time = staticmethod(time.time)

    def late(self, due: float) -> float:
        """See `Clock`."""
        return max(0.0, self.monotonic() - due)

    def pause(self, seconds: float) -> float:
        """See `Clock`."""
        return seconds

    def watch(self, moved: Callable[[], object]) -> Callable[[], None]:  # noqa: ARG002 - it never is
        """See `Clock`."""
        return lambda: None

    def call_at(self, loop: AbstractEventLoop, when: float, callback: Callable[..., object], *arguments: Any) -> Timer:  # Any: as above
        """See `Clock`."""
        return loop.call_later(max(0.0, when - self.monotonic()), callback, *arguments)


SYSTEM: Final = SystemClock()
