"""The functions that a server folds, as one."""

from __future__ import annotations

from typing import Generic, TypeVar, final

from ipcfold.continuation import Continuation, Handler, Leaving, Left, Waking, Woken
from ipcfold.message import Message

C = TypeVar("C")


@final
class Handlers(Generic[C]):
    """The functions that a server folds, as one. It is no attrs class, because each client imports it, too, and making those takes time."""

    __slots__ = ("handler", "left", "woken")

    def __init__(self, handler: Handler[C], left: Leaving[C] | None = None, woken: Waking[C] | None = None) -> None:
        """Raises a `TypeError` for what cannot be called."""
        if not callable(handler):
            raise TypeError(f"a handler is wanted after the carry, not {handler!r:.80}")
        for name, function in (("left", left), ("woken", woken)):
            if function is not None and not callable(function):
                raise TypeError(f"a function is wanted as {name}, not {function!r:.80}")
        self.handler = handler
        self.left = left
        self.woken = woken

    def __call__(self, what: Message | Left | Woken, continuation: Continuation[C]) -> Continuation[C]:
        """Call the function that this input is for."""
        match what:
            case Left(peer=peer):
                return continuation if self.left is None else self.left(peer, continuation, continuation.carry)
            case Woken():
                return continuation if self.woken is None else self.woken(continuation, continuation.carry)
            case _:
                return self.handler(what, continuation, continuation.carry)
