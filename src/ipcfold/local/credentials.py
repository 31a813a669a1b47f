"""Peer credentials: the process and user at the other end of a socket, and whether they are trusted."""

from __future__ import annotations

import os
import socket
import struct
import sys

from ipcfold.peer import Peer, Trust


def peer_of(connection: socket.socket, number: int) -> Peer:
    """The process at the other end, as the kernel knows it; raises `OSError` if it does not."""
    if sys.platform == "darwin":
        # <sys/un.h>: level 0, LOCAL_PEERCRED = 1 gives a struct xucred, LOCAL_PEERPID = 2 a pid_t.
        _, uid, _, gid = struct.unpack_from("@IIhI", connection.getsockopt(0, 1, 76))
        (pid,) = struct.unpack("@i", connection.getsockopt(0, 2, 4))
    else:
        pid, uid, gid = struct.unpack("@iII", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    return Peer(number, pid, uid, gid)


def same_user(peer: Peer) -> bool:
    """The default trust: this process's user, or root."""
    return peer.uid in (0, os.geteuid())


def trusted(trust: Trust, peer: Peer) -> bool:
    """Whether `trust` returns `True` for the peer. Another true value, such as a coroutine, does not count."""
    try:
        return trust(peer) is True
    except KeyboardInterrupt:
        raise
    except BaseException:  # noqa: BLE001 - the predicate is the user's code, and must not end a server
        return False
