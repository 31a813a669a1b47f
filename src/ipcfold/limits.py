"""The limits: each resource that a peer could exhaust has one, with a finite default."""

from __future__ import annotations

from typing import Final, TypeVar, final

import attrs

LARGEST_CONTENT: Final = 0xFFFF_FFFF  # a frame has four bytes for the length of the content


Number = TypeVar("Number", int, float)


def _is_limit(_: object, attribute: attrs.Attribute[Number], value: Number) -> None:
    if not 0 < value < float("inf"):
        raise ValueError(f"limits.{attribute.name} must be more than zero and finite, not {value}")


@final
@attrs.frozen(kw_only=True)
class Limits:
    """The resources that one end grants its peers; sizes are bytes, times are seconds.

    - `message`: the largest content that this end sends or accepts. Default 64 MiB: a large picture or table fits, and
      one frame cannot exhaust the memory. A peer that runs Innmind/IPC takes 128 KiB.
    - `connections`: how many clients a server has at once; it refuses more. Default 16,384: this is above the usual
      limit of open files, so that limit applies first.
    - `connections_per_user`: how many connections each other user may have, if `trust` accepts other users. Default
      1,024: one user cannot take all connections.
    - `handshake`: how long the greeting may take. Default 5 s: a busy machine needs less.
    - `frame`: how long the server waits for one frame, from its first byte to its last. A peer that is being closed may
      also go this long without reading its pending bytes. Default 60 s: the largest frame takes a tenth of a second, and
      a client may stop in a debugger for a while.
    - `drain`: how long an end that asked to close waits for the confirmation. Default 1 s: a client that computes cannot
      confirm, and must not delay the end of a server.
    - `unsent`: how many unsent bytes a peer may have before the server stops reading from it. It may have as many of messages that
      it did not ask for: then the server ends its connection at the next one. A late answer may wait behind `message` bytes more.
      Default 1 MiB: this is several times the kernel's buffer, so a peer that reads never has to wait.
    - `unread`: how many bytes of unread responses a client keeps, media types included. Default 128 MiB: two of the
      largest messages.

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
