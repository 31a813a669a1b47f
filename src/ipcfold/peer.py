"""Names of servers, and the process at the other end of a connection."""

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
    """The text is not a valid name of a server."""

    value: str

    def __str__(self) -> str:
        return f"{self.value!r} is not a name: use letters, digits, '_' and '-', at least one of them"


def _exact(text: str) -> str:
    return str.__str__(text)  # a copy if the text is of a subclass, whose methods do not run


def _is_name(_: Name, __: attrs.Attribute[str], value: str) -> None:
    if not re.fullmatch("[A-Za-z0-9_-]+", value):
        raise ValueError(str(InvalidName(value)))


@final
@attrs.frozen(order=True)
class Name:
    """The name of a server: `[A-Za-z0-9_-]+`, so that each name is one valid file name.

    >>> str(Name.of("thumbnails").unwrap())
    'thumbnails'
    >>> str(Name.of("../thumbnails").failure())
    "'../thumbnails' is not a name: use letters, digits, '_' and '-', at least one of them"
    """

    value: str = attrs.field(converter=_exact, validator=_is_name)

    @classmethod
    def of(cls, value: str) -> Result[Name, InvalidName]:
        """Check the text, and return it as a name."""
        try:
            return Success(cls(value))
        except ValueError:
            return Failure(InvalidName(_exact(value)))

    @classmethod
    def maybe(cls, value: str) -> Maybe[Name]:
        """Return the text as a name, or `Nothing` if it is not valid.

        >>> Name.maybe("a b")
        <Nothing>
        """
        return Maybe.from_optional(cls.of(value).value_or(None))

    def __str__(self) -> str:
        return self.value


@final
@attrs.frozen
class Peer:
    """The process at the other end of a connection, with its peer credentials from the kernel.

    A server numbers its connections from 1 and uses each number once (`connection`). Two peers of one server are therefore
    equal only if they are the same connection, even if the kernel reuses a process id. The defaults mean "not known".
    """

    connection: int = 0
    pid: int = 0
    uid: int = -1
    gid: int = -1
    run: int = attrs.field(default=0, eq=False, repr=False)
    """Which run of a server numbered the connection. So a server refuses to tell a peer of another one. Peers are compared without it.

    The servers that use one log, one after the other, number their connections as one run. So do all servers that fold one stream of NATS.
    """


NOBODY: Final = Peer()
"""The peer of a message that came through no connection."""

Trust: TypeAlias = Callable[[Peer], bool]
"""Decides whether to accept a peer. `True` accepts it; any other value or an exception refuses it."""
