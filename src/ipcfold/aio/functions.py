"""The functions that a server in an event loop folds: plain ones, or `async def`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Generic, TypeAlias, TypeVar, final

import attrs

from ipcfold.continuation import Continuation
from ipcfold.inputs import Left, Woken
from ipcfold.message import Message
from ipcfold.peer import Peer

C = TypeVar("C")

Handler: TypeAlias = Callable[[Message, Continuation[C], C], Continuation[C] | Awaitable[Continuation[C]]]
"""A handler: a plain function, as every server takes it, or an `async def`."""

Leaving: TypeAlias = Callable[[Peer, Continuation[C], C], Continuation[C] | Awaitable[Continuation[C]]]
"""The same for a client that has left."""

Waking: TypeAlias = Callable[[Continuation[C], C], Continuation[C] | Awaitable[Continuation[C]]]
"""The same for an alarm."""


@final
@attrs.frozen
class Functions(Generic[C]):
    """The functions that a server folds."""

    handler: Handler[C]
    left: Leaving[C] | None = None
    woken: Waking[C] | None = None

    def __attrs_post_init__(self) -> None:
        if not callable(self.handler):
            raise TypeError(f"a handler is wanted after the carry, not {self.handler!r:.80}")
        for name, function in (("left", self.left), ("woken", self.woken)):
            if function is not None and not callable(function):
                raise TypeError(f"a function is wanted as {name}, not {function!r:.80}")

    def __call__(self, what: Message | Left | Woken, continuation: Continuation[C]) -> Continuation[C] | Awaitable[Continuation[C]]:
        """Call the function that this input is for."""
        match what:
            case Left(peer=peer):
                return continuation if self.left is None else self.left(peer, continuation, continuation.carry)
            case Woken():
                return continuation if self.woken is None else self.woken(continuation, continuation.carry)
            case _:
                return self.handler(what, continuation, continuation.carry)
