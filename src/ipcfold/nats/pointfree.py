"""The verbs of sessions over NATS as functions for pipelines, as those of `ipcfold.pointfree`."""

from __future__ import annotations

from collections.abc import Callable

from returns.result import Result

from ipcfold.message import Message
from ipcfold.nats.blocking import Process
from ipcfold.nats.errors import AskError, CloseError, ReceiveError, SendError
from ipcfold.result import flat_map

__all__ = ["ask", "close", "flat_map", "send", "wait"]


def send(*messages: Message) -> Callable[[Process], Result[Process, SendError]]:
    """See `Process.send`."""
    return lambda process: process.send(*messages)


def wait(timeout: float | None = None) -> Callable[[Process], Result[Message, ReceiveError]]:
    """See `Process.wait`."""
    return lambda process: process.wait(timeout)


def ask(message: Message, timeout: float | None = None) -> Callable[[Process], Result[Message, AskError]]:
    """See `Process.ask`."""
    return lambda process: process.ask(message, timeout)


def close() -> Callable[[Process], Result[None, CloseError]]:
    """See `Process.close`."""
    return lambda process: process.close()
