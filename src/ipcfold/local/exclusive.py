"""One owner of a file: a lock that the kernel drops with the process, as that of a name.

The lock is on a file beside it, because the file itself may be one whose descriptors others open and close, as a database does.
The path is resolved first, and the kernel compares files, not paths. So links and bind mounts lead to the same lock.
"""

from __future__ import annotations

import errno
from pathlib import Path
from typing import final

from returns.result import Failure, Result, Success

from ipcfold.errors import LogError, LogReadOnly, LogTaken, LogUnusable
from ipcfold.local import claim


@final
class Exclusive:
    """The lock of a file, until `release`."""

    def __init__(self, lock: claim.Lock) -> None:
        self._lock = lock

    @classmethod
    def of(cls, file: Path) -> Result[Exclusive, LogError]:
        """Lock the file, which need not exist, or return who has it."""
        path, place = Path(f"{file}.lock"), str(file)
        try:
            return Success(cls(claim.alone(path)))
        except claim.TakenError as error:
            return Failure(LogTaken(place, error.holder))
        except claim.LockError as error:
            cause = error.__cause__
            if isinstance(cause, PermissionError) or (isinstance(cause, OSError) and cause.errno == errno.EROFS):
                return Failure(LogReadOnly(place, error.reason))
            return Failure(LogUnusable(place, f"could not {error.action} {path}: {error.reason}"))

    def release(self) -> None:
        """Release the lock. The lock file stays, because another process may be about to lock it."""
        claim.give(self._lock)
