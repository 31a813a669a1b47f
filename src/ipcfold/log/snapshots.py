"""How a server keeps its carry in the log, so that the next one needs to fold only what came later."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from functools import partial
from typing import Generic, Protocol, TypeVar, final

import attrs
from returns.maybe import Maybe, Nothing, Some
from returns.result import Failure, Result, Success

from ipcfold.cause import shown
from ipcfold.message import Message
from ipcfold.result import cases

C = TypeVar("C")
R = TypeVar("R")


class Coder(Protocol[C]):
    """Makes messages of carries, and carries of messages. A `Codec` is one."""

    def encode(self, value: C, /) -> Result[Message, object]:
        """The carry as a message."""

    def decode(self, message: Message, /) -> Result[C, object]:
        """The carry of the message."""


class History(Enum):
    """What becomes of the entries before a snapshot."""

    KEPT = "kept"
    """They stay, for `ipcfold replay`, and in case that no snapshot decodes."""
    DROPPED = "dropped"
    """Those before the last but one snapshot are dropped."""


@final
@attrs.frozen
class Functions(Generic[C]):
    """A `Coder` of two functions. It raises what they raise, and `Snapshots` takes that for a reason."""

    write: Callable[[C], bytes]
    read: Callable[[bytes], C]

    def encode(self, value: C, /) -> Result[Message, str]:
        """See `Coder`."""
        content: object = self.write(value)
        if not isinstance(content, bytes | bytearray | memoryview):
            return Failure(f"the function that writes returned a {type(content).__name__}, not bytes")
        return Success(Message.octets(bytes(content)))

    def decode(self, message: Message, /) -> Result[C, str]:
        """See `Coder`."""
        return Success(self.read(message.content))


@final
@attrs.frozen
class Snapshots(Generic[C]):
    """How a server keeps its carry in the log: every so many messages, when it ends in good order, and when it has adopted a log.

    A server that follows the log, and `ipcfold.testing.replayed`, compare their carry with it by `==`, after both were written and read.

    - `coder`: a `Codec`, or anything else with `encode` and `decode`. `Snapshots.of` takes two functions.
    - `every`: so many entries are between two snapshots at least.
    - `older`: functions that read what earlier versions wrote. They are tried in order if `coder` does not decode a snapshot.
    - `history`: what becomes of the entries before a snapshot.
    """

    coder: Coder[C]
    every: int = attrs.field(default=10_000, kw_only=True, validator=attrs.validators.ge(1))
    older: tuple[Callable[[Message], Result[C, object]], ...] = attrs.field(default=(), kw_only=True)
    history: History = attrs.field(default=History.KEPT, kw_only=True)

    @classmethod
    def of(
        cls,
        write: Callable[[C], bytes],
        read: Callable[[bytes], C],
        *,
        every: int = 10_000,
        older: tuple[Callable[[Message], Result[C, object]], ...] = (),
        history: History = History.KEPT,
    ) -> Snapshots[C]:
        """With a pair of functions, for example those of `pickle`.

        >>> snapshots = Snapshots.of(lambda carry: str(carry).encode(), int, every=100)
        >>> snapshots.decode(snapshots.encode(42).unwrap())
        <Success: 42>
        """
        return Snapshots(Functions(write, read), every=every, older=older, history=history)

    def encode(self, carry: C) -> Result[Message, str]:
        """The message of a snapshot, or why there is none."""
        match cases(_tried(lambda: self.coder.encode(carry))):
            case Failure(reason):
                return Failure(str(reason))
            case Success(message):
                made: object = message
        return Success(made) if isinstance(made, Message) else Failure(f"the coder returned a {type(made).__name__}, not a Message")

    def decode(self, message: Message) -> Result[C, str]:
        """The carry of a snapshot."""
        reasons = []
        for read in (self.coder.decode, *self.older):
            match cases(_tried(partial(read, message))):
                case Success(carry):
                    return Success(carry)
                case Failure(reason):
                    reasons.append(str(reason))
        return Failure("; ".join(reasons))

    def other(self, carry: C, message: Message) -> Maybe[C]:
        """The carry of a snapshot, if that is known to be another one than this.

        Bytes that differ say nothing: sets have no order, and `pickle` writes equal values in several ways. So the carries are compared,
        after both of them were written and read. It is not known which ones are equal where `coder` does not read the snapshot, and where
        the carry has no equality: where what it reads twice is not equal.
        """
        written = self.encode(carry).value_or(None)
        if written is None or written == message:
            return Nothing
        match cases(_tried(partial(self._compared, message, written, carry))):
            case Success(found):
                return found
            case Failure():
                return Nothing

    def _compared(self, message: Message, written: Message, carry: C) -> Result[Maybe[C], object]:
        read = self.coder.decode
        kept = read(message).unwrap()  # what raises here leaves it unknown, as does an `==` that raises
        if kept == carry or kept == read(written).unwrap():
            return Success(Nothing)
        return Success(Some(kept) if kept == read(message).unwrap() else Nothing)


def _tried(call: Callable[[], Result[R, object]]) -> Result[R, object]:
    """The result of the program's code, also if that raises, or returns no result."""
    try:
        result: object = call()
    except Exception as error:  # noqa: BLE001 - it is the program's code
        return Failure(shown(error))
    if not isinstance(result, Result):
        return Failure(f"the coder returned a {type(result).__name__}, not a Result")
    return result
