"""A clock that stands still until a test moves it."""

from __future__ import annotations

from asyncio import AbstractEventLoop
from collections.abc import Callable
from contextlib import suppress
from math import inf
from threading import Lock
from time import monotonic
from typing import Any, final


@final
class Clock:
    """A clock that stands still until a test moves it.

    A server of the fixtures goes by it if it gets it as `clock`: `Continuation.now`, alarms, the timeout of `listen`, heartbeats, and the
    limits that are times. In an event loop the connections of `connect`, and all of an `aio.IPC` with this `clock`, go by it, too.
    A client that blocks waits by the clock of the system.

    >>> clock = Clock(1000.0)
    >>> clock.advance(60.0)
    >>> clock.now
    1060.0
    """

    def __init__(self, now: float = 0.0) -> None:
        """`now`: the time to begin with, in seconds since the epoch."""
        self._now = now
        self._going: float | None = None  # when it began to go on by itself
        self._lock = Lock()
        self._timers = dict[_Timer, None]()
        self._watchers = dict[Callable[[], object], None]()

    @property
    def now(self) -> float:
        """The time in seconds since the epoch."""
        return self._now if self._going is None else self._now + monotonic() - self._going

    def advance(self, seconds: float) -> None:
        """Move the clock on, and let happen what is due then. This does not wait for it, and any thread may call it.

        Several alarms that are due by then ring at the new time. Move the clock step by step if each of them is to ring at its own.
        """
        if seconds < 0:
            raise ValueError("a clock is moved forward only")
        with self._lock:
            self._now += seconds
        self._moved()

    def go(self) -> None:
        """Let it go on by itself from now on. The fixtures do so when a server ends, because a server waits for its clients then."""
        with self._lock:
            if self._going is None:
                self._going = monotonic()
        self._moved()

    def monotonic(self) -> float:
        """The time for the server."""
        return self.now

    def time(self) -> float:
        """The time for the handler."""
        return self.now

    def late(self, due: float) -> float:  # noqa: ARG002 - a test has moved the clock, so nobody was busy
        """No time."""
        return 0.0

    def pause(self, seconds: float) -> float:
        """The seconds to wait at most. `watch` tells of the end if the clock stands still."""
        return inf if self._going is None and seconds > 0 else seconds

    def watch(self, moved: Callable[[], object]) -> Callable[[], None]:
        """Call this when the clock is moved. Returns what ends that."""
        with self._lock:
            self._watchers[moved] = None

        def end() -> None:
            with self._lock:
                self._watchers.pop(moved, None)

        return end

    def call_at(
        self, loop: AbstractEventLoop, when: float, callback: Callable[..., object], *arguments: Any
    ) -> _Timer:  # Any: of any function
        """Let the loop call the function at that time."""
        timer = _Timer(self, loop, when, lambda: callback(*arguments))
        with self._lock:
            self._timers[timer] = None
        loop.call_soon(timer.look)
        return timer

    def forget(self, timer: _Timer) -> None:
        """Look after this call no more."""
        with self._lock:
            self._timers.pop(timer, None)

    def _moved(self) -> None:
        with self._lock:
            timers, watchers = sorted(self._timers, key=lambda timer: timer.when), [*self._watchers]
        for timer in timers:
            with suppress(RuntimeError):  # its loop is closed
                timer.loop.call_soon_threadsafe(timer.look)
        for moved in watchers:
            moved()


@final
class _Timer:
    """A call that is still to come."""

    def __init__(self, clock: Clock, loop: AbstractEventLoop, when: float, ring: Callable[[], object]) -> None:
        self.loop = loop
        self.when = when
        self._clock = clock
        self._ring = ring
        self._over = False

    def cancel(self) -> None:
        """Leave it out."""
        self._over = True
        self._clock.forget(self)

    def look(self) -> None:
        """Ring, if the time has come. Otherwise look again when it comes, if the clock goes on by itself."""
        left = self.when - self._clock.now
        if self._over:
            return
        if left <= 0:
            self.cancel()
            self._ring()
        elif self._clock.pause(left) < inf:
            self.loop.call_later(left, self.look)
