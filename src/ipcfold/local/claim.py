"""A name has one owner: the lock that decides it, and the socket that shows it.

The lock is a record lock on `<name>.lock`. The kernel drops it when the process ends, does not pass it on to forked
children, and knows which process holds it. Such locks have two properties that matter here. They do not exclude threads
of one process from each other, so `_held` does. And closing *any* descriptor of the file drops the process's lock, so
this process does not open the file while it holds the lock.

The socket is bound under another name and renamed once it accepts, so that a client that sees it can connect.
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

_BACKLOG: Final = 4096  # the kernel limits it

_guard: Final = threading.RLock()  # reentrant, because a signal handler may come here while its own thread holds it
_held: Final[set[tuple[int, int]]] = set()
"""The locks this process holds or is about to take, as (device, inode)."""


def _forget() -> None:
    _held.clear()  # the locks are the parent's, not the child's
    _guard.release()


# A child that is forked while another thread holds the guard must not inherit it locked.
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
        """Take the name, or return which process has it."""
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
                _held.add(held)  # before the lock is taken: a signal handler between the two must not open and close the file
                try:
                    fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except OSError as error:
                    _held.discard(held)
                    holder = _holder(lock)
                    os.close(lock)
                    if error.errno not in (errno.EACCES, errno.EAGAIN):
                        return Failure(SystemFailure("lock", lock_path, error.strerror or str(error)))
                    if holder is Nothing:
                        continue  # the holder released it meanwhile
                    return Failure(NameTaken(name, socket_path, holder.unwrap()))
                if _is_at(lock, lock_path) and held in _held:  # a child that a signal handler forked has cleared `_held`
                    with suppress(OSError):  # another user left the file in a directory that both may write to
                        os.fchmod(lock, 0o600)  # undo the umask: a process must open the file to see who holds the lock
                    return Success(cls(socket_path, lock_path, lock))
                _held.discard(held)
                os.close(lock)  # its last owner removed the file between our opening and our locking it

    def publish(self, mode: int) -> Result[socket.socket, SystemFailure]:
        """A listening socket under the name. It replaces what a dead server left there."""
        hidden = self.path.with_suffix(".bind")  # as long as the real name, so it fits if the real one does
        try:
            listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        except OSError as error:
            return Failure(SystemFailure("make a socket for", self.path, error.strerror or str(error)))
        try:
            if sys.platform == "linux":  # bind takes the mode from the descriptor, so the socket is never open to more users
                os.fchmod(listener.fileno(), mode)
            hidden.unlink(missing_ok=True)
            with reachable(hidden) as address:
                listener.bind(address)
            _set_mode(hidden, mode)  # undo the umask
            listener.listen(_BACKLOG)
            status = os.lstat(hidden)
            if self.path.exists() and not is_socket(self.path):
                raise FileExistsError(errno.EEXIST, "a file that is no socket stands there; move it away")
            if not self._is_mine():
                raise OSError(errno.EPERM, "a process that holds the name forked this one")  # noqa: TRY301 - it is one more failure of these steps
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
        """Remove the socket from the directory, if it is still ours; the name stays held."""
        if self._published is None or not self._is_mine():
            return
        with suppress(OSError):  # the socket or its directory is gone already
            if _identity(os.lstat(self.path)) == self._published:
                os.unlink(self.path)
        self._published = None

    def disown(self) -> None:
        """Note that this process is a forked child of the holder's; only for a fork that ran no hooks of Python."""
        _held.discard(_identity(os.fstat(self._lock)))

    def damage(self) -> str:
        """How the files of the published name were changed; empty if they are in order."""
        try:
            if _identity(os.lstat(self.path)) != self._published:
                return f"something else stands at {self.path}, which new clients get to instead: end one of the two"
            if not _is_at(self._lock, self._lock_path):
                return f"its lock {self._lock_path} was removed, so that another server may take the name: start it again"
        except OSError as error:
            return f"its socket {self.path} is gone ({error.strerror}), so that no new client finds it: start it again"
        return ""

    def release(self) -> None:
        """Release the name. A forked child only closes its copy of the descriptor."""
        self.withdraw()
        with _guard:
            if self._is_mine():
                if _is_at(self._lock, self._lock_path):  # otherwise another process made it after ours was removed
                    with suppress(OSError):  # as above; the next owner reuses a lock file that is left behind
                        os.unlink(self._lock_path)
                _held.discard(_identity(os.fstat(self._lock)))
            os.close(self._lock)

    def _is_mine(self) -> bool:
        """Whether this process holds the lock, and not its parent."""
        return _identity(os.fstat(self._lock)) in _held


def holder_of(socket_path: Path) -> Maybe[int]:
    """The pid of the process that holds the name of this socket, if any."""
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
    """Whether the path is a socket, and not a link to one."""
    try:
        return stat.S_ISSOCK(os.lstat(path).st_mode)
    except OSError:
        return False


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


def _set_mode(path: Path, mode: int) -> None:
    """Set the mode of the file itself. Another user may have put a link in its place, if the directory lets them."""
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
    """The pid of the process that holds the lock on this file; the kernel fills in a `struct flock`."""
    whole_file = (0, 0)
    if sys.platform == "darwin":
        asked = struct.pack("@qqihh", *whole_file, 0, fcntl.F_WRLCK, os.SEEK_SET)
        _, _, pid, kind, _ = struct.unpack("@qqihh", fcntl.fcntl(lock, fcntl.F_GETLK, asked))
    else:
        asked = struct.pack("@hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, *whole_file, 0)
        kind, _, _, _, pid = struct.unpack("@hhqqi4x", fcntl.fcntl(lock, fcntl.F_GETLK, asked))
    return Nothing if kind == fcntl.F_UNLCK else Some(pid)
