"""A bare socket behind epoll: what any server of more than one client has to pay."""

from __future__ import annotations

import select
import socket
from collections.abc import Callable
from typing import Final, final

from benchmarks.contestant import Contestant, Standing, Wire
from benchmarks.peers.framing import Frames, acknowledging, joined
from benchmarks.peers.raw import AcknowledgedRawClient, RawClient, listening
from benchmarks.subscribers import Subscribers, subscribed

_CHUNK: Final = 65536


class Conversation:
    """What a server keeps for one client: its socket, the rest of a message, and what is still to be written."""

    __slots__ = ("frames", "stream", "unsent")

    def __init__(self, stream: socket.socket) -> None:
        self.stream = stream
        self.frames = Frames()
        self.unsent = memoryview(b"")


def serve(address: str, answered: Callable[[Conversation, bytes], bytes]) -> None:
    """Give every client what is to be answered to its bytes."""
    poll = select.epoll()
    talks: dict[int, Conversation] = {}
    with listening(address) as listener:
        listener.setblocking(False)
        poll.register(listener, select.EPOLLIN)
        while True:
            for descriptor, events in poll.poll():
                if descriptor == listener.fileno():
                    stream, _ = listener.accept()
                    stream.setblocking(False)
                    talks[stream.fileno()] = Conversation(stream)
                    poll.register(stream, select.EPOLLIN)
                elif not turn(poll, talks[descriptor], events, answered):
                    talks.pop(descriptor).stream.close()


def turn(poll: select.epoll, talk: Conversation, events: int, answered: Callable[[Conversation, bytes], bytes]) -> bool:
    """One turn of a client; whether it is still there."""
    stream = talk.stream
    if events & select.EPOLLOUT:
        written = stream.send(talk.unsent)
        talk.unsent = talk.unsent[written:]
        if not talk.unsent:
            poll.modify(stream, select.EPOLLIN)
        return True
    data = stream.recv(_CHUNK)
    if not data:
        return False
    answer = answered(talk, data)
    try:
        written = stream.send(answer)
    except BlockingIOError:
        written = 0
    if written < len(answer):
        talk.unsent = memoryview(answer)[written:]
        poll.modify(stream, select.EPOLLOUT)
    return True


def same(_: Conversation, data: bytes) -> bytes:
    """The bytes as they came."""
    return data


def parsed(talk: Conversation, data: bytes) -> bytes:
    """The messages as they came, each taken out of its frame and put into another."""
    return joined(talk.frames.fed(data))


def parsed_and_acknowledged(talk: Conversation, data: bytes) -> bytes:
    """The same, each message behind its acknowledgement."""
    return acknowledging(talk.frames.fed(data))


class _Epoll(Contestant):
    standing = Standing.RAW

    def connect(self, address: str) -> RawClient:
        return RawClient(address)


@final
class EpollBytes(_Epoll):
    """Bytes sent back."""

    title = "raw behind epoll"
    enters = frozenset({"round-trip", "bulk", "clients", "idle-connections", "connect", "idle-server"})
    wire = Wire(bytes, bytes)

    def serve(self, address: str) -> None:
        """Answer all clients."""
        serve(address, same)


@final
class EpollFrames(_Epoll):
    """The same with messages told apart."""

    title = "raw behind epoll, framed"
    enters = frozenset({"pipelined"})

    def serve(self, address: str) -> None:
        """Answer all clients."""
        serve(address, parsed)


@final
class AcknowledgingEpollFrames(_Epoll):
    """The same with acknowledgements."""

    title = "raw behind epoll, framed, acknowledging"
    enters = frozenset({"acknowledged"})

    def serve(self, address: str) -> None:
        """Acknowledge and answer all clients."""
        serve(address, parsed_and_acknowledged)

    def connect(self, address: str) -> RawClient:
        """A client."""
        return AcknowledgedRawClient(address)


_SUBSCRIBE: Final = b"subscribe"


@final
class Told(_Epoll):
    """Write all that a client sends to all subscribers, without frames. A subscriber that does not read ends the server."""

    title = "raw behind epoll, a write to each"
    enters = frozenset({"told"})

    def serve(self, address: str) -> None:
        """Tell all subscribers."""
        subscribers = list[socket.socket]()

        def told(talk: Conversation, data: bytes) -> bytes:
            if data == _SUBSCRIBE:
                subscribers.append(talk.stream)
            else:
                for each in subscribers:
                    each.send(data)
            return b""

        serve(address, told)

    def crowd(self, address: str, clients: int, content: bytes) -> Subscribers:
        """Subscribers, and a publisher."""
        streams = [subscribed(socket.AF_UNIX, address, _SUBSCRIBE) for _ in range(clients)]
        publisher = subscribed(socket.AF_UNIX, address, b"")
        return Subscribers(streams, lambda: publisher.sendall(content), content)


CONTESTANTS: Final = (EpollBytes(), EpollFrames(), AcknowledgingEpollFrames(), Told())
