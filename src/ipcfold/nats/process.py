"""A session with the servers of a name, for the tasks of an event loop."""

from __future__ import annotations

import asyncio
import os
from types import TracebackType
from typing import NoReturn, TypeAlias, final

from returns.maybe import Maybe
from returns.result import Failure, Result, Success

from ipcfold.errors import InUse, UsedAfterFork
from ipcfold.message import Message
from ipcfold.nats.client import Client
from ipcfold.nats.errors import CloseError as BlockingCloseError
from ipcfold.nats.errors import ReceiveError as BlockingReceiveError
from ipcfold.nats.errors import SendError as BlockingSendError
from ipcfold.peer import NOBODY, Name, Peer
from ipcfold.result import cases

SendError: TypeAlias = BlockingSendError | InUse
"""The errors of `aio.Process.send`."""

ReceiveError: TypeAlias = BlockingReceiveError | InUse
"""The errors of `aio.Process.wait`."""

AskError: TypeAlias = SendError | ReceiveError
"""The errors of `aio.Process.ask`."""

CloseError: TypeAlias = BlockingCloseError | InUse
"""The errors of `aio.Process.close`; except after `UsedAfterFork` and `InUse` the session is over."""


@final
class Process:
    """A session with the servers of a name: send messages, wait for responses, close.

    The session outlives each of the servers. Any number of tasks of one event loop may use it at once, and each gets its own answers. In
    another loop or thread, and in a forked process, its verbs return an error. With `async with`, it closes the session at the end.

    Each verb may be cancelled at any time. The message of a cancelled verb may still be folded. Its answer is dropped.
    """

    def __init__(self, client: Client) -> None:
        """`NATS.get` and `NATS.wait` make these."""
        self._client = client

    @property
    def name(self) -> Name:
        """The name of the servers."""
        return self._client.name

    @property
    def peer(self) -> Peer:
        """Nobody: which server answers may change at any time, and nobody vouches for it."""
        return NOBODY

    @property
    def epoch(self) -> Maybe[int]:
        """When the fold of the servers began, in nanoseconds since the epoch. If it is another one, the stream is another one, too."""
        return self._client.epoch

    @property
    def closed(self) -> bool:
        """Whether this end knows that the session is over."""
        return self._client.closed

    async def send(self, *messages: Message) -> Result[Process, SendError]:
        """Send the messages at once. Success means that every one of them is stored in the stream, and folded.

        Responses that arrive meanwhile are kept for `wait`.
        """
        unusable = self._unusable()
        if unusable is not None:
            return Failure(unusable)
        match cases(await self._client.send(*messages)):
            case Success():
                return Success(self)
            case Failure(error):
                return Failure(error)

    async def wait(self, timeout: float | None = None) -> Result[Message, ReceiveError]:
        """The next response or told message, in the order they were sent; `timeout` in seconds, `None` for as long as it takes."""
        unusable = self._unusable()
        return Failure(unusable) if unusable is not None else await self._client.wait(timeout)

    async def ask(self, message: Message, timeout: float | None = None) -> Result[Message, AskError]:
        """Send the message and wait for the first response to it, both within `timeout` seconds. The server may answer later.

        Responses to other messages, and what the server tells, stay for `wait`. A response that comes after the timeout is dropped.
        """
        unusable = self._unusable()
        return Failure(unusable) if unusable is not None else await self._client.ask(message, timeout)

    async def close(self) -> Result[None, CloseError]:
        """End the session, and wait for the confirmation for at most `limits.drain` seconds. A second call does nothing."""
        unusable = self._unusable()
        return Failure(unusable) if unusable is not None else await self._client.close()

    def _unusable(self) -> UsedAfterFork | InUse | None:
        if os.getpid() != self._client.owner:
            return UsedAfterFork(self.name, self._client.owner)
        return None if asyncio.get_running_loop() is self._client.loop else InUse(self.name)

    async def __aenter__(self) -> Process:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.close()

    def __repr__(self) -> str:
        return repr(self._client)

    def __reduce__(self) -> NoReturn:
        raise unpicklable(self.name)


def unpicklable(name: Name) -> TypeError:
    """What tells that a session cannot be pickled."""
    return TypeError(f"the session with {str(name)!r} belongs to this process and cannot be pickled: connect again in the other one")
