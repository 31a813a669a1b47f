"""How many connections each listener of this machine has, as the kernel knows it (Linux only).

The kernel is asked through sock_diag(7), whose records are binary. `/proc/net/unix` is text with the names of all users'
sockets as they are: a name with a line break in it forges lines of that table. A name alone proves nothing either,
because another user may bind the same path in a mount namespace. The file of the socket does: only `bind` makes it.
"""

from __future__ import annotations

import os
import socket
import struct
import sys
from collections.abc import Iterator, Mapping
from typing import Final, TypeAlias

File: TypeAlias = tuple[int, int]
"""A file: its device, and the lower 32 bits of its inode number, which are all that the kernel reports."""

# <linux/netlink.h>, <linux/sock_diag.h> and <linux/unix_diag.h>
_SOCK_DIAG: Final = 4
_REQUEST_DUMP: Final = 0x301
_BY_FAMILY: Final = 20
_ERROR, _DONE = 2, 3
_SHOW_FILE: Final = 2
_FILE: Final = 1  # the attribute with the device and the inode
_ESTABLISHED, _LISTENS = 1, 10
_HEADER: Final = struct.Struct("=IHHII")  # length, type, flags, sequence number, port
_ASKED: Final = struct.Struct("=BBHIIIII")  # family, protocol, padding, states, inode, what to show, cookie
_SOCKET: Final = struct.Struct("=BBBBIII")  # family, type, state, padding, inode, cookie
_ATTRIBUTE: Final = struct.Struct("=HH")  # length, type
_FILE_OF: Final = struct.Struct("=II")  # inode, device
_QUERY: Final = _HEADER.pack(_HEADER.size + _ASKED.size, _BY_FAMILY, _REQUEST_DUMP, 1, 0) + _ASKED.pack(
    socket.AF_UNIX, 0, 0, 1 << _ESTABLISHED | 1 << _LISTENS, 0, _SHOW_FILE, 0, 0
)


def file_of(status: os.stat_result) -> File:
    """The file with this status."""
    return status.st_dev, status.st_ino & 0xFFFFFFFF


def accepted() -> Mapping[File, int]:
    """The number of accepted connections for the file of each listener; nothing if the kernel does not tell.

    Sockets of other network namespaces are not among them. A file system that gives its files other device numbers than
    its own, as btrfs does, hides its sockets.
    """
    if sys.platform != "linux":
        return {}
    try:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _SOCK_DIAG) as kernel:
            kernel.send(_QUERY)
            found = list(_records(kernel))
    except (OSError, struct.error):  # this kernel or its sandbox does not offer it
        return {}
    counts = {file: 0 for state, file in found if state == _LISTENS}
    for state, file in found:
        if state == _ESTABLISHED and file in counts:  # an accepted socket has the file of its listener
            counts[file] += 1
    return counts


def _records(kernel: socket.socket) -> Iterator[tuple[int, File]]:
    """The state and the file of each socket that has one."""
    while True:
        data = kernel.recv(0x10000)  # more than the kernel puts into one datagram
        position = 0
        while position < len(data):
            length, kind, *_ = _HEADER.unpack_from(data, position)
            if kind == _DONE:
                return
            if kind == _ERROR or length < _HEADER.size:
                raise OSError("the kernel refuses to list the sockets")
            _, _, state, *_ = _SOCKET.unpack_from(data, position + _HEADER.size)
            for attribute, at in _attributes(data, position + _HEADER.size + _SOCKET.size, position + length):
                if attribute == _FILE:
                    inode, device = _FILE_OF.unpack_from(data, at)
                    yield state, (os.makedev(device >> 20, device & 0xFFFFF), inode)
            position += _aligned(length)


def _attributes(data: bytes, position: int, end: int) -> Iterator[tuple[int, int]]:
    """The type of each attribute, and where its value begins."""
    while position < end:
        length, kind = _ATTRIBUTE.unpack_from(data, position)
        yield kind, position + _ATTRIBUTE.size
        position += _aligned(max(length, _ATTRIBUTE.size))


def _aligned(length: int) -> int:
    return (length + 3) & ~3
