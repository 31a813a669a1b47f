"""A client that outlives connections and servers: it connects again, and sends again what was not acknowledged.

Each message has an identity, which stays the same. A server with `ipcfold.handlers.once` folds it once, however often it comes. If the
server has a log, that holds across its crashes and restarts, too.
"""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic
from types import TracebackType
from typing import TYPE_CHECKING, TypeVar, final

from returns.result import Failure, Result, Success

from ipcfold.core.steady import Effort, Steadiness
from ipcfold.errors import AskError, CloseError, ConnectError, ReceiveError, SendError
from ipcfold.message import Message
from ipcfold.peer import Name
from ipcfold.result import cases

if TYPE_CHECKING:
    from ipcfold.blocking.client import Process

T = TypeVar("T")
E = TypeVar("E", bound=AskError)


@final
class Steady(Steadiness["Process"]):
    """A client of the server of this name, whichever process that is. It connects when it is first used.

    >>> from tempfile import TemporaryDirectory
    >>> from ipcfold import IPC, Message, Name
    >>> from ipcfold.handlers import Remembered, once
    >>> def count(message, continuation, counter):
    ...     return continuation.respond(counter + 1, Message.text(str(counter + 1)))
    >>> with TemporaryDirectory() as directory, IPC(directory).steady(Name("counter")) as steady:
    ...     with IPC(directory).listen(Name("counter")).start(Remembered(0), once(count)):
    ...         first = steady.ask(Message.text("one"))
    ...     with IPC(directory).listen(Name("counter")).start(Remembered(10), once(count)):
    ...         second = steady.ask(Message.text("one"))
    >>> first.unwrap().content, second.unwrap().content
    (b'1', b'11')
    """

    def __init__(self, wait: Callable[[Name, float | None], Result[Process, ConnectError]], name: Name, timeout: float | None) -> None:
        """`IPC.steady` makes these."""
        super().__init__(name, timeout)
        self._wait = wait

    def send(self, *messages: Message) -> Result[Steady, ConnectError | SendError]:
        """Send these messages; success means that every one has been folded. A message without an identity gets one."""
        effort = self._effort(messages)
        return self._tried(effort, lambda process: process.send(*effort.messages)).map(lambda _: self)

    def ask(self, message: Message, timeout: float | None = None) -> Result[Message, ConnectError | AskError]:
        """Send the message, and wait for its response; `timeout` in seconds for the response. The message gets an identity.

        It is sent again if the connection ends before the response comes. Then `once` gives the same response again.
        """
        effort = self._effort((message,), timeout, monotonic())
        (identified,) = effort.messages
        return self._tried(effort, lambda process: process.ask(identified, effort.left(monotonic())))

    def wait(self, timeout: float | None = None) -> Result[Message, ConnectError | ReceiveError]:
        """The next message that the server tells, or response to `send`; `timeout` in seconds.

        What a server told while there was no connection is lost: ask for it.
        """
        effort = self._effort((), timeout, monotonic())
        return self._tried(effort, lambda process: process.wait(effort.left(monotonic())))

    def close(self) -> Result[None, CloseError]:
        """Close the connection, if there is one."""
        process, self._process = self._process, None
        return Success(None) if process is None else process.close()

    def __enter__(self) -> Steady:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _tried(self, effort: Effort, verb: Callable[[Process], Result[T, E]]) -> Result[T, ConnectError | E]:
        """The result of a verb, which is tried with one connection after another."""
        while True:
            match cases(self._connected(effort)):
                case Success(process):
                    pass
                case Failure(unreachable):
                    return Failure(unreachable)
            result = verb(process)
            again = self._again(effort, process, result)
            if process is not self._process:
                process.close()
            if not again:
                return result

    def _connected(self, effort: Effort) -> Result[Process, ConnectError]:
        """The connection, or a new one."""
        if self._process is not None:
            return Success(self._process)
        connected = self._wait(self._name, self._patience(effort.left(monotonic())))
        self._process = connected.value_or(None)
        return connected
