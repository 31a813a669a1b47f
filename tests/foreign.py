"""Subclasses of `str` and `bytes` whose methods must never run."""

from typing import NoReturn


class ForeignMethodError(Exception):
    """A method of a subclass ran."""


def _ran(*_: object, **__: object) -> NoReturn:
    raise ForeignMethodError


class ForeignBytes(bytes):
    """Bytes with no usable method."""

    __len__ = __getitem__ = __iter__ = __contains__ = __eq__ = __ne__ = __hash__ = __bytes__ = __buffer__ = _ran
    __add__ = __radd__ = __repr__ = __str__ = __bool__ = join = decode = startswith = _ran


class LongBytes(bytes):
    """Bytes that tell a wrong length."""

    def __len__(self) -> int:
        return 2**20


class ForeignText(str):
    """A text with no usable method."""

    __slots__ = ()
    __len__ = __getitem__ = __iter__ = __contains__ = __eq__ = __ne__ = __hash__ = __format__ = _ran
    __add__ = __radd__ = __repr__ = __str__ = __bool__ = encode = lower = replace = join = _ran
