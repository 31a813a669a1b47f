"""The verbs of `ipcfold.pointfree` for values, for the same pipelines.

pipeline(name).flat_map(ipc.wait).flat_map(ask(codec, Resize("cat.jpg", 320)))
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Protocol, TypeVar, overload

from returns.pipeline import flow
from returns.result import Result

from ipcfold.blocking.client import Process
from ipcfold.codec.coding import Codec, Undecodable, Unencodable, encoded
from ipcfold.errors import AskError, ReceiveError, SendError
from ipcfold.message import Message
from ipcfold.result import flat_map

T = TypeVar("T")
R = TypeVar("R")
T_co = TypeVar("T_co", covariant=True)
T_contra = TypeVar("T_contra", contravariant=True)


# These protocols separate reading from writing. If a parameter is a `Codec[T]`, whose type goes both in and out, mypy cannot
# infer the type in the middle of a pipeline.


class Decoder(Protocol[T_co]):
    """Decodes messages."""

    def decode(self, message: Message, /) -> Result[T_co, Undecodable]: ...


class Transcoder(Decoder[T_co], Protocol[T_contra, T_co]):
    """Decodes and encodes messages."""

    def encode(self, value: T_contra, /) -> Result[Message, Unencodable]: ...


def send(codec: Codec[T], *values: T) -> Callable[[Process], Result[Process, Unencodable | SendError]]:
    """`Process.send` of these values; if one of them does not encode, none is sent."""
    return lambda process: flow(encoded(codec, values), flat_map(partial(_sent, process)))


def wait(codec: Decoder[T], timeout: float | None = None) -> Callable[[Process], Result[T, ReceiveError | Undecodable]]:
    """`Process.wait`, for at most `timeout` seconds; it gives the decoded response."""
    return lambda process: flow(process.wait(timeout), flat_map(codec.decode))


@overload
def ask(
    codec: Transcoder[T, R], value: T, timeout: float | None = None
) -> Callable[[Process], Result[R, Unencodable | AskError | Undecodable]]: ...
@overload
def ask(
    codec: Codec[T], value: T, timeout: float | None = None, *, responses: Decoder[R]
) -> Callable[[Process], Result[R, Unencodable | AskError | Undecodable]]: ...
def ask(
    codec: Transcoder[T, Any],  # Any: the overloads declare the types
    value: T,
    timeout: float | None = None,
    *,
    responses: Decoder[Any] | None = None,
) -> Callable[[Process], Result[Any, Unencodable | AskError | Undecodable]]:
    """`Process.ask` of this value, for at most `timeout` seconds; it gives the decoded response.

    `responses` decodes the response, if its type is not that of the value.
    """
    read: Decoder[Any] = codec if responses is None else responses
    return lambda process: flow(
        codec.encode(value),
        flat_map(partial(process.ask, timeout=timeout)),
        flat_map(read.decode),
    )


def _sent(process: Process, messages: tuple[Message, ...]) -> Result[Process, SendError]:
    return process.send(*messages)
