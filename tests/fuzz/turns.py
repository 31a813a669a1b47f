"""The model of a fold over many peers: whose message is next, and the carry, which counts the answers."""

from collections.abc import Iterable
from typing import Final, final

from returns.result import Failure, Success

from ipcfold import HandlerFailed, cases
from ipcfold.core.fold import Ask
from ipcfold.core.server import ServerCore
from ipcfold.core.server_connection import ServerConnection

_SPARE: Final = 64


@final
class Turns:
    """The peers whose message waits, the longest wait first."""

    def __init__(self) -> None:
        self.folded = 0
        self.asked: tuple[ServerConnection, Ask[int]] | None = None
        """The peer whose message the handler has."""
        self._queue: list[list[ServerConnection]] = []  # Each inner list has the peers of one turn.
        self._failed = False

    @property
    def idle(self) -> bool:
        """Whether there is nothing to fold."""
        return not self._queue and self.asked is None

    def notice(self, ends: Iterable[ServerConnection]) -> None:
        """Add those ends whose message waits since this turn."""
        known = [] if self.asked is None else [self.asked[0]]
        known += [end for turn in self._queue for end in turn]
        if new := [end for end in ends if end.waiting and end not in known]:
            self._queue.append(new)

    def handed(self, ask: Ask[int] | None) -> Ask[int] | None:
        """Check the message that the core gives to the handler. Return it if it is a new one."""
        if self.asked is not None:
            assert ask == self.asked[1], "the handler gets one message at a time"
            return None
        if not self._queue:
            assert ask is None
            return None
        assert ask is not None
        end = next((end for end in self._queue[0] if end.peer == ask[1].peer), None)
        assert end is not None, "the longest wait comes first"
        self._queue[0].remove(end)
        self._queue = [turn for turn in self._queue if turn]
        assert ask[1].carry == self.folded
        self.asked = end, ask
        return ask

    def answered(self) -> int:
        """The handler answered. Return the next carry."""
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
        """The fold ended. Only the message that the handler has is still answered."""
        self._queue.clear()

    def check(self, core: ServerCore[int], most: int) -> None:
        """Check the rules. `most` is the largest number of connections at once."""
        assert core.scheduled <= 2 * most + _SPARE
        match cases(core.result()):
            case Success(carry):
                assert (carry, self._failed) == (self.folded, False)
            case Failure(HandlerFailed(carry)):
                assert (carry, self._failed) == (self.folded, True)
