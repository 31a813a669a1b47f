"""The model of a fold over many peers: who is to be asked next, and what the carry is if it counts the answers."""

from typing import Final, final

from returns.result import Failure, Success

from ipcfold import HandlerFailed, cases
from ipcfold.core.fold import Ask
from ipcfold.core.server import ServerCore
from ipcfold.core.server_connection import ServerConnection

_SPARE: Final = 64


@final
class Turns:
    """Peers with a message that waits, in the order in which they came to have it."""

    def __init__(self) -> None:
        self.folded = 0
        self.asked: tuple[ServerConnection, Ask[int]] | None = None
        """Whose message the handler has."""
        self._queue: list[ServerConnection] = []
        self._failed = False

    @property
    def idle(self) -> bool:
        """Whether there is nothing to fold."""
        return not self._queue and self.asked is None

    def notice(self, end: ServerConnection) -> None:
        """Something happened to this end: it may have a message that waits now."""
        asked = None if self.asked is None else self.asked[0]
        if end.waiting and end is not asked and end not in self._queue:
            self._queue.append(end)

    def ask(self, host: ServerCore[int]) -> tuple[ServerConnection, Ask[int]] | None:
        """The handler is free, if it is."""
        ask = host.ask()
        if self.asked is not None or not self._queue:
            assert ask is None, "one at a time"
            return None
        assert ask is not None
        end = self._queue.pop(0)
        assert ask[1].peer == end.peer, "who waits longest is asked first"
        assert ask[1].carry == self.folded
        self.asked = end, ask
        return self.asked

    def answered(self) -> int:
        """The handler answered; the next carry."""
        self.asked = None
        self.folded += 1
        return self.folded

    def failed(self) -> None:
        """The handler failed."""
        self.asked = None
        self._failed = True

    def interrupted(self) -> None:
        """The handler was interrupted."""
        self.asked = None

    def stopped(self) -> None:
        """The fold ended: only what was asked is still answered."""
        self._queue.clear()

    def check(self, host: ServerCore[int], most: int) -> None:
        """What must hold; `most`: how many connections there were at once."""
        assert host.scheduled <= 2 * most + _SPARE
        assert host.ready == (bool(self._queue) and self.asked is None)
        match cases(host.result()):
            case Success(carry):
                assert (carry, self._failed) == (self.folded, False)
            case Failure(HandlerFailed(carry)):
                assert (carry, self._failed) == (self.folded, True)
