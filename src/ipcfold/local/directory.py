"""The directory of the sockets, its checks, and the path of a name's socket in it.

A directory that a program names must exist. A server creates the default one if it is missing. While it is missing, no
server listens. The rule for the default one must give the same directory to every process of a user:

1. `IPCFOLD_DIRECTORY`, if it is set.
2. `$XDG_RUNTIME_DIR/ipcfold`, if that variable names a directory of this user by an absolute path.
3. `/run/user/UID/ipcfold`, if `/run/user/UID` belongs to this user. A process without a session, for example one of cron,
   lacks the variable and meets the others there.
4. On macOS, `ipcfold` in the user's own directory for temporary files.
5. `~/.local/state/ipcfold-HOST`. No other user can create it first, as in /tmp, and nothing removes old files there, as in
   /tmp and ~/.cache. A home directory may be on the network, where another machine sees a socket that it cannot reach,
   so the path has the name of the machine.

Each parent belongs to this user, so that a process of root does not create a directory there that locks the user out.
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Final, final

import attrs
from returns.result import Failure, Result, Success

from ipcfold.errors import DirectoryUnusable, PathTooLong
from ipcfold.local.credentials import is_known, same_user
from ipcfold.peer import Name, Trust

LONGEST_PATH: Final = 107 if sys.platform == "linux" else 103  # the size of sun_path without the zero byte at its end
_DESCRIPTORS: Final = "/proc/self/fd"  # Linux opens a path below the descriptor of a directory
_LONGEST_FILE: Final = LONGEST_PATH - len(f"{_DESCRIPTORS}/1000000/")
_USER_TEMPORARY: Final = 65537  # _CS_DARWIN_USER_TEMP_DIR of macOS, which `os.confstr_names` lacks
_OWN: Final = "use a directory of your own: make one with mode 0700, and name it in IPCFOLD_DIRECTORY"


@final
@attrs.frozen
class Place:
    """A directory for sockets, and why it is this one."""

    path: Path
    reason: str


def place(directory: Path | None) -> Result[Place, DirectoryUnusable]:
    """The directory that the program named, or else the default one, as an absolute path."""
    found = _default() if directory is None else Success(Place(directory, "the program names it"))
    return found.bind(lambda found: _absolute(found.path).map(lambda path: attrs.evolve(found, path=path)))


def _default() -> Result[Place, DirectoryUnusable]:
    configured = os.environ.get("IPCFOLD_DIRECTORY")
    if configured:
        return Success(Place(Path(configured), "IPCFOLD_DIRECTORY names it"))
    session = os.environ.get("XDG_RUNTIME_DIR", "")
    if os.path.isabs(session) and _is_own(session):
        return Success(Place(Path(session, "ipcfold"), "XDG_RUNTIME_DIR names its parent, which belongs to this user"))
    ignored = "XDG_RUNTIME_DIR names no directory of this user alone" if session else "XDG_RUNTIME_DIR is not set"
    user = os.geteuid()
    if _is_own(f"/run/user/{user}"):
        return Success(Place(Path(f"/run/user/{user}/ipcfold"), f"{ignored}, and /run/user/{user} belongs to this user"))
    temporary = _user_temporary()
    if _is_own(temporary):
        return Success(Place(Path(temporary, "ipcfold"), f"{ignored}, and the system has a temporary directory for this user"))
    reason = f"{ignored}, and /run/user/{user} is no directory of this user"
    return _home(user).bind(lambda home: _of_host(home / ".local" / "state", reason))


def _is_own(path: str, others: int = 0o022) -> bool:
    """Whether it is a directory of this user that gives nobody these permissions: by default, to create files."""
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return False
    return stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid() and is_known(status.st_uid) and not status.st_mode & others


def _user_temporary() -> str:
    if sys.platform != "darwin":
        return ""
    try:
        return os.confstr(_USER_TEMPORARY) or ""
    except (OSError, ValueError):
        return ""


def _home(user: int) -> Result[Path, DirectoryUnusable]:
    """The home directory: that of `HOME`, or of the user database if `HOME` is that of another user, as below sudo."""
    named = os.environ.get("HOME", "")
    if os.path.isabs(named) and not os.path.lexists(named):
        missing = "HOME names it, and it does not exist; create it, or name a directory with IPCFOLD_DIRECTORY"
        return Failure(DirectoryUnusable(Path(named), missing))
    if os.path.isabs(named) and _is_own(named, others=0):
        return Success(Path(named))
    import pwd  # noqa: PLC0415 - few processes come here

    try:
        registered = pwd.getpwuid(user).pw_dir
    except (KeyError, OSError):
        registered = ""
    if os.path.isabs(registered) and _is_own(registered, others=0):
        return Success(Path(registered))
    why = "there is neither a runtime directory nor a home directory of this user; name a directory with IPCFOLD_DIRECTORY"
    return Failure(DirectoryUnusable(Path(named or "~"), why))


def _of_host(state: Path, reason: str) -> Result[Place, DirectoryUnusable]:
    try:
        node = os.uname().nodename
    except OSError as error:
        why = f"the directory of this machine in it is unknown, because the system does not tell the machine's name: {_reason(error)}"
        return Failure(DirectoryUnusable(state, f"{why}; name a directory with IPCFOLD_DIRECTORY"))
    return Success(Place(state / f"ipcfold-{node.replace('/', '_').strip('.') or 'host'}", reason))


def _absolute(path: Path) -> Result[Path, DirectoryUnusable]:
    try:
        text = os.fspath(path)
        return Success(_normal(text) if os.path.isabs(text) else Path(os.path.abspath(text)))
    except FileNotFoundError:
        return Failure(DirectoryUnusable(path, "the working directory, where it would be, does not exist; name an absolute path"))
    except (OSError, ValueError) as error:
        return Failure(DirectoryUnusable(path, f"{_reason(error)}; name a directory that this user can reach"))


@lru_cache(maxsize=64)  # each attempt to connect needs it, and a program uses few directories
def _normal(path: str) -> Path:
    """This absolute path without the parts that name no file of their own. No look at the file system is needed."""
    return Path(os.path.abspath(path))


def located(directory: Path | None, trust: Trust) -> Result[Path, DirectoryUnusable]:
    """The absolute path of the directory with the sockets, if it is safe to use."""
    path = place(None).map(lambda found: found.path) if directory is None else _absolute(directory)
    return path.bind(lambda path: _located(path, directory, trust))


def _located(path: Path, named: Path | None, trust: Trust) -> Result[Path, DirectoryUnusable]:
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        if named is None:
            return Success(path)
        return Failure(DirectoryUnusable(path, "it does not exist; make it with mode 0700"))
    except (OSError, ValueError) as error:  # ValueError: a path with a NUL in it
        return Failure(DirectoryUnusable(path, f"{_reason(error)}; name a directory that this user can reach"))
    return _checked(path, status, trust)


def prepared(directory: Path | None, trust: Trust) -> Result[Path, DirectoryUnusable]:
    """The directory for a new socket; the default one is created if it is missing."""
    if directory is not None:
        return located(directory, trust)
    return place(None).bind(lambda found: _made(found.path)).bind(lambda path: _located(path, None, trust))


def _made(path: Path) -> Result[Path, DirectoryUnusable]:
    try:
        for missing in reversed([path, *path.parents]):
            if not missing.exists():
                missing.mkdir(mode=0o700, exist_ok=True)
                if os.lstat(missing).st_mode & 0o700 != 0o700:
                    os.chmod(missing, 0o700)  # undo the umask
    except (OSError, ValueError) as error:
        return Failure(DirectoryUnusable(path, f"it cannot be made: {_reason(error)}; name another with IPCFOLD_DIRECTORY"))
    return Success(path)


def usable(directory: Path | None, trust: Trust) -> Result[Path, DirectoryUnusable]:
    """As `prepared`, without creating anything: the directory that is there, or that a server can create."""
    return located(directory, trust).bind(_makeable)


def _makeable(path: Path) -> Result[Path, DirectoryUnusable]:
    try:
        there = next((each for each in (path, *path.parents) if os.path.lexists(each)), path.parent)
        if there == path or os.access(there, os.W_OK | os.X_OK, effective_ids=os.access in os.supports_effective_ids):
            return Success(path)
        reason = f"{there} is not writable for this user"
    except OSError as error:
        reason = _reason(error)
    return Failure(DirectoryUnusable(path, f"it cannot be made: {reason}; name another with IPCFOLD_DIRECTORY"))


def _reason(error: OSError | ValueError) -> str:
    return getattr(error, "strerror", None) or str(error)


def _checked(path: Path, status: os.stat_result, trust: Trust) -> Result[Path, DirectoryUnusable]:
    if stat.S_ISLNK(status.st_mode):
        return Failure(DirectoryUnusable(path, "it is a symbolic link, which another user may redirect; name the directory itself"))
    if not stat.S_ISDIR(status.st_mode):
        return Failure(DirectoryUnusable(path, "it is not a directory; name one"))
    if trust is not same_user:  # the permissions of the directory then decide who can connect, and the predicate who is trusted
        return Success(path)
    if status.st_uid != os.geteuid():
        return Failure(DirectoryUnusable(path, f"it belongs to user {status.st_uid}, not to {os.geteuid()}; use one of your own"))
    if not is_known(status.st_uid):
        unknown = f"its user {status.st_uid} stands for every user that this user namespace does not map"
        return Failure(DirectoryUnusable(path, f"{unknown}; run as a user with another number"))
    mode = stat.S_IMODE(status.st_mode)
    if mode & 0o077:
        advice = "chmod 0700 it" if _is_for_sockets(path, mode) else _OWN
        return Failure(DirectoryUnusable(path, f"its mode {mode:04o} is open to others; {advice}, or set IPC(trust=...)"))
    if mode & 0o700 != 0o700:
        advice = "chmod 0700 it" if _is_for_sockets(path, mode) else _OWN
        return Failure(DirectoryUnusable(path, f"its mode {mode:04o} keeps its owner from writing to it; {advice}"))
    return Success(path)


def _is_for_sockets(path: Path, mode: int) -> bool:
    """Whether only ipcfold uses the directory. A new mode for any other directory would harm its users."""
    if mode & stat.S_ISVTX or "ipcfold" not in path.name:
        return False
    try:
        return all(file.endswith((".sock", ".lock")) for file in os.listdir(path))
    except OSError:
        return False


def socket_path(name: Name, directory: Path) -> Result[Path, PathTooLong]:
    """The path of the name's socket, unless it is too long for the system."""
    if not isinstance(name, Name):  # a plain string could lead out of the directory
        raise TypeError(f"a Name is wanted, not {name!r:.80}")
    path, length = _path_in(directory, name.value)
    if length <= LONGEST_PATH or (len(path.name) <= _LONGEST_FILE and os.path.isdir(_DESCRIPTORS)):
        return Success(path)
    return Failure(PathTooLong(path, LONGEST_PATH))


@lru_cache(maxsize=256)  # as above
def _path_in(directory: Path, name: str) -> tuple[Path, int]:
    """The path of the name's socket, and its length in bytes."""
    path = directory / f"{name}.sock"
    return path, len(os.fsencode(path))


@lru_cache(maxsize=256)  # as above
def addressed(directory: str, name: str) -> tuple[Path, bytes, bytes] | None:
    """The path of the name's socket, and the directory and the path as the system takes them; `None` for a relative or long one.

    The accelerator asks.
    """
    if not os.path.isabs(directory):
        return None
    where = _normal(directory)
    path, length = _path_in(where, name)
    return (path, os.fsencode(where), os.fsencode(path)) if length <= LONGEST_PATH else None


@contextmanager
def reachable(path: Path) -> Iterator[str]:
    """The path as socket calls accept it; a long one goes through a descriptor of its directory.

    The kernel then lists the socket under the path through the descriptor, which means nothing to another process.
    """
    if sys.platform != "linux" or len(os.fsencode(path)) <= LONGEST_PATH:
        yield os.fspath(path)
        return
    directory = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"{_DESCRIPTORS}/{directory}/{path.name}"
    finally:
        os.close(directory)
