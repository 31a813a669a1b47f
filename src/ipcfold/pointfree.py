"""The verbs of `Process` as functions for pipelines.

`pipeline(name).flat_map(ipc.wait).flat_map(send(Message.text("ping"))).flat_map(wait())`

They are for the processes of every shell: over sockets and over NATS, in programs that block and in event loops. A type checker takes the
errors of a step from the process that it gets.

`flat_map` is for `flow` of `returns`: `flow(name, flat_map(ipc.wait), flat_map(send(Message.text("ping"))), flat_map(wait()))`
There a checker takes each step for one of `IPC`. `ipcfold.nats.pointfree` has the steps of `NATS`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ipcfold.message import Message
from ipcfold.result import flat_map

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from typing import Protocol, overload

    from returns.result import Result

    from ipcfold.aio import client as aio
    from ipcfold.blocking.client import Process
    from ipcfold.errors import AskError, CloseError, ReceiveError, SendError
    from ipcfold.nats import aio as loops
    from ipcfold.nats import blocking as nats
    from ipcfold.nats import errors as brokers

    class Sending(Protocol):
        """A step of `send`."""

        @overload
        def __call__(self, process: Process, /) -> Result[Process, SendError]: ...
        @overload
        def __call__(self, process: nats.Process, /) -> Result[nats.Process, brokers.SendError]: ...
        @overload
        def __call__(self, process: aio.Process, /) -> Coroutine[Any, Any, Result[aio.Process, SendError]]: ...
        @overload
        def __call__(self, process: loops.Process, /) -> Coroutine[Any, Any, Result[loops.Process, loops.SendError]]: ...

    class Waiting(Protocol):
        """A step of `wait`."""

        @overload
        def __call__(self, process: Process, /) -> Result[Message, ReceiveError]: ...
        @overload
        def __call__(self, process: nats.Process, /) -> Result[Message, brokers.ReceiveError]: ...
        @overload
        def __call__(self, process: aio.Process, /) -> Coroutine[Any, Any, Result[Message, ReceiveError]]: ...
        @overload
        def __call__(self, process: loops.Process, /) -> Coroutine[Any, Any, Result[Message, loops.ReceiveError]]: ...

    class Asking(Protocol):
        """A step of `ask`."""

        @overload
        def __call__(self, process: Process, /) -> Result[Message, AskError]: ...
        @overload
        def __call__(self, process: nats.Process, /) -> Result[Message, brokers.AskError]: ...
        @overload
        def __call__(self, process: aio.Process, /) -> Coroutine[Any, Any, Result[Message, AskError]]: ...
        @overload
        def __call__(self, process: loops.Process, /) -> Coroutine[Any, Any, Result[Message, loops.AskError]]: ...

    class Closing(Protocol):
        """A step of `close`."""

        @overload
        def __call__(self, process: Process, /) -> Result[None, CloseError]: ...
        @overload
        def __call__(self, process: nats.Process, /) -> Result[None, brokers.CloseError]: ...
        @overload
        def __call__(self, process: aio.Process, /) -> Coroutine[Any, Any, Result[None, CloseError]]: ...
        @overload
        def __call__(self, process: loops.Process, /) -> Coroutine[Any, Any, Result[None, loops.CloseError]]: ...


__all__ = ["ask", "close", "flat_map", "send", "wait"]


def send(*messages: Message) -> Sending:
    """`Process.send` of these messages."""

    def sent(process: Any) -> Any:  # Any: `Sending` declares the types
        return process.send(*messages)

    return sent


def wait(timeout: float | None = None) -> Waiting:
    """`Process.wait`, for at most `timeout` seconds."""

    def waited(process: Any) -> Any:  # Any: as above
        return process.wait(timeout)

    return waited


def ask(message: Message, timeout: float | None = None) -> Asking:
    """`Process.ask` of this message, for at most `timeout` seconds."""

    def asked(process: Any) -> Any:  # Any: as above
        return process.ask(message, timeout)

    return asked


def close() -> Closing:
    """`Process.close`."""

    def closed(process: Any) -> Any:  # Any: as above
        return process.close()

    return closed
