"""Who talks: the name a server listens under, and the process at the other end."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final, TypeAlias, final

import attrs
from returns.maybe import Maybe
from returns.result import Failure, Result, Success

from ipcfold.cause import Cause


@final
@attrs.frozen(repr=False, eq=False)
class InvalidName(Cause):
    """A server cannot have this name."""

    value: str

    def __str__(self) -> str:
        return f"{self.value!r} is not a name: use letters, digits, '_' and '-', at least one of them"


def _is_name(_: Name, __: attrs.Attribute[str], value: str) -> None:
    if not re.fullmatch("[A-Za-z0-9_-]+", value):
        raise ValueError(str(InvalidName(value)))


@final
@attrs.frozen(order=True)
class Name:
    """The name a server listens under: `[A-Za-z0-9_-]+`, so that it is always one file name.

    >>> str(Name.of("thumbnails").unwrap())
    'thumbnails'
    >>> str(Name.of("../thumbnails").failure())
    "'../thumbnails' is not a name: use letters, digits, '_' and '-', at least one of them"
    """

    value: str = attrs.field(validator=_is_name)

    @classmethod
    def of(cls, value: str) -> Result[Name, InvalidName]:
        """The name, or why it is none."""
        try:
            return Success(cls(value))
        except ValueError:
            return Failure(InvalidName(value))

    @classmethod
    def maybe(cls, value: str) -> Maybe[Name]:
        """The name, if it is one.

        >>> Name.maybe("a b")
        <Nothing>
        """
        return Maybe.from_optional(cls.of(value).value_or(None))

    def __str__(self) -> str:
        return self.value


@final
@attrs.frozen
class Peer:
    """The process at the other end, as the kernel vouches for it.

    `connection` numbers a server's connections from 1 and is never used twice by one server: two peers are
    equal only if they are the same connection, even when a process id comes back. Defaults mean "not known".
    """

    connection: int = 0
    pid: int = 0
    uid: int = -1
    gid: int = -1


NOBODY: Final = Peer()
"""The peer where there is no connection."""

Trust: TypeAlias = Callable[[Peer], bool]
"""Decides whether to talk to a peer: `True` is yes, and whatever else it returns or raises is no."""
