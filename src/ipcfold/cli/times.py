"""Times as people type them."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, time, timedelta
from typing import Final

from returns.result import Failure, Result, Success

from ipcfold.cli.status import Misused

_SHOWN: Final = timedelta(milliseconds=1)  # the part of a second that the commands show
_DATE: Final = re.compile(r"\d{4}-?\d\d-?\d\d|\d{4}-?W\d\d(-?\d)?")
_TIME: Final = re.compile(r"\d\d:.*")
_ZONE: Final = re.compile(r"\s*(?:Z|UTC|GMT)$", re.IGNORECASE)


def since(text: str, today: Callable[[], datetime] = datetime.now) -> Result[float, Misused]:
    """The first moment of a time or of a day, in seconds since the epoch.

    >>> since("1970-01-02T00:00Z"), since("1970-01-02 01:00 +01:00")
    (<Success: 86400.0>, <Success: 86400.0>)
    """
    return _moment(text, timedelta(), today)


def until(text: str, today: Callable[[], datetime] = datetime.now) -> Result[float, Misused]:
    """The moment behind a time or behind a day, in seconds since the epoch. A time that a command has shown is within.

    >>> until("1970-01-02T00:00Z")
    <Success: 86400.001>
    """
    return _moment(text, timedelta(days=1) if _DATE.fullmatch(text.strip()) else _SHOWN, today)


def _moment(text: str, later: timedelta, today: Callable[[], datetime]) -> Result[float, Misused]:
    try:
        return Success((_read(text, today) + later).timestamp())
    except (ValueError, OverflowError, OSError):  # also a year that the system does not know
        examples = "2026-01-31, 08:00, '2026-01-31 08:00' or 2026-01-31T08:00+01:00"
        return Failure(Misused(f"{text!r:.80} is no time: write a date, a time or both, as in {examples}"))


def _read(text: str, today: Callable[[], datetime]) -> datetime:
    """Read a date, a time, or both. Without a zone they are those of this machine, and a time alone is one of today."""
    plain = re.sub(r"\s+([+-]\d)", r"\1", _ZONE.sub("Z", text.strip()))
    if _TIME.fullmatch(plain):
        return datetime.combine(today().date(), time.fromisoformat(plain))
    return datetime.fromisoformat(plain)
