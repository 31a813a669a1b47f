"""The sockets that a service manager, such as systemd, passes to the process that it starts: `LISTEN_FDS`.

The manager binds the socket, listens, and starts the process when a client connects. Clients connect also while there is
no process, and wait in the backlog. The rules:

- A server takes the socket that is bound at its path. If none is, it takes the one with its name in `LISTEN_FDNAMES`, or the only
  one without a name, and says what is wrong with it. Other sockets are left alone, with the variables, for other libraries.
- With the first socket that is taken, the variables leave the environment, and no program that the process executes inherits a socket.
- The process keeps its copy for its next server of that name. The file belongs to the manager: nobody here removes it.
"""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from threading import RLock
from typing import Final, final

import attrs
from returns.result import Failure, Result, Success

from ipcfold.errors import SystemFailure
from ipcfold.local.stream import shut
from ipcfold.peer import Name

_FIRST: Final = 3  # the first descriptor, after the three of the standard streams
_MOST: Final = 1024  # descriptors that are looked at, if the number in the environment is wrong
_VARIABLES: Final = ("LISTEN_PID", "LISTEN_PIDFDID", "LISTEN_FDS", "LISTEN_FDNAMES")
_UNNAMED: Final = frozenset(("", "unknown"))

_ACTION: Final = "take the socket that was passed for"
_UNIT: Final = "correct the socket unit"


@final
@attrs.frozen
class Passed:
    """A descriptor that was passed to this process, and its label in `LISTEN_FDNAMES`."""

    descriptor: int
    label: str


_taken: Final[list[Passed]] = []
"""What was passed, once the variables have left the environment."""

_guard: Final = RLock()  # reentrant, because a signal handler may take it while its own thread holds it


def passed(name: Name, path: Path) -> Result[socket.socket | None, SystemFailure]:
    """A copy of the listening socket that was passed for this name, whose socket is at the path; `None` if there is none."""
    if not _taken and "LISTEN_FDS" not in os.environ:
        return Success(None)
    try:
        if not _taken and os.environ.get("LISTEN_PID") != str(os.getpid()):
            return _lost(path)
        with _guard:
            found = _taken or list(_announced())
            chosen = _chosen(name, path, found)
            if chosen is None:
                return Success(None)
            _take(found)
        return _copied(chosen, path)
    except OSError as error:
        return Failure(SystemFailure(_ACTION, path, error.strerror or str(error)))


def _announced() -> Iterator[Passed]:
    """The descriptors that the environment announces."""
    count = os.environ.get("LISTEN_FDS", "")
    labels = os.environ.get("LISTEN_FDNAMES", "").split(":")
    for index in range(min(int(count), _MOST) if count.isascii() and count.isdigit() else 0):
        yield Passed(_FIRST + index, labels[index] if index < len(labels) else "")


def _chosen(name: Name, path: Path, found: list[Passed]) -> Passed | None:
    at_path = next((each for each in found if _is_at(each.descriptor, path)), None)
    if at_path is not None:
        return at_path
    labelled = next((each for each in found if each.label in {str(name), f"{name}.socket"}), None)  # systemd's default is the unit's name
    if labelled is not None:
        return labelled
    return found[0] if len(found) == 1 and found[0].label in _UNNAMED else None


def _take(found: list[Passed]) -> None:
    if not _taken:
        _taken.extend(
            each for each in found if _is_socket(each.descriptor)
        )  # the process may use the number of another for a file of its own
        for variable in _VARIABLES:
            os.environ.pop(variable, None)
        for each in _taken:
            os.set_inheritable(each.descriptor, False)


def _is_socket(descriptor: int) -> bool:
    try:
        return stat.S_ISSOCK(os.fstat(descriptor).st_mode)
    except OSError:
        return False


def _lost(path: Path) -> Result[None, SystemFailure]:
    """An error if another process was to take the socket at the path, and nobody but this one can."""
    if not any(_is_at(each.descriptor, path) for each in _announced()):
        return Success(None)
    pid = os.environ.get("LISTEN_PID", "")
    reason = f"LISTEN_PID names process {pid:.20}, and this is process {os.getpid()}: a shell or another program between the two has forked"
    return Failure(SystemFailure(_ACTION, path, reason, "start this program with exec there, or name it in ExecStart itself"))


def _copied(chosen: Passed, path: Path) -> Result[socket.socket, SystemFailure]:
    """A copy of the descriptor, if it is what a server needs."""

    def wrong(reason: str, advice: str = _UNIT) -> Result[socket.socket, SystemFailure]:
        return Failure(SystemFailure(_ACTION, path, f"descriptor {chosen.descriptor} {reason}", advice))

    try:
        copy = _copy(chosen.descriptor)
    except OSError as error:
        return wrong(f"is no socket: {error.strerror}", "let the service manager pass a unix socket that listens")
    kept = False
    try:
        if copy.family != socket.AF_UNIX or copy.type != socket.SOCK_STREAM:
            return wrong("is no unix stream socket", f"{_UNIT}: ListenStream={path}")
        if not _listens(copy):
            return wrong("is a socket that does not listen", f"{_UNIT}: Accept=no")
        if not _stands_at(copy, path):
            at = _address(copy) or "no path"
            missing = "" if os.path.lexists(at) else ", where it is gone"
            advice = f"{_UNIT}: ListenStream={path}; or set IPCFOLD_DIRECTORY for the service; then start the socket unit again"
            return wrong(f"listens at {at}{missing}", advice)
        kept = True
        return Success(copy)
    finally:
        if not kept:
            shut(copy)


def _copy(descriptor: int) -> socket.socket:
    copy = os.dup(descriptor)
    try:
        return socket.socket(fileno=copy)
    except BaseException:
        os.close(copy)
        raise


def _is_at(descriptor: int, path: Path) -> bool:
    """Whether the descriptor is a unix socket that is bound at the path."""
    try:
        copy = _copy(descriptor)
    except OSError:
        return False
    try:
        return copy.family == socket.AF_UNIX and _stands_at(copy, path)
    finally:
        shut(copy)


def _stands_at(bound: socket.socket, path: Path) -> bool:
    """Whether the file of the socket is that at the path, by whatever links either is written."""
    try:
        return os.path.samestat(os.lstat(_address(bound)), os.lstat(path))
    except OSError:
        return False


def _address(bound: socket.socket) -> str:
    """The path at which the socket is bound; empty for an abstract address, and for none."""
    address: object = bound.getsockname()
    return address if isinstance(address, str) else ""


def _listens(bound: socket.socket) -> bool:
    try:
        return bound.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) != 0
    except OSError:  # the system does not say
        return True


def _forget() -> None:
    for each in _taken:
        with suppress(OSError):
            os.close(each.descriptor)
    _taken.clear()
    _guard.release()


# A child that is forked while another thread holds the guard must not inherit it locked.
os.register_at_fork(before=_guard.acquire, after_in_parent=_guard.release, after_in_child=_forget)
