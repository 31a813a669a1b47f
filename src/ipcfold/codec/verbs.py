"""The verbs of `ipcfold.pointfree` for values, for the same pipelines and the processes of every shell.

`pipeline(name).flat_map(ipc.wait).flat_map(ask(codec, Resize("cat.jpg", 320)))`
"""

from __future__ import annotations

from collections.abc import Callable
from inspect import isawaitable, iscoroutinefunction
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, overload

from returns.result import Failure, Result, Success

from ipcfold.codec.coding import Codec, Undecodable, Unencodable, encoded
from ipcfold.message import Message
from ipcfold.result import cases, flat_map

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


if TYPE_CHECKING:
    from collections.abc import Coroutine

    from ipcfold.aio import client as aio
    from ipcfold.blocking.client import Process
    from ipcfold.errors import AskError, ReceiveError, SendError
    from ipcfold.nats import aio as loops
    from ipcfold.nats import blocking as nats
    from ipcfold.nats import errors as brokers

    class Sending(Protocol):
        """A step of `send`."""

        @overload
        def __call__(self, process: Process, /) -> Result[Process, Unencodable | SendError]: ...
        @overload
        def __call__(self, process: nats.Process, /) -> Result[nats.Process, Unencodable | brokers.SendError]: ...
        @overload
        def __call__(self, process: aio.Process, /) -> Coroutine[Any, Any, Result[aio.Process, Unencodable | SendError]]: ...
        @overload
        def __call__(self, process: loops.Process, /) -> Coroutine[Any, Any, Result[loops.Process, Unencodable | loops.SendError]]: ...

    class Waiting(Protocol[T_co]):
        """A step of `wait`."""

        @overload
        def __call__(self, process: Process, /) -> Result[T_co, ReceiveError | Undecodable]: ...
        @overload
        def __call__(self, process: nats.Process, /) -> Result[T_co, brokers.ReceiveError | Undecodable]: ...
        @overload
        def __call__(self, process: aio.Process, /) -> Coroutine[Any, Any, Result[T_co, ReceiveError | Undecodable]]: ...
        @overload
        def __call__(self, process: loops.Process, /) -> Coroutine[Any, Any, Result[T_co, loops.ReceiveError | Undecodable]]: ...

    class Asking(Protocol[T_co]):
        """A step of `ask`."""

        @overload
        def __call__(self, process: Process, /) -> Result[T_co, Unencodable | AskError | Undecodable]: ...
        @overload
        def __call__(self, process: nats.Process, /) -> Result[T_co, Unencodable | brokers.AskError | Undecodable]: ...
        @overload
        def __call__(self, process: aio.Process, /) -> Coroutine[Any, Any, Result[T_co, Unencodable | AskError | Undecodable]]: ...
        @overload
        def __call__(self, process: loops.Process, /) -> Coroutine[Any, Any, Result[T_co, Unencodable | loops.AskError | Undecodable]]: ...


# Any, in the steps: `Sending`, `Waiting` and `Asking` declare the types.


def send(codec: Codec[T], *values: T) -> Sending:
    """`Process.send` of these values; if one of them does not encode, none is sent."""

    def sent(process: Any) -> Any:
        match cases(encoded(codec, values)):
            case Failure() as failure:
                return _said(failure, process.send)
            case Success(messages):
                return process.send(*messages)

    return sent


def wait(codec: Decoder[T], timeout: float | None = None) -> Waiting[T]:
    """`Process.wait`, for at most `timeout` seconds; it gives the decoded response."""

    def waited(process: Any) -> Any:
        return _decoded(codec, process.wait(timeout))

    return waited


@overload
def ask(codec: Transcoder[T, R], value: T, timeout: float | None = None) -> Asking[R]: ...
@overload
def ask(codec: Codec[T], value: T, timeout: float | None = None, *, responses: Decoder[R]) -> Asking[R]: ...
def ask(
    codec: Transcoder[T, Any],
    value: T,
    timeout: float | None = None,
    *,
    responses: Decoder[Any] | None = None,
) -> Asking[Any]:
    """`Process.ask` of this value, for at most `timeout` seconds; it gives the decoded response.

    `responses` decodes the response, if its type is not that of the value.
    """

    def asked(process: Any) -> Any:
        match cases(codec.encode(value)):
            case Failure() as failure:
                return _said(failure, process.ask)
            case Success(message):
                return _decoded(codec if responses is None else responses, process.ask(message, timeout))

    return asked


def _said(failure: Result[Any, Any], verb: Callable[..., Any]) -> Any:
    """What the verb would return for this failure."""

    async def later() -> Result[Any, Any]:
        return failure

    return later() if iscoroutinefunction(verb) else failure


def _decoded(codec: Decoder[Any], response: Any) -> Any:
    """The decoded response, which may have to be awaited."""

    async def later() -> Result[Any, Any]:
        return flat_map(codec.decode)(await response)

    return later() if isawaitable(response) else flat_map(codec.decode)(response)
