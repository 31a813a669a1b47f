"""Answers that are there, or that an event loop awaits, as those of an `async def` handler."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from inspect import isawaitable
from typing import TypeAlias, TypeVar

from ipcfold.continuation import Continuation
from ipcfold.excuse import no_continuation

C = TypeVar("C")
D = TypeVar("D")

Answered: TypeAlias = Continuation[C] | Awaitable[Continuation[C]]
"""What a handler returns."""


def then(answer: Answered[C], function: Callable[[Continuation[C]], Continuation[D]]) -> Answered[D]:
    """Go on with this answer, as soon as it is there."""
    if type(answer) is Continuation:  # the usual case
        return function(answer)
    if isawaitable(answer):
        return _later(answer, function)
    raise no_continuation(answer)


async def _later(pending: Awaitable[Continuation[C]], function: Callable[[Continuation[C]], Continuation[D]]) -> Continuation[D]:
    answer = await pending
    if type(answer) is Continuation:
        return function(answer)
    raise no_continuation(answer)
