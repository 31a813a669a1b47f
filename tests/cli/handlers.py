"""Handlers for `ipcfold listen`, some of which are none."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

from ipcfold import Continuation, Message
from ipcfold.codec import Codec, TypedContinuation, typed

NUMBER = 3


class Silent:
    """What not even repr can show."""

    def __repr__(self) -> str:
        raise ValueError("no")


class MuteError(Exception):
    """An error whose texts are errors, too."""

    def __repr__(self) -> str:
        raise SystemExit(7)

    __str__ = __repr__


class Hollow(dict[str, int]):
    """A dictionary that no encoder can read."""

    def items(self) -> NoReturn:
        raise ZeroDivisionError


def echo(message: Message, continuation: Continuation[int | None], carry: int | None) -> Continuation[int | None]:
    """Respond with what was sent, and count."""
    return continuation.respond((carry or 0) + 1, message)


def count(message: Message, continuation: Continuation[int], carry: int) -> Continuation[int]:
    """Respond with how many messages there were."""
    return continuation.respond(carry + 1, Message.text(f"{carry + 1} in all"))


def five(message: Message, continuation: Continuation[int], carry: int) -> Continuation[int]:
    return continuation.stop(carry + 1) if carry == 4 else continuation.continue_(carry + 1)


def keep(message: Message, continuation: Continuation[object], carry: object) -> Continuation[object]:
    """Carry what the message names."""
    match message.content:
        case b"set":
            return continuation.stop({1})
        case b"path":
            return continuation.stop([Path("/"), b"\x00", float("nan")])
        case b"silent":
            return continuation.stop(Silent())
        case b"characters":
            return continuation.stop("\u00e9\ud800\u6f22")
        case b"number":
            return continuation.stop(10**5000)
        case b"hollow":
            return continuation.stop(Hollow(a=1))
        case b"mute":
            raise MuteError
        case b"raise":
            raise KeyError("a\nb")
        case b"whole":
            return continuation.stop(carry)
        case _:
            return continuation.close(carry)


def too_few(message: Message, carry: int) -> int:
    """Take what no handler gets."""
    return carry


def too_many(message: Message, continuation: Continuation[int], carry: int, more: int) -> int:
    """Take what no handler gets."""
    return more


def named(*, message: Message, continuation: Continuation[int], carry: int) -> int:
    """Take everything by name."""
    return carry


async def later(message: Message, continuation: Continuation[int], carry: int) -> Continuation[int]:
    """Answer too late."""
    await asyncio.sleep(0)
    return continuation.stop(carry)


def bits(message: Message, continuation: Continuation[int], carry: int) -> Iterator[Continuation[int]]:
    """Answer bit by bit."""
    yield continuation.stop(carry)


class Counter:
    """A handler with a state of its own, and one that waits."""

    def __call__(self, message: Message, continuation: Continuation[int], carry: int) -> Continuation[int]:
        return continuation.stop(carry)

    async def later(self, message: Message, continuation: Continuation[int], carry: int) -> Continuation[int]:
        return continuation.stop(carry)


counter = Counter()
loose = print  # takes anything


def _add(number: int, continuation: TypedContinuation[int, int], total: int) -> TypedContinuation[int, int]:
    return continuation.respond(total + number, total + number)


add = typed(Codec(int), _add)
