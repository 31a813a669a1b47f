"""The limits: every resource that a peer could exhaust has one, and each is finite by default."""

from __future__ import annotations

from typing import Final, TypeVar, final

import attrs

LARGEST_CONTENT: Final = 0xFFFF_FFFF  # the wire has four bytes for a content's length


Number = TypeVar("Number", int, float)


def _is_limit(_: object, attribute: attrs.Attribute[Number], value: Number) -> None:
    if not 0 < value < float("inf"):
        raise ValueError(f"limits.{attribute.name} is more than zero and finite, not {value}")


@final
@attrs.frozen(kw_only=True)
class Limits:
    """What one end lets its peers use; sizes are bytes, times are seconds.

    - `message`: the largest content sent or accepted. 64 MiB: a large picture or table fits, and one frame
      cannot take the machine's memory.
    - `connections`: clients of a server at once; one more is turned away. 16,384: more than the usual limit of
      open files, which so stays the one that counts.
    - `connections_per_user`: those of them that one user may have, other than the server's own, where `trust` lets
      more than one in. 1,024: so that nobody takes all the places.
    - `handshake`: how long a peer may take to greet. 5 s: a busy machine needs less, a stranger gets no more.
    - `frame`: how long a peer may take over one frame, from its first byte to its last, while the server waits for
      it; and how long a peer that is to be closed may read nothing of what waits for it. 60 s: the largest frame takes
      a tenth of one, and a client stopped in a debugger for a while still gets there.
    - `drain`: how long an end that asked to close waits for the confirmation. 1 s: a client that is computing
      cannot confirm, and must not hold up the end of a server.
    - `unsent`: how much may wait to be written to one peer before nothing more is read from it. 1 MiB: several
      times what the kernel buffers, so a peer that reads is never held up.
    - `unread`: how much a client keeps of responses that nobody has waited for, with their media types. 128 MiB:
      two of the largest messages.

    >>> Limits(drain=0.1).drain
    0.1
    """

    message: int = attrs.field(default=64 * 2**20, validator=[_is_limit, attrs.validators.le(LARGEST_CONTENT)])
    connections: int = attrs.field(default=16_384, validator=_is_limit)
    connections_per_user: int = attrs.field(default=1024, validator=_is_limit)
    handshake: float = attrs.field(default=5.0, validator=_is_limit)
    frame: float = attrs.field(default=60.0, validator=_is_limit)
    drain: float = attrs.field(default=1.0, validator=_is_limit)
    unsent: int = attrs.field(default=2**20, validator=_is_limit)
    unread: int = attrs.field(default=128 * 2**20, validator=_is_limit)
