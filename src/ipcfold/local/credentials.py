"""Peer credentials: the process and user at the other end of a socket, and whether they are trusted.

The kernel writes a placeholder where it cannot name a user or a process: the overflow user id for a user that the user
namespace of this process does not map, and the process id 0 for a process of another pid namespace. Many users share the
one placeholder and many processes the other, so a placeholder equals nothing, not even itself.
"""

from __future__ import annotations

import os
import socket
import struct
import sys
from functools import cache
from pathlib import Path
from typing import Final

from ipcfold.peer import Peer, Trust

_OVERFLOW: Final = Path("/proc/sys/kernel/overflowuid")
_USUAL_OVERFLOW: Final = 65534  # of Linux, unless root has set another one
_MAP: Final = Path("/proc/self/uid_map")
_EVERY_USER: Final = 2**32 - 1  # as many as the first user namespace maps; the last number is no user


def peer_of(connection: socket.socket, number: int, run: int = 0) -> Peer:
    """The process at the other end, as the kernel knows it; raises `OSError` if it does not. `run` gave the connection its number."""
    if sys.platform == "darwin":
        # <sys/un.h>: level 0, LOCAL_PEERCRED = 1 gives a struct xucred, LOCAL_PEERPID = 2 a pid_t.
        _, uid, _, gid = struct.unpack_from("@IIhI", connection.getsockopt(0, 1, 76))
        (pid,) = struct.unpack("@i", connection.getsockopt(0, 2, 4))
    else:
        pid, uid, gid = struct.unpack("@iII", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    return Peer(number, pid, uid, gid, run)


def same_user(peer: Peer) -> bool:
    """The default trust: this process's user, or root."""
    return peer.uid in (0, os.geteuid()) and is_known(peer.uid)


def own_user() -> int:
    """The user of this process; -1, which is no user, if that number may stand for other users, too."""
    user = os.geteuid()
    return user if is_known(user) else -1


def is_known(user: int) -> bool:
    """Whether the number means one user. The overflow user id does so only in a user namespace that maps every user.

    A namespace that maps some users may map that number as well. Then it means that user, or any user who is not mapped.
    Where /proc cannot be read, it is enough that the namespace maps the number.
    """
    if sys.platform != "linux" or user != _overflow():
        return True
    try:
        extents = [line.split() for line in _MAP.read_text().splitlines()]
        return sum(int(count) for _, _, count in extents) >= _EVERY_USER
    except (OSError, ValueError):  # there is no /proc, or this user may not read it
        return user == os.geteuid() and _is_mapped(user)


def _is_mapped(user: int) -> bool:
    """Whether the user namespace maps this process's own user: only then can the process ask for the user that it already is."""
    try:
        os.setresuid(-1, user, -1)
    except OSError:
        return False
    return True


@cache
def _overflow() -> int:
    try:
        return int(_OVERFLOW.read_text())
    except (OSError, ValueError):
        return _USUAL_OVERFLOW


def trusted(trust: Trust, peer: Peer) -> bool:
    """Whether `trust` returns `True` for the peer. Another true value, such as a coroutine, does not count."""
    try:
        return trust(peer) is True
    except KeyboardInterrupt:
        raise
    except BaseException:  # noqa: BLE001 - the predicate is the user's code, and must not end a server
        return False
