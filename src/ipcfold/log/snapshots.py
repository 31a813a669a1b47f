"""How a server keeps its carry in the log, so that the next one needs to fold only what came later."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Generic, Protocol, TypeVar, final

import attrs
from returns.result import Failure, Result, Success

from ipcfold.cause import shown
from ipcfold.message import Message
from ipcfold.result import cases

C = TypeVar("C")


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
    """A `Coder` of two functions, which may raise."""

    write: Callable[[C], bytes]
    read: Callable[[bytes], C]

    def encode(self, value: C, /) -> Result[Message, str]:
        """See `Coder`."""
        try:
            return Success(Message.octets(self.write(value)))
        except Exception as error:  # noqa: BLE001 - it is the program's code
            return Failure(shown(error))

    def decode(self, message: Message, /) -> Result[C, str]:
        """See `Coder`."""
        try:
            return Success(self.read(message.content))
        except Exception as error:  # noqa: BLE001 - as above
            return Failure(shown(error))


@final
@attrs.frozen
class Snapshots(Generic[C]):
    """How a server keeps its carry in the log: every so many messages, and when it ends in good order.

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
    def of(cls, write: Callable[[C], bytes], read: Callable[[bytes], C]) -> Snapshots[C]:
        """With a pair of functions, for example those of `pickle`.

        >>> snapshots = Snapshots.of(lambda carry: str(carry).encode(), int)
        >>> snapshots.decode(snapshots.coder.encode(42).unwrap())
        <Success: 42>
        """
        return Snapshots(Functions(write, read))

    def decode(self, message: Message) -> Result[C, str]:
        """The carry of a snapshot."""
        reasons = []
        for read in (self.coder.decode, *self.older):
            match cases(read(message)):
                case Success(carry):
                    return Success(carry)
                case Failure(reason):
                    reasons.append(str(reason))
        return Failure("; ".join(reasons))
