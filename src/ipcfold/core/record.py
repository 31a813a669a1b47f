"""Which inputs a record may have, because a server can have folded them in this order."""

from __future__ import annotations

from math import inf
from typing import Final, final

from ipcfold.inputs import Came, Left, Woken
from ipcfold.message import Message
from ipcfold.peer import Peer

_ADVICE: Final = "give the inputs of one server as it folded them, each once and in order"


@final
class Order:
    """What a record has had so far."""

    __slots__ = ("_count", "_gone", "_peers", "_time")

    def __init__(self) -> None:
        self._count = 0
        self._time = 0.0  # of the last input
        self._peers = dict[int | Peer, Peer]()  # by the numbers of their connections, where these are known; also those that are gone
        self._gone = set[int | Peer]()

    def check(self, each: Came | Left | Woken, alarm: float | None) -> None:
        """Note the next input. Raises a `ValueError` if no server folds it next, and a `TypeError` if it is none.

        `alarm`: when the alarm is to ring, infinite for never; `None` if the server has ended, so that the time does not matter.
        """
        self._count += 1
        what: object = each
        if not isinstance(what, Came | Left | Woken):
            raise TypeError(f"input {self._count} is {type(what).__name__}: fold takes messages, or Came, Left and Woken")
        if not isinstance(what.now, int | float):
            raise TypeError(f"input {self._count} has a time that is {type(what.now).__name__}: give it in seconds since the epoch")
        wrong = self._wrong(each, alarm)
        if wrong is not None:
            raise ValueError(f"input {self._count} of the record cannot be, because {wrong}: {_ADVICE}")
        self._time = each.now

    def _wrong(self, each: Came | Left | Woken, alarm: float | None) -> str | None:
        if not self._time <= each.now < inf:
            return f"its time is {each.now!r}, and that of the input before it {self._time!r}"
        if not isinstance(each, Woken):
            return self._departed(each)
        if alarm == inf:
            return "no alarm was asked for"
        return None if alarm is None or each.now >= alarm else f"its alarm rings at {alarm!r}, and not at {each.now!r}"

    def _departed(self, each: Came | Left) -> str | None:
        peer: object = each.peer
        if type(peer) is not Peer or (isinstance(each, Came) and type(each.message) is not Message):
            raise TypeError(f"input {self._count} has no Peer or no Message: make it as Came(now, peer, message) or Left(now, peer)")
        key = peer.connection or peer
        if key in self._gone:
            return f"connection {peer.connection} has left before it"
        if self._peers.setdefault(key, peer) != peer:
            return f"connection {peer.connection} is that of {self._peers[key]}"
        if isinstance(each, Left):
            self._gone.add(key)
        return None
