"""A name has one owner: a lock decides who it is, and the socket shows it.

The lock is a record lock on `<name>.lock`. The kernel drops it when the process ends, does not pass it on to forked
children, and knows which process holds it. Such locks have two properties that matter here. They do not exclude threads
of one process from each other, so `_held` does. And closing *any* descriptor of the file drops the process's lock, so
this process does not open the file while it holds the lock.

The socket is bound under its final name, so the kernel lists it under that name. Programs that clean directories read this
list, and do not remove the sockets in it. Lock files are in no such list. A shared lock (flock) on the directory keeps
systemd-tmpfiles out.
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
import time
from contextlib import suppress
from pathlib import Path
from typing import Final, final
from weakref import WeakSet

import attrs
from returns.maybe import Maybe, Nothing, Some
from returns.result import Failure, Result, Success

from ipcfold.errors import NameTaken, SystemFailure
from ipcfold.local.directory import reachable
from ipcfold.local.stream import shut
from ipcfold.peer import Name

_BACKLOG: Final = 4096  # the kernel limits it
_ATTEMPTS: Final = 1000  # to lock a file that other processes lock, release and remove meanwhile
_SETTLED: Final = 1.0  # seconds after which a server that runs has set the mode of its socket

guard: Final = threading.RLock()  # reentrant, because a signal handler may take it while its own thread holds it
_held: Final[set[tuple[int, int]]] = set()
"""The locks that this process holds or is about to take, as (device, inode)."""


_claims: Final[WeakSet[Claim]] = WeakSet()


def _forget() -> None:
    _held.clear()  # the locks are the parent's, not the child's
    for claim in list(_claims):
        claim.forked()
    guard.release()


# A child that is forked while another thread holds the guard must not inherit it locked.
os.register_at_fork(before=guard.acquire, after_in_parent=guard.release, after_in_child=_forget)


@final
@attrs.frozen
class Mended:
    """The files that the owner of a name has put back. A socket cannot be linked again, so `listener` is a new one that replaces it."""

    lock: bool = False
    listener: socket.socket | None = None


@final
class Claim:
    """A name that this process holds, until `release`."""

    def __init__(self, path: Path, lock_path: Path, lock: Lock) -> None:
        self.path = path
        """Where the socket is, or will be."""
        self._lock_path = lock_path
        self._lock = lock
        self._directory: int | None = None  # the descriptor whose lock keeps cleaners out
        self._place: tuple[int, int] | None = None
        self._mode = 0o600
        self._began = 0.0
        self._published: tuple[int, int] | None = None
        self._passed: socket.socket | None = None  # until it is published
        self._stays = False  # whether the published socket belongs to a service manager
        _claims.add(self)
        self._hold_directory()

    @classmethod
    def of(cls, name: Name, socket_path: Path) -> Result[Claim, NameTaken | SystemFailure]:
        """Take the name, or return the process that has it."""
        lock_path = socket_path.with_suffix(".lock")
        with guard:
            if _is_held(lock_path):
                return Failure(NameTaken(name, socket_path, os.getpid()))
            try:
                for _ in range(_ATTEMPTS):
                    locked = take(lock_path)
                    if locked is not None:
                        _let_connect(socket_path)
                        return Success(cls(socket_path, lock_path, locked))
                return Failure(SystemFailure("lock", lock_path, "other processes change it all the time"))
            except TakenError as error:
                return Failure(NameTaken(name, socket_path, error.holder))
            except LockError as error:
                return Failure(SystemFailure(error.action, lock_path, error.reason))

    def adopt(self, passed: socket.socket) -> Claim:
        """Publish this socket, which a service manager has bound at the path. Its file stays there afterwards."""
        self._passed = passed
        return self

    def publish(self, mode: int, began: float = 0.0) -> Result[socket.socket, SystemFailure]:
        """A listening socket under the name. It replaces the socket of a dead server.

        `began`: when the fold began, in seconds since the epoch; the lock file shows it as its time.
        """
        self._mode, self._began = mode, began
        try:
            if not self._is_mine():
                raise OSError(errno.EPERM, "a process that holds the name forked this one")  # noqa: TRY301 - it is one more failure of these steps
            self._date()
            if self._passed is not None:
                return Success(self._adopted(self._passed))
            for left in (self.path, self.path.with_suffix(".bind")):  # version 0.1.0 bound a socket there, and renamed it
                if is_socket(left):
                    os.unlink(left)
            if os.path.lexists(self.path):
                raise FileExistsError(errno.EEXIST, "a file that is no socket stands there; move it away")
            return Success(self._bound())
        except OSError as error:
            return Failure(SystemFailure("listen at", self.path, error.strerror or str(error)))

    def _adopted(self, passed: socket.socket) -> socket.socket:
        status = os.lstat(self.path)
        with suppress(OSError):  # it belongs to another user, such as root; the directory and the credentials keep others out
            _set_mode(self.path, self._mode)
        passed.listen(_BACKLOG)  # from now on the peer credentials that clients see are those of this process
        passed.setblocking(False)
        self._passed, self._published, self._stays = None, _identity(status), True
        return passed

    def _bound(self) -> socket.socket:
        """A listening socket that is bound at the path. Nothing may exist at the path before."""
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        bound = False
        try:
            if sys.platform == "linux":  # bind takes the mode from the descriptor, so the socket is never open to more users
                os.fchmod(listener.fileno(), self._mode)
            with reachable(self.path) as address:
                listener.bind(address)
            bound = True
            status = os.lstat(self.path)
            _set_mode(self.path, self._mode)  # undo the umask
            listener.listen(_BACKLOG)
            listener.setblocking(False)
        except BaseException:
            shut(listener)
            if bound:
                with suppress(OSError):
                    os.unlink(self.path)
            raise
        self._published, self._stays = _identity(status), False
        return listener

    def withdraw(self) -> None:
        """Remove the socket from the directory, if it is still ours; the name stays held."""
        if self._published is None or not self._is_mine():
            return
        with suppress(OSError):  # the socket or its directory is gone already
            if not self._stays and _identity(os.lstat(self.path)) == self._published:
                os.unlink(self.path)
        self._published = None

    def mend(self) -> Mended:
        """Put back what another process removed, unless something else stands in its place, or the directory is another one."""
        if not self._is_mine() or not self._hold_directory():
            return Mended()
        lock = self._mend_lock()
        if self._published is None or os.path.lexists(self.path) or not _is_at(self._lock.descriptor, self._lock_path):
            return Mended(lock)
        try:
            return Mended(lock, self._bound())
        except OSError:  # `damage` says what is wrong
            return Mended(lock)

    def _mend_lock(self) -> bool:
        with guard:
            if _is_held(self._lock_path) or not _is_lock_file(self._lock_path):  # held: by this claim, or by another thread's
                return False
            try:
                lock = take(self._lock_path)
            except (TakenError, LockError):  # another server has the name, or is about to find out who has the socket
                return False
            if lock is None:
                return False
            before, self._lock = self._lock, lock
            self._date()
            _held.discard(before.identity)
            _close(before.descriptor)
            return True

    def disown(self) -> None:
        """Note that this process is a forked child of the holder's; only for a fork that ran no hooks of Python."""
        _held.discard(self._lock.identity)

    def damage(self) -> str:
        """How the files of the published name were changed; empty if they are in order."""
        try:
            if _identity(os.lstat(self.path)) != self._published:
                return f"something else stands at {self.path}, which new clients get to instead: end one of the two"
            if not _is_at(self._lock.descriptor, self._lock_path):
                return f"its lock {self._lock_path} was removed, so that another server may take the name: start it again"
        except OSError as error:
            return f"its socket {self.path} is gone ({error.strerror}), so that no new client finds it: start it again"
        return ""

    def release(self) -> None:
        """Release the name. A forked child only closes its copy of the descriptor."""
        self.withdraw()
        with guard:
            if self._is_mine():
                if _is_at(self._lock.descriptor, self._lock_path) and _is_lock_file(self._lock_path):  # not a foreign file
                    with suppress(OSError):  # the next owner reuses a lock file that is left behind
                        os.unlink(self._lock_path)
                _held.discard(self._lock.identity)
            _close(self._lock.descriptor)
            self.forked()

    def _date(self) -> None:
        """Show in the lock file when the fold began."""
        moment = int(self._began * 1e9)
        with suppress(OSError):  # another user made the file, in a directory that both may write to
            os.utime(self._lock.descriptor, ns=(moment, moment))

    def _is_mine(self) -> bool:
        """Whether this process holds the lock, and not its parent."""
        return self._lock.identity in _held

    def _hold_directory(self) -> bool:
        """Lock the directory against cleaners, if that is possible. Returns whether it is still the same directory as at the start."""
        try:
            here = _identity(os.stat(self.path.parent))
        except OSError:
            return False
        if self._place is None:
            self._place = here
        if self._directory is None and here == self._place:
            with suppress(OSError):  # it cannot be read, or there is no descriptor left; the next check tries again
                self._directory = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
                try:
                    fcntl.flock(self._directory, fcntl.LOCK_SH | fcntl.LOCK_NB)
                except BaseException:  # a cleaner is at work there, the file system has no such locks, or the memory is out
                    self.forked()
                    raise
        return here == self._place

    def forked(self) -> None:
        """Close the descriptor of the directory, and a socket that is not published. A forked child would otherwise keep the lock."""
        if self._passed is not None:
            shut(self._passed)
        if self._directory is not None:
            _close(self._directory)
            self._directory = None


class TakenError(Exception):
    """Another process has the lock; `holder` is its pid, or 0 if the system does not report it."""

    def __init__(self, holder: int) -> None:
        super().__init__(holder)
        self.holder = holder


class LockError(Exception):
    """The system refused an action with the lock file."""

    def __init__(self, action: str, reason: str) -> None:
        super().__init__(action, reason)
        self.action = action
        self.reason = reason


@attrs.frozen
class Lock:
    """A lock file that this process has locked."""

    descriptor: int
    identity: tuple[int, int]


def take(lock_path: Path) -> Lock | None:
    """Open and lock the file. Returns `None` if another process changed it or its lock meanwhile; then the caller tries again."""
    try:
        lock = os.open(lock_path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK, 0o600)
    except OSError as error:
        raise LockError("make the lock file", error.strerror or str(error)) from error
    held, locked = None, False
    try:
        status = os.fstat(lock)
        if not stat.S_ISREG(status.st_mode):
            raise LockError("lock", "it is no regular file; move it away")
        held = _identity(status)
        _held.add(held)  # before the lock is taken: a signal handler between the two must not open and close the file
        try:
            fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in (errno.EACCES, errno.EAGAIN):
                raise
            holder = _holder(lock)
            if holder is Nothing:
                return None  # the holder released it meanwhile
            raise TakenError(holder.unwrap()) from error
        if not _is_same(lock, lock_path) or held not in _held:  # a child that a signal handler forked has cleared `_held`
            return None  # its last owner removed the file between our opening and our locking it
        if not status.st_size:
            with suppress(OSError):  # another user left the file in a directory that both may write to
                os.fchmod(lock, 0o600)  # undo the umask: a process must open the file to see who holds the lock
        made = Lock(lock, held)
        locked = True
    except OSError as error:
        raise LockError("lock", error.strerror or str(error)) from error
    else:
        return made
    finally:
        if not locked:
            if held is not None:
                _held.discard(held)
            _close(lock)


def alone(lock_path: Path) -> Lock:
    """Lock a file until `give` is called. Raises a `TakenError` or a `LockError`."""
    with guard:
        if _is_held(lock_path):
            raise TakenError(os.getpid())
        for _ in range(_ATTEMPTS):
            lock = take(lock_path)
            if lock is not None:
                return lock
    raise LockError("lock", "other processes change it all the time")


def give(lock: Lock) -> None:
    """Release the lock. A forked child, which does not have it, only closes its copy of the descriptor."""
    with guard:
        _held.discard(lock.identity)
        _close(lock.descriptor)


def holder_of(socket_path: Path) -> Maybe[int]:
    """The pid of the process that holds the name of this socket, if any, or 0 if the system does not report the pid."""
    lock_path = socket_path.with_suffix(".lock")
    with guard:
        if _is_held(lock_path):
            return Some(os.getpid())
        try:
            lock = os.open(lock_path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError:
            return Nothing
        try:
            return _holder(lock)
        except OSError:  # the file system has no such locks, so that only the socket shows whether there is a server
            return Nothing
        finally:
            _close(lock)


def is_held_by(pid: int, socket_path: Path) -> bool:
    """Whether this process surely holds the name. The kernel reports each process of another pid namespace as 0, so 0 equals nothing."""
    return pid > 0 and holder_of(socket_path) == Some(pid)


def epoch_of(pid: int, socket_path: Path) -> Maybe[int]:
    """When the fold of this process began, in nanoseconds since the epoch, if the process has the name."""
    try:
        began = os.lstat(socket_path.with_suffix(".lock")).st_mtime_ns
    except OSError:
        return Nothing
    return Some(began) if is_held_by(pid, socket_path) else Nothing


def is_socket(path: Path) -> bool:
    """Whether the path is a socket itself, not a link to one. Raises `OSError` if this user may not see that."""
    try:
        return stat.S_ISSOCK(os.lstat(path).st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False


def _let_connect(path: Path) -> None:
    """Give the owner of a socket the permission to connect, if a killed server left the socket without it.

    A server that is killed between two steps leaves the mode of its umask. Without the permission, nobody could find out that
    no server listens there.
    """
    with suppress(OSError):
        status = os.lstat(path)
        if stat.S_ISSOCK(status.st_mode) and status.st_uid == os.geteuid() and not status.st_mode & stat.S_IWUSR:
            _set_mode(path, 0o600)


def is_fresh(path: Path) -> bool:
    """Whether the file was made or changed a moment ago: a server that has bound its socket sets the mode afterwards."""
    try:
        return abs(time.time() - os.lstat(path).st_ctime) < _SETTLED
    except OSError:
        return True  # it has been removed meanwhile


def _is_lock_file(path: Path) -> bool:
    """Whether there is an empty file, which can be our lock file, or none. A file with content is a foreign one."""
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return stat.S_ISREG(status.st_mode) and not status.st_size


def _close(descriptor: int) -> None:
    with suppress(OSError):  # Linux closes it even then
        os.close(descriptor)


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
    except FileNotFoundError:  # there is no /proc here
        if os.stat(path.parent).st_mode & 0o022:
            raise OSError(errno.ENOSYS, "without /proc the mode cannot be set in a directory that others may write to") from None
        os.chmod(path, mode)
    finally:
        _close(descriptor)


def _is_held(lock_path: Path) -> bool:
    try:
        return _identity(os.lstat(lock_path)) in _held
    except OSError:
        return False


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return _is_same(descriptor, path)
    except OSError:
        return False


def _is_same(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), os.lstat(path))
    except FileNotFoundError:
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
    return Nothing if kind == fcntl.F_UNLCK else Some(max(0, pid))  # a process on another machine has a number below 0
