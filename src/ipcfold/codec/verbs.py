"""The verbs of `ipcfold.pointfree` for values: they compose in the same pipelines.

flow(name, flat_map(ipc.wait), flat_map(ask(codec, Resize("cat.jpg", 320))))
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar, overload

from returns.pipeline import flow
from returns.result import Result

from ipcfold.codec.coding import Codec, Undecodable, Unencodable, encoded
from ipcfold.errors import AskError, ReceiveError, SendError
from ipcfold.message import Message
from ipcfold.result import flat_map
from ipcfold.unix.client import Process

T = TypeVar("T")
R = TypeVar("R")


def send(codec: Codec[T], *values: T) -> Callable[[Process], Result[Process, Unencodable | SendError]]:
    """`Process.send` of these values; if one of them does not encode, nothing is sent."""
    return lambda process: flow(encoded(codec, values), flat_map(partial(_sent, process)))


def wait(codec: Codec[T], timeout: float | None = None) -> Callable[[Process], Result[T, ReceiveError | Undecodable]]:
    """`Process.wait`, for at most `timeout` seconds, and the response decoded."""
    return lambda process: flow(process.wait(timeout), flat_map(codec.decode))


@overload
def ask(
    codec: Codec[T], value: T, timeout: float | None = None
) -> Callable[[Process], Result[T, Unencodable | AskError | Undecodable]]: ...
@overload
def ask(
    codec: Codec[T], value: T, timeout: float | None = None, *, responses: Codec[R]
) -> Callable[[Process], Result[R, Unencodable | AskError | Undecodable]]: ...
def ask(
    codec: Codec[T],
    value: T,
    timeout: float | None = None,
    *,
    responses: Codec[Any] | None = None,  # Any: the overloads are the types
) -> Callable[[Process], Result[Any, Unencodable | AskError | Undecodable]]:
    """`Process.ask` of this value, for at most `timeout` seconds, and the response decoded, by `responses` if it is of another type."""
    read: Codec[Any] = codec if responses is None else responses
    return lambda process: flow(
        codec.encode(value),
        flat_map(partial(process.ask, timeout=timeout)),
        flat_map(read.decode),
    )


def _sent(process: Process, messages: tuple[Message, ...]) -> Result[Process, SendError]:
    return process.send(*messages)
