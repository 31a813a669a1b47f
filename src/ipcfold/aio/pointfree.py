"""The verbs of `ipcfold.aio.Process` as functions for pipelines."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from returns.result import Result

from ipcfold.aio.client import Process
from ipcfold.errors import AskError, CloseError, ReceiveError, SendError
from ipcfold.message import Message

__all__ = ["ask", "close", "send", "wait"]

# Any: what a coroutine yields to the loop and gets from it, which is the loop's affair.


def send(*messages: Message) -> Callable[[Process], Coroutine[Any, Any, Result[Process, SendError]]]:
    """`Process.send` of these messages."""
    return lambda process: process.send(*messages)


def wait(timeout: float | None = None) -> Callable[[Process], Coroutine[Any, Any, Result[Message, ReceiveError]]]:
    """`Process.wait`, for at most `timeout` seconds."""
    return lambda process: process.wait(timeout)


def ask(message: Message, timeout: float | None = None) -> Callable[[Process], Coroutine[Any, Any, Result[Message, AskError]]]:
    """`Process.ask` of this message, for at most `timeout` seconds."""
    return lambda process: process.ask(message, timeout)


def close() -> Callable[[Process], Coroutine[Any, Any, Result[None, CloseError]]]:
    """`Process.close`."""
    return lambda process: process.close()
