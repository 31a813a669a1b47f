"""Reads the content to send from an argument, a file or the standard input."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import BinaryIO, Final

from returns.curry import partial
from returns.pipeline import flow
from returns.result import Failure, Result, Success

from ipcfold.cli.parameters import Source
from ipcfold.cli.status import Misused
from ipcfold.errors import MessageTooLarge, SystemFailure
from ipcfold.message import OCTET_STREAM, TEXT_PLAIN, InvalidMediaType, Message
from ipcfold.result import flat_map

_STDIN: Final = Path("/dev/stdin")
_WAYS: Final = "give it as an argument, with --file PATH, or with - from the standard input"


def told(content: str | None, source: Source, limit: int) -> Result[Message, Misused | SystemFailure | MessageTooLarge | InvalidMediaType]:
    """The message to send. At most `limit` bytes are accepted, and one more is read to see that there are more."""
    return flow(_octets(content, source, limit), flat_map(partial(_message, source.media_type)))


def _message(media_type: str | None, octets: bytes) -> Result[Message, InvalidMediaType]:
    if media_type is not None:
        return Message.of(media_type, octets)
    return Success(Message(OCTET_STREAM if text(octets) is None else TEXT_PLAIN, octets))


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
