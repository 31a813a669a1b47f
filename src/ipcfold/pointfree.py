"""The verbs of `Process` as functions for pipelines.

`pipeline(name).flat_map(ipc.wait).flat_map(send(Message.text("ping"))).flat_map(wait())`

`flat_map` is for `flow` of `returns`: `flow(name, flat_map(ipc.wait), flat_map(send(Message.text("ping"))), flat_map(wait()))`
"""

from __future__ import annotations

from collections.abc import Callable

from returns.result import Result

from ipcfold.blocking.client import Process
from ipcfold.errors import AskError, CloseError, ReceiveError, SendError
from ipcfold.message import Message
from ipcfold.result import flat_map

__all__ = ["ask", "close", "flat_map", "send", "wait"]


def send(*messages: Message) -> Callable[[Process], Result[Process, SendError]]:
    """`Process.send` of these messages."""
    return lambda process: process.send(*messages)


def wait(timeout: float | None = None) -> Callable[[Process], Result[Message, ReceiveError]]:
    """`Process.wait`, for at most `timeout` seconds."""
    return lambda process: process.wait(timeout)


def ask(message: Message, timeout: float | None = None) -> Callable[[Process], Result[Message, AskError]]:
    """`Process.ask` of this message, for at most `timeout` seconds."""
    return lambda process: process.ask(message, timeout)


def close() -> Callable[[Process], Result[None, CloseError]]:
    """`Process.close`."""
    return lambda process: process.close()
