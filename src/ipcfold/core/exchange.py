"""The verbs of many tasks over one connection at once: who waits for what, and who gets what has arrived.

- An answer belongs to the task that asked. It never lies among the responses that `wait` takes.
- Every other response belongs to the task that has waited longest. It is handed over only when that task runs: a task that
  is cancelled before then loses none.
- A task that stops waiting for its answer still owns it. The connection drops the answer when it comes.

What waits is anything that the shell can wake, such as a future.
"""

from __future__ import annotations

from collections import deque
from typing import Generic, TypeVar, final

from ipcfold.core.client_connection import ClientConnection
from ipcfold.message import Message

W = TypeVar("W")


@final
class Exchange(Generic[W]):
    """The tasks that wait at one connection."""

    __slots__ = ("_asking", "_connection", "_seen", "_sending", "_waiting", "_woken")

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self._asking: dict[int, W] = {}  # by the number of the message
        self._sending: deque[tuple[int, W]] = deque()  # with the number of the last message, which never decreases
        self._waiting: deque[W] = deque()
        self._woken = False  # whether a task was woken for a response that it has not taken yet
        self._seen = 0  # responses that nobody has asked for

    @property
    def busy(self) -> bool:
        """Whether any task waits."""
        return bool(self._asking or self._sending or self._waiting)

    def ask(self, number: int, waiting: W) -> None:
        """Wait for the first response to the message of that number."""
        self._asking[number] = waiting

    def send(self, number: int, waiting: W) -> None:
        """Wait for the acknowledgement of the message of that number."""
        self._sending.append((number, waiting))

    def wait(self, waiting: W) -> None:
        """Wait for a response that nobody has asked for."""
        self._waiting.append(waiting)

    def disown(self, number: int) -> None:
        """Note that nobody waits any more for the response to that message."""
        if self._asking.pop(number, None) is not None:
            self._connection.disown(number)

    def forget(self, number: int) -> None:
        """Note that the wait for the response to that message is over. Whoever waited drops it, if it may still come."""
        self._asking.pop(number, None)

    def leave(self, waiting: W) -> bool:
        """Note that this one waits no more for a response. Returns whether it was woken, and so may take one."""
        try:
            self._waiting.remove(waiting)
        except ValueError:
            self._woken = False
            return True
        return False

    def take(self) -> Message | None:
        """The next response that nobody has asked for, for the task that `due` has woken, or for one that finds nobody before it."""
        self._woken = False
        response = self._connection.response()
        if response is not None:
            self._seen -= 1
        return response

    @property
    def free(self) -> bool:
        """Whether there is a response that nobody before has a right to."""
        return self._seen > 0 and not self._woken and not self._waiting

    def due(self) -> list[tuple[W, Message | None]]:
        """The tasks to wake now, with the answers of those that asked. Each is given once."""
        connection = self._connection
        found = list[tuple[W, Message | None]]()
        if connection.unread > self._seen:
            if self._asking:
                for number, message in connection.claimed(self._asking, self._seen):
                    found.append((self._asking.pop(number), message))
            self._seen = connection.unread
        while self._sending and self._sending[0][0] <= connection.acknowledged:
            found.append((self._sending.popleft()[1], None))
        if self._seen and self._waiting and not self._woken:
            self._woken = True
            found.append((self._waiting.popleft(), None))
        return found

    def everyone(self) -> list[W]:
        """All tasks that wait, because the connection is over."""
        everyone = [*self._asking.values(), *(waiting for _, waiting in self._sending), *self._waiting]
        self._asking.clear()
        self._sending.clear()
        self._waiting.clear()
        return everyone
