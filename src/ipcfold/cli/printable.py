"""Texts that are safe to print: without control characters, and made from any value."""

from __future__ import annotations

import sys
from typing import Final

_NAME: Final = type.__dict__["__name__"]  # a metaclass may define another one


def printable(text: str) -> str:
    r"""The text with its control characters escaped, so that it cannot control the terminal.

    >>> printable("a\tb\x1b[31m")
    'a\tb\\x1b[31m'
    """
    return "".join(character if character.isprintable() or character in "\n\t" else escaped(character) for character in text)


def escaped(character: str) -> str:
    r"""The character as an escape sequence of Python.

    >>> escaped("\n")
    '\\n'
    """
    return ascii(character)[1:-1]  # a codec would be imported, for which there may be no descriptor left


def shown(value: object, most: int = sys.maxsize) -> str:
    """The `repr` of the value, at most so many characters; if it raises, the type and what was raised.

    >>> shown("ä" * 9, 4)
    "'äää..."
    """
    try:
        text = str.__str__(repr(value))  # a `repr` may return a subclass of `str`
    except BaseException as error:  # noqa: BLE001 - the code of a value may raise anything, and the rest of the output must not be lost
        return f"<a {type_of(value)}, of which repr raises {type_of(error)}>"
    return text if len(text) <= most else f"{text[:most]}..."


def type_of(value: object) -> str:
    """The name of the value's type.

    >>> type_of(1)
    'int'
    """
    return str(_NAME.__get__(type(value)))
