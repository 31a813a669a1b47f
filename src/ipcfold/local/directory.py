"""The directory of the sockets, the checks of it, and the path of a name's socket in it.

A directory that a program names must exist. A server creates the default one (per user, or `IPCFOLD_DIRECTORY`) if it is
missing. While it is missing, no server listens.
"""

from __future__ import annotations

import os
import stat
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from returns.result import Failure, Result, Success

from ipcfold.errors import DirectoryUnusable, PathTooLong
from ipcfold.local.credentials import same_user
from ipcfold.peer import Name, Trust

LONGEST_PATH: Final = 107 if sys.platform == "linux" else 103  # the size of sun_path without the zero byte at its end
_DESCRIPTORS: Final = "/proc/self/fd"  # Linux opens a path below the descriptor of a directory
_LONGEST_FILE: Final = LONGEST_PATH - len(f"{_DESCRIPTORS}/1000000/")


def default_directory() -> Path:
    """`IPCFOLD_DIRECTORY`, or the runtime directory of this user."""
    configured = os.environ.get("IPCFOLD_DIRECTORY")
    if configured:
        return Path(configured)
    import platformdirs  # noqa: PLC0415 - importing it takes half as long as importing this library, and most programs name a directory

    with warnings.catch_warnings():
        # It warns if there is no session directory. Its fallback can be used, because the directory is checked here.
        warnings.simplefilter("ignore")
        return platformdirs.user_runtime_path("ipcfold")


def located(directory: Path | None, trust: Trust) -> Result[Path, DirectoryUnusable]:
    """The absolute path of the directory with the sockets, if it is safe to use."""
    path = default_directory() if directory is None else directory
    try:
        path = Path(os.path.abspath(path))
        status = os.lstat(path)
    except FileNotFoundError:
        if directory is None:
            return Success(path)
        return Failure(DirectoryUnusable(path, "it does not exist; make it with mode 0700"))
    except (OSError, ValueError) as error:  # ValueError: a path with a NUL in it
        reason = getattr(error, "strerror", None) or str(error)
        return Failure(DirectoryUnusable(path, f"{reason}; name a directory that this user can reach"))
    return _checked(path, status, trust)


def prepared(directory: Path | None, trust: Trust) -> Result[Path, DirectoryUnusable]:
    """The directory for a new socket; the default one is created if it is missing."""
    if directory is None:
        path = default_directory()
        try:
            path = Path(os.path.abspath(path))
            for missing in reversed([path, *path.parents]):
                if not missing.exists():
                    missing.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            return Failure(DirectoryUnusable(path, f"it cannot be made: {error.strerror}; name another with IPCFOLD_DIRECTORY"))
    return located(directory, trust)


def _checked(path: Path, status: os.stat_result, trust: Trust) -> Result[Path, DirectoryUnusable]:
    if stat.S_ISLNK(status.st_mode):
        return Failure(DirectoryUnusable(path, "it is a symbolic link, which others may turn; name the directory itself"))
    if not stat.S_ISDIR(status.st_mode):
        return Failure(DirectoryUnusable(path, "it is not a directory; name one"))
    if trust is not same_user:  # then the permissions of the directory say who can connect, and the predicate who is trusted
        return Success(path)
    if status.st_uid != os.geteuid():
        return Failure(DirectoryUnusable(path, f"it belongs to user {status.st_uid}, not to {os.geteuid()}; use one of your own"))
    mode = stat.S_IMODE(status.st_mode)
    if mode & 0o077:
        return Failure(DirectoryUnusable(path, f"its mode {mode:04o} is open to others; chmod 0700 it, or set IPC(trust=...)"))
    if mode & 0o700 != 0o700:
        return Failure(DirectoryUnusable(path, f"its mode {mode:04o} keeps its owner from writing to it; chmod 0700 it"))
    return Success(path)


def socket_path(name: Name, directory: Path) -> Result[Path, PathTooLong]:
    """The path of the name's socket, unless it is too long for the system."""
    if not isinstance(name, Name):  # a plain string could lead out of the directory
        raise TypeError(f"a Name is wanted, not {name!r:.80}")
    path = directory / f"{name}.sock"
    if len(os.fsencode(path)) <= LONGEST_PATH or (len(path.name) <= _LONGEST_FILE and os.path.isdir(_DESCRIPTORS)):
        return Success(path)
    return Failure(PathTooLong(path, LONGEST_PATH))


@contextmanager
def reachable(path: Path) -> Iterator[str]:
    """The path as socket calls accept it; a long one goes through a descriptor of its directory."""
    if sys.platform != "linux" or len(os.fsencode(path)) <= LONGEST_PATH:
        yield os.fspath(path)
        return
    directory = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"{_DESCRIPTORS}/{directory}/{path.name}"
    finally:
        os.close(directory)
