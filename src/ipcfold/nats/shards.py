"""Several folds instead of one: which of them a key belongs to, and their names."""

from __future__ import annotations

from hashlib import blake2b
from typing import Final

from ipcfold.peer import Name

_MULTIPLIER: Final = 2862933555777941757
_MASK: Final = 2**64 - 1


def shards(name: Name, n: int) -> tuple[Name, ...]:
    """The names of so many shards of a name.

    >>> [str(each) for each in shards(Name("orders"), 3)]
    ['orders-0', 'orders-1', 'orders-2']
    """
    if n < 1:
        raise ValueError(f"there must be at least one shard, not {n}")
    return tuple(Name(f"{name}-{index}") for index in range(n))


def shard_of(key: str | bytes, n: int) -> int:
    """The number of the shard that a key belongs to, from 0 to `n - 1`. It is the same everywhere, and in every version.

    It is the jump consistent hash of Lamping and Veach (2014) of the first 64 bits, big-endian, of the BLAKE2b digest of 8 bytes of the
    key; a text is encoded in UTF-8. If `n` grows to `n + 1`, one key of `n + 1` moves, to the new shard.

    >>> shard_of("ann", 8), shard_of(b"ann", 8), shard_of("ann", 1)
    (4, 4, 0)
    """
    if n < 1:
        raise ValueError(f"there must be at least one shard, not {n}")
    octets = key.encode("utf-8", "surrogatepass") if isinstance(key, str) else key
    state = int.from_bytes(blake2b(octets, digest_size=8).digest(), "big")
    found, following = 0, 0
    while following < n:
        found = following
        state = (state * _MULTIPLIER + 1) & _MASK
        following = int((found + 1) * ((1 << 31) / ((state >> 33) + 1)))
    return found
