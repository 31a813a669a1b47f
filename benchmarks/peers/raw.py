"""Bare blocking sockets: what every other contestant is compared with.

Round trips and large messages are bytes without frames. In batches messages must be told apart, so there each has its
length before it.
"""

from __future__ import annotations

import select
import socket
from collections.abc import Callable, Sequence
from types import MappingProxyType
from typing import Final, final

from benchmarks.contestant import Answer, Client, Contestant, Standing, acknowledged
from benchmarks.peers.framing import Frames, acknowledging, joined, unframed

_CHUNK: Final = 2**18
_SMALL: Final = (
    65536  # fits into the kernel's buffers, so that nobody waits for the other to read; larger buffers to read into cost more to make
)


def listening(address: str) -> socket.socket:
    """A socket that accepts there."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(address)
    listener.listen(4096)
    return listener


class RawClient(Client):
    """A blocking socket."""

    def __init__(self, address: str) -> None:
        self._stream = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._stream.connect(address)

    def trip(self, content: bytes) -> Answer:
        """Bytes there and back."""
        if len(content) > _SMALL:
            return self._duplex(content, len(content))
        stream, missing = self._stream, len(content)
        stream.sendall(content)
        data = stream.recv(_SMALL)
        while len(data) < missing:
            data += stream.recv(_SMALL)
        return data

    def _duplex(self, content: bytes, expected: int) -> bytearray:
        """Write and read so many bytes at once: both ends writing only would be a deadlock."""
        stream, size = self._stream, len(content)
        out, back = memoryview(content), bytearray(expected)
        into, sent, got = memoryview(back), 0, 0
        poll = select.poll()
        poll.register(stream, select.POLLIN | select.POLLOUT)
        while got < expected:
            ((_, events),) = poll.poll()
            if events & select.POLLOUT and sent < size:
                sent += stream.send(out[sent : sent + _CHUNK], socket.MSG_DONTWAIT)
                if sent == size:
                    poll.modify(stream, select.POLLIN)
            if events & ~select.POLLOUT:
                read = stream.recv_into(into[got:])
                if not read:
                    raise ConnectionError("the server closed the connection")
                got += read
        return back

    def batch(self, contents: Sequence[bytes]) -> Sequence[Answer]:
        """All of them in one write."""
        frames = joined(contents)
        return unframed(bytes(self._duplex(frames, len(frames))))[0]

    def close(self) -> None:
        """End the connection."""
        self._stream.close()


@final
class AcknowledgedRawClient(RawClient):
    """Every message is acknowledged before its answer."""

    def batch(self, contents: Sequence[bytes]) -> Sequence[Answer]:
        """All of them in one write."""
        return acknowledged(unframed(bytes(self._duplex(joined(contents), len(acknowledging(contents)))))[0])


class _Raw(Contestant):
    standing = Standing.RAW

    def connect(self, address: str) -> RawClient:
        return RawClient(address)


@final
class RawBytes(_Raw):
    """One client at a time, its bytes sent back."""

    title = "raw blocking socket"
    enters = frozenset({"round-trip", "bulk", "connect"})
    declines = MappingProxyType(dict.fromkeys(("clients", "idle-connections", "idle-server"), "it serves one client at a time"))

    def serve(self, address: str) -> None:
        """Answer one client after the other."""
        with listening(address) as listener:
            while True:
                stream, _ = listener.accept()
                with stream:
                    while data := stream.recv(_SMALL):
                        stream.sendall(data)


def serve_frames(address: str, answered: Callable[[Sequence[bytes]], bytes]) -> None:
    """Give one client after the other what is to be answered to its messages."""
    with listening(address) as listener:
        while True:
            stream, _ = listener.accept()
            frames = Frames()
            with stream:
                while data := stream.recv(_SMALL):
                    stream.sendall(answered(frames.fed(data)))


@final
class RawFrames(_Raw):
    """The same with messages told apart."""

    title = "raw blocking socket, framed"
    enters = frozenset({"pipelined"})

    def serve(self, address: str) -> None:
        """Answer one client after the other."""
        serve_frames(address, joined)


@final
class AcknowledgingRawFrames(_Raw):
    """The same with acknowledgements."""

    title = "raw blocking socket, framed, acknowledging"
    enters = frozenset({"acknowledged"})

    def serve(self, address: str) -> None:
        """Acknowledge and answer one client after the other."""
        serve_frames(address, acknowledging)

    def connect(self, address: str) -> RawClient:
        """A client."""
        return AcknowledgedRawClient(address)


CONTESTANTS: Final = (RawBytes(), RawFrames(), AcknowledgingRawFrames())
