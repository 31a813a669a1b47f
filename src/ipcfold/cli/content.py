"""Reads the content to send from an argument, a file or the standard input."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import BinaryIO, Final, Never

from returns.curry import partial
from returns.pipeline import flow
from returns.result import Failure, Result, Success

from ipcfold.cli.parameters import Source
from ipcfold.cli.status import Misused
from ipcfold.errors import MessageTooLarge, SystemFailure
from ipcfold.message import OCTET_STREAM, TEXT_PLAIN, InvalidMediaType, MediaType, Message
from ipcfold.result import flat_map

_STDIN: Final = Path("/dev/stdin")
_WAYS: Final = "give it as an argument, with --file PATH, or with - from the standard input"


SHORT: Final = {
    "json": "application/json",
    "text": "text/plain",
    "octets": "application/octet-stream",
    "msgpack": "application/vnd.msgpack",
    "cbor": "application/cbor",
}
"""Short names of media types."""


def told(content: str | None, source: Source, limit: int) -> Result[Message, Misused | SystemFailure | MessageTooLarge]:
    """The message to send. At most `limit` bytes are accepted, and one more is read to see that there are more."""
    return flow(_octets(content, source, limit), flat_map(partial(_message, source.media_type)))


def _message(media_type: str | None, octets: bytes) -> Result[Message, Misused]:
    if media_type is not None:
        return Message.of(SHORT.get(media_type, media_type), octets).alt(_misused)
    return Success(Message(OCTET_STREAM if text(octets) is None else TEXT_PLAIN, octets))


def _misused(error: InvalidMediaType) -> Misused:
    return Misused(f"{error}, or use a short name: {', '.join(SHORT)}")


def text(octets: bytes) -> str | None:
    """Decode the bytes as UTF-8; `None` if they are not UTF-8.

    >>> text(b"pong"), text(bytes([255]))
    ('pong', None)
    """
    try:
        return octets.decode()
    except UnicodeDecodeError:
        return None


def _octets(content: str | None, source: Source, limit: int) -> Result[bytes, Misused | SystemFailure | MessageTooLarge]:
    if (content is not None) + (source.file is not None) + source.stdin > 1:
        return Failure(Misused(f"there is more than one content: {_WAYS}"))
    if content is not None:
        return Success(os.fsencode(content))  # exactly the bytes of the argument
    if source.file is not None:
        return _read(source.file, limit)
    if not source.stdin and sys.stdin.isatty():
        return Failure(Misused(f"there is no content: {_WAYS}"))
    return _read_all(sys.stdin.buffer, _STDIN, limit)


def _read(path: Path, limit: int) -> Result[bytes, SystemFailure | MessageTooLarge]:
    try:
        with path.open("rb") as opened:
            return _read_all(opened, path, limit)
    except (OSError, ValueError) as error:  # ValueError: the path contains a NUL
        return Failure(SystemFailure("read", path, getattr(error, "strerror", None) or str(error)))


def _read_all(source: BinaryIO, path: Path, limit: int) -> Result[bytes, SystemFailure | MessageTooLarge]:
    try:
        octets = source.read(limit + 1)
        if len(octets) > limit:
            return Failure(MessageTooLarge(max(len(octets), os.fstat(source.fileno()).st_size), limit))
    except OSError as error:
        return Failure(SystemFailure("read", path, error.strerror or str(error)))
    return Success(octets)


def is_json(media_type: MediaType) -> bool:
    """Whether the media type is JSON, or has the suffix `+json` of RFC 6839."""
    return media_type.subtype == "json" or media_type.subtype.endswith("+json")


def json_line(content: str) -> str | None:
    r"""A JSON text as one line of ASCII, otherwise unchanged; `None` if the text is not JSON.

    Numbers keep their digits, and objects their repeated keys, which a parser would lose.

    >>> json_line('{"é":\n 1.10}'), json_line("NaN"), json_line("{")
    ('{"\\u00e9":  1.10}', None, None)
    """
    try:
        json.loads(content, parse_int=len, parse_float=len, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return None
    spaced = content.translate({ord("\n"): " ", ord("\r"): " ", ord("\t"): " ", 0x7F: "\\u007f"})  # strings have no raw line break
    return "".join(character if character.isascii() else json.dumps(character)[1:-1] for character in spaced)


def _refuse(constant: str) -> Never:
    raise ValueError(f"{constant} is not JSON")  # though Python's parser accepts it
