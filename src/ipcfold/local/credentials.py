"""Who is at the other end of a socket, as the kernel says, and the rule by which to talk to them."""

from __future__ import annotations

import os
import socket
import struct
import sys

from ipcfold.peer import Peer, Trust


def peer_of(connection: socket.socket, number: int) -> Peer:
    """The process at the other end; raises `OSError` where the kernel does not tell."""
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
    """Whether `trust` says `True` of the peer, and nothing that is merely not false, as a coroutine is."""
    try:
        return trust(peer) is True
    except KeyboardInterrupt:
        raise
    except BaseException:  # noqa: BLE001 - the predicate is somebody else's code, and must not end a server
        return False
