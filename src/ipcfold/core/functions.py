"""The functions that a server folds, as one."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Generic, TypeVar, final

from ipcfold.continuation import Continuation, Handler, Leaving, Waking
from ipcfold.message import Message

if TYPE_CHECKING:
    from ipcfold.inputs import Left, Woken  # clients use none, and import this module with their shell

C = TypeVar("C")
R = TypeVar("R")
S = TypeVar("S")
T = TypeVar("T")


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
        if isinstance(what, Message):
            return self.handler(what, continuation, continuation.carry)
        from ipcfold.inputs import Left  # noqa: PLC0415 - see above

        if isinstance(what, Left):
            return continuation if self.left is None else self.left(what.peer, continuation, continuation.carry)
        return continuation if self.woken is None else self.woken(continuation, continuation.carry)


def driven(steps: Generator[S, T, R], answer: Callable[[S], T]) -> R:
    """Take all steps, and give each what this function returns or raises."""
    try:
        step = next(steps)
        while True:
            try:
                answered = answer(step)
            except BaseException as error:  # noqa: BLE001 - the handler may raise anything
                step = steps.throw(error)
            else:
                step = steps.send(answered)
    except StopIteration as end:
        result: R = end.value
        return result
