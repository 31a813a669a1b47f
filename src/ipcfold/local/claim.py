"""A name has one owner: the lock that decides it, and the socket that shows it.

The lock is a record lock on `<name>.lock`. The kernel drops it with the process, whatever ends it, does not hand
it on to forked children, and tells who holds it. Two things follow from how such locks work: threads of one
process do not exclude each other, so `_held` does; and closing *any* descriptor of the file would drop the
process's lock, so nobody opens it while this process holds it.

The socket is bound under another name and renamed once it accepts, so that who sees it can connect.
"""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import stat
import struct
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Final, final

from returns.maybe import Maybe, Nothing, Some
from returns.result import Failure, Result, Success

from ipcfold.errors import NameTaken, SystemFailure
from ipcfold.local.directory import reachable
from ipcfold.peer import Name

_BACKLOG: Final = 4096  # the kernel cuts it to what it allows

_guard: Final = threading.RLock()  # the handler of a signal may come here while its own thread already is
_held: Final[set[tuple[int, int]]] = set()
"""The locks this process holds or is about to take, as (device, inode)."""


def _forget() -> None:
    _held.clear()  # the locks are the parent's, which the child must not take for its own
    _guard.release()


# A child forked while another thread is at it must not inherit a guard that nobody will ever release.
os.register_at_fork(before=_guard.acquire, after_in_parent=_guard.release, after_in_child=_forget)


@final
class Claim:
    """A name that this process holds, until `release`."""

    def __init__(self, path: Path, lock_path: Path, lock: int) -> None:
        self.path = path
        """Where the socket is, or will be."""
        self._lock_path = lock_path
        self._lock = lock
        self._published: tuple[int, int] | None = None

    @classmethod
    def of(cls, name: Name, socket_path: Path) -> Result[Claim, NameTaken | SystemFailure]:
        """Take the name, or say who has it."""
        lock_path = socket_path.with_suffix(".lock")
        with _guard:
            if _is_held(lock_path):
                return Failure(NameTaken(name, socket_path, os.getpid()))
            while True:
                try:
                    lock = os.open(lock_path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
                except OSError as error:
                    return Failure(SystemFailure("make the lock file", lock_path, error.strerror or str(error)))
                held = _identity(os.fstat(lock))
                _held.add(held)  # before it is: the handler of a signal, between the two, must not open and close the file
                try:
                    fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except OSError as error:
                    _held.discard(held)
                    holder = _holder(lock)
                    os.close(lock)
                    if error.errno not in (errno.EACCES, errno.EAGAIN):
                        return Failure(SystemFailure("lock", lock_path, error.strerror or str(error)))
                    if holder is Nothing:
                        continue  # it was let go meanwhile
                    return Failure(NameTaken(name, socket_path, holder.unwrap()))
                if _is_at(lock, lock_path) and held in _held:  # which a child that the handler of a signal forked has forgotten
                    with suppress(OSError):  # it is another user's, left behind where both may write
                        os.fchmod(lock, 0o600)  # what the umask took away comes back: who may not open it cannot see who holds it
                    return Success(cls(socket_path, lock_path, lock))
                _held.discard(held)
                os.close(lock)  # its last owner removed the file between our opening and our locking it

    def publish(self, mode: int) -> Result[socket.socket, SystemFailure]:
        """A socket that accepts under the name; whatever a dead server left in its place is replaced."""
        hidden = self.path.with_suffix(".bind")  # as long as the real name, so it fits if that does
        try:
            listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        except OSError as error:
            return Failure(SystemFailure("make a socket for", self.path, error.strerror or str(error)))
        try:
            if sys.platform == "linux":  # where bind takes the mode from here: never open to more, even briefly
                os.fchmod(listener.fileno(), mode)
            hidden.unlink(missing_ok=True)
            with reachable(hidden) as address:
                listener.bind(address)
            _set_mode(hidden, mode)  # and here whatever the umask took away comes back
            listener.listen(_BACKLOG)
            status = os.lstat(hidden)
            if self.path.exists() and not is_socket(self.path):
                raise FileExistsError(errno.EEXIST, "a file that is no socket stands there; move it away")
            os.rename(hidden, self.path)
        except OSError as error:
            listener.close()
            with suppress(OSError):
                hidden.unlink(missing_ok=True)
            return Failure(SystemFailure("listen at", self.path, error.strerror or str(error)))
        self._published = _identity(status)
        listener.setblocking(False)
        return Success(listener)

    def withdraw(self) -> None:
        """Take the socket out of the directory, if it is still ours; the name stays held."""
        if self._published is None or not self._is_mine():
            return
        with suppress(OSError):  # it is gone already, or its directory is: nothing of ours is left to remove
            if _identity(os.lstat(self.path)) == self._published:
                os.unlink(self.path)
        self._published = None

    def damage(self) -> str:
        """What somebody did to the files of the published name; empty if they are as they should be."""
        try:
            if _identity(os.lstat(self.path)) != self._published:
                return f"something else stands at {self.path}, which new clients get to instead: end one of the two"
            if not _is_at(self._lock, self._lock_path):
                return f"its lock {self._lock_path} was removed, so that another server may take the name: start it again"
        except OSError as error:
            return f"its socket {self.path} is gone ({error.strerror}), so that no new client finds it: start it again"
        return ""

    def release(self) -> None:
        """Let the name go; in a forked child only its copy of the descriptor is closed."""
        self.withdraw()
        with _guard:
            if self._is_mine():
                if _is_at(self._lock, self._lock_path):  # else it is another's, made after ours was removed
                    with suppress(OSError):  # as above; a lock file left behind is taken over by the next owner
                        os.unlink(self._lock_path)
                _held.discard(_identity(os.fstat(self._lock)))
            os.close(self._lock)

    def _is_mine(self) -> bool:
        """Whether this process holds the lock, rather than one that forked it."""
        return _identity(os.fstat(self._lock)) in _held


def holder_of(socket_path: Path) -> Maybe[int]:
    """The process that holds the name of this socket, if one does."""
    lock_path = socket_path.with_suffix(".lock")
    with _guard:
        if _is_held(lock_path):
            return Some(os.getpid())
        try:
            lock = os.open(lock_path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError:
            return Nothing
        try:
            return _holder(lock)
        finally:
            os.close(lock)


def is_socket(path: Path) -> bool:
    """Whether a socket stands at the path, itself and not behind a link."""
    try:
        return stat.S_ISSOCK(os.lstat(path).st_mode)
    except OSError:
        return False


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


def _set_mode(path: Path, mode: int) -> None:
    """The mode of this very file: where others may write, one of them may have put a link in its place meanwhile."""
    if stat.S_IMODE(os.lstat(path).st_mode) == mode:
        return
    if sys.platform != "linux":
        os.chmod(path, mode, follow_symlinks=False)
        return
    descriptor = os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        os.chmod(f"/proc/self/fd/{descriptor}", mode)
    finally:
        os.close(descriptor)


def _is_held(lock_path: Path) -> bool:
    try:
        return _identity(os.lstat(lock_path)) in _held
    except OSError:
        return False


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path, follow_symlinks=False))
    except OSError:
        return False


def _holder(lock: int) -> Maybe[int]:
    """Who keeps us from locking this file; the kernel fills a `struct flock` in."""
    whole_file = (0, 0)
    if sys.platform == "darwin":
        asked = struct.pack("@qqihh", *whole_file, 0, fcntl.F_WRLCK, os.SEEK_SET)
        _, _, pid, kind, _ = struct.unpack("@qqihh", fcntl.fcntl(lock, fcntl.F_GETLK, asked))
    else:
        asked = struct.pack("@hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, *whole_file, 0)
        kind, _, _, _, pid = struct.unpack("@hhqqi4x", fcntl.fcntl(lock, fcntl.F_GETLK, asked))
    return Nothing if kind == fcntl.F_UNLCK else Some(pid)
