"""What clients are told to do: each order is one round, and its answer the seconds it took."""

from __future__ import annotations

from typing import final

import attrs

from benchmarks.processes import Seat

_FILLING = bytes(range(256))


def content(size: int, number: int = 0) -> bytes:
    """Bytes to send, none of them in memory that was never touched; those of other numbers differ, where there is room."""
    whole, rest = divmod(size, len(_FILLING))
    if not rest and not number:
        return _FILLING * whole  # made in one piece: a copy would count as memory that a message needs
    return (number.to_bytes(8, "big") + _FILLING * (whole + 1))[:size]


@final
@attrs.frozen
class Trips:
    """Trips one after the other."""

    size: int
    count: int

    def __call__(self, seat: Seat) -> float:
        return seat.client.trips(content(self.size), self.count)


@final
@attrs.frozen
class Batches:
    """Batches of so many messages."""

    size: int
    messages: int
    count: int

    def __call__(self, seat: Seat) -> float:
        contents = [content(self.size, number) for number in range(self.messages)]
        return seat.client.batches(contents, self.count)


@final
@attrs.frozen
class Visits:
    """Connecting, one trip, and closing."""

    size: int
    count: int

    def __call__(self, seat: Seat) -> float:
        seat.connected().close()  # so that the server is up
        return seat.contestant.visits(seat.address, content(self.size), self.count)


@final
@attrs.frozen
class Hold:
    """Connect so many clients, and keep them."""

    clients: int
    size: int

    def __call__(self, seat: Seat) -> bool:
        seat.crowd(self.clients, content(self.size))
        return True


@final
@attrs.frozen
class Requests:
    """So many requests of as many clients, each with one in flight."""

    clients: int
    size: int
    count: int

    def __call__(self, seat: Seat) -> float:
        return seat.crowd(self.clients, content(self.size)).requests(self.count)
