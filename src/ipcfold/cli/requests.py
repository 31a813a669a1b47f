"""Sends one message to a server and waits for the result, with a deadline."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import inf
from time import monotonic
from types import FrameType
from typing import Final, Never, TypeVar, final

import attrs
from returns.pipeline import flow
from returns.result import Failure, Result, Success

from ipcfold.blocking.client import Process
from ipcfold.blocking.ipc import IPC
from ipcfold.cli.status import Absent, Undecoded
from ipcfold.errors import AskError, ConnectError, NoServer, SendError, TimedOut
from ipcfold.message import Message
from ipcfold.peer import Name
from ipcfold.result import cases, flat_map

A = TypeVar("A")
E = TypeVar("E")

_UNDECODABLE: Final = b"the message does not decode as "  # how the text of `codec.Undecodable` begins; the codec may not be installed


def _after(seconds: float | None) -> float:
    return inf if seconds is None else monotonic() + seconds


@final
@attrs.frozen
class Deadline:
    """A deadline: `timeout` seconds after it is made, or never for `None`."""

    timeout: float | None
    _end: float = attrs.field(init=False, default=attrs.Factory(lambda self: _after(self.timeout), takes_self=True))

    @property
    def left(self) -> float | None:
        """The seconds until the deadline; `None` if there is none."""
        return None if self._end == inf else max(0.0, self._end - monotonic())

    def told(self, error: E) -> E | TimedOut:
        """The error to show. A `TimedOut` gets the whole timeout, instead of the part that was left for its step."""
        if isinstance(error, TimedOut) and self.timeout is not None and self.left == 0:
            return attrs.evolve(error, timeout=self.timeout)
        return error


def connected(ipc: IPC, wait: float | None, deadline: Deadline, name: Name) -> Result[Process, ConnectError | Absent]:
    """Connect to the server. If none listens, wait for it at most `wait` seconds, and not longer than the deadline."""
    left = inf if deadline.left is None else deadline.left
    if wait is None:
        return _reached(ipc, left, name).alt(deadline.told)
    return ipc.wait(name, min(wait, left)).alt(deadline.told).lash(lambda error: _absent(ipc, name, error))


def _reached(ipc: IPC, left: float, name: Name) -> Result[Process, ConnectError]:
    handshake = max(min(ipc.limits.handshake, left), 1e-3)
    return attrs.evolve(ipc, limits=attrs.evolve(ipc.limits, handshake=handshake)).get(name)


def _absent(ipc: IPC, name: Name, error: ConnectError) -> Result[Process, ConnectError | Absent]:
    """The error of waiting, which says where nobody listens if that is its cause."""
    if not isinstance(error, TimedOut):
        return Failure(error)
    match cases(_reached(ipc, 0.0, name)):
        case Failure(NoServer(path=path)):
            return Failure(Absent(name, path, error.timeout))
        case Failure():
            return Failure(error)
        case Success(process):  # it has just come
            return Success(process)


def asked(message: Message, deadline: Deadline, process: Process) -> Result[Message, AskError | Undecoded]:
    """Send the message, and return the response."""
    return flow(process.ask(message, deadline.left).alt(deadline.told), flat_map(_decoded))


def _decoded(response: Message) -> Result[Message, Undecoded]:
    return Failure(Undecoded(response)) if undecoded(response) else Success(response)


def undecoded(response: Message) -> bool:
    """Whether this is how a server of `ipcfold.codec` says that the message does not decode."""
    media_type = response.media_type
    if media_type.subtype == "problem+json":
        return True
    return (media_type.type, media_type.subtype) == ("text", "plain") and response.content.startswith(_UNDECODABLE)


def sent(message: Message, deadline: Deadline, process: Process) -> Result[None, SendError | TimedOut]:
    """Send the message, and return after the server has acknowledged it."""
    try:
        with _alarm(deadline.left):
            return process.send(message).map(lambda _: None)
    except _LateError:
        return Failure(TimedOut(process.name, deadline.timeout or 0.0, "the acknowledgement of"))


def closing(use: Callable[[Process], Result[A, E]]) -> Callable[[Process], Result[A, E]]:
    """A function that uses a connection, and closes it afterwards."""

    def used(process: Process) -> Result[A, E]:
        with process:
            return use(process)

    return used


class _LateError(Exception):
    """The deadline has passed."""


@contextmanager
def _alarm(seconds: float | None) -> Iterator[None]:
    """Raise after so many seconds, at any point of the code. The interrupted connection must not be used again."""
    if seconds is None:
        yield
        return

    def ring(_: int, __: FrameType | None) -> Never:
        raise _LateError

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, max(seconds, 1e-6))  # zero would disable the timer
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
