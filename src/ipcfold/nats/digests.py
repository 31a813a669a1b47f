"""The digest of all answers of a server, by which servers notice that their handlers differ."""

from __future__ import annotations

from binascii import crc32
from collections import deque
from typing import Any, Final, final

from ipcfold.continuation import Continuation
from ipcfold.log.entry import digest

_MOST: Final = 1024  # places for which the digest is known


@final
class Digests:
    """The digest of all answers so far, and what it was at the last places of the stream."""

    __slots__ = ("_places", "adopts", "checked", "diverged")

    def __init__(self, *, adopts: bool) -> None:
        self._places = deque[tuple[int, int]](maxlen=_MOST)
        self.checked = 0
        """The digest."""
        self.adopts = adopts
        """Whether this server may answer in another way than those before it."""
        self.diverged: int | None = None
        """The place up to which it has answered in another way than a leader, if it has, and no later entry accepts that."""

    @property
    def place(self) -> tuple[int, int] | None:
        """The last place at which the digest is known, and that digest."""
        return self._places[-1] if self._places else None

    @property
    def refused(self) -> bool:
        """Whether this server must not go on."""
        return self.diverged is not None and not self.adopts

    def add(self, answer: Continuation[Any]) -> None:  # Any: the carry has no part in it
        """Add an answer."""
        self.checked = crc32(digest(answer).to_bytes(8, "big"), self.checked)

    def note(self, at: int) -> None:
        """Note that everything up to this place is answered."""
        self._places.append((at, self.checked))

    def check(self, at: int, wanted: int) -> None:
        """Compare the digest at this place with that of the leader, if it is known."""
        if any(place == at and had != wanted for place, had in self._places):
            self.diverged = self.diverged or at

    def adopt(self) -> None:
        """Begin anew: what was answered before does not matter any more."""
        self.checked, self.adopts, self.diverged = 0, False, None
        self._places.clear()
