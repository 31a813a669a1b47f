"""ZeroMQ: REQ to REP for one request at a time, DEALER to ROUTER for many in flight; large messages without a copy.

PUSH to PULL is the cheapest way for many messages. It promises less: a PUSH socket gives its messages to all its peers in turn, and
nobody answers. `send` succeeds when a message is in a queue of this process; it is lost with the process of either end.
There are two rows of it. In one the server pushes every message back, which is the work of the other peers. In the other it
only counts them, and says the count once a batch, so that this row stands apart.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence
from time import perf_counter
from typing import ClassVar, Final, final

import zmq

from benchmarks.contestant import ACKNOWLEDGEMENT, PATIENCE, Answer, Client, ClientPool, Contestant, Standing, WrongAnswer, acknowledged
from benchmarks.subscribers import Subscribers, subscribed

_UNCOPIED: Final = 65536  # its own threshold for copying sends, too


def _context(sockets: int = 1) -> zmq.Context[zmq.Socket[bytes]]:
    context = zmq.Context[zmq.Socket[bytes]]()
    context.set(zmq.MAX_SOCKETS, max(1023, sockets + 10))
    return context


def _socket(context: zmq.Context[zmq.Socket[bytes]], kind: int) -> zmq.Socket[bytes]:
    made = context.socket(kind)
    made.linger = 0
    made.rcvtimeo = int(PATIENCE * 1000) if kind in {zmq.REQ, zmq.DEALER} else -1
    return made


class ZmqClient(Client):
    """One socket."""

    kind: ClassVar[int]

    def __init__(self, address: str) -> None:
        self._context = _context()
        self._socket = _socket(self._context, self.kind)
        self._socket.connect(f"ipc://{address}")

    def trip(self, content: bytes) -> Answer:
        """There and back."""
        if len(content) < _UNCOPIED:
            self._socket.send(content)
            return self._socket.recv()
        self._socket.send(content, copy=False)
        return self._socket.recv(copy=False).buffer

    def close(self) -> None:
        """End the connection."""
        self._socket.close()
        self._context.term()


@final
class ReqClient(ZmqClient):
    """One request at a time."""

    kind = zmq.REQ


class DealerClient(ZmqClient):
    """Many requests at a time."""

    kind = zmq.DEALER

    def batch(self, contents: Sequence[bytes]) -> Sequence[bytes]:
        """All of them, then every answer: ZeroMQ's own threads move the bytes meanwhile."""
        send, receive = self._socket.send, self._socket.recv
        for content in contents:
            send(content)
        return [receive() for _ in contents]


@final
class AcknowledgedDealerClient(DealerClient):
    """Every message is acknowledged before its answer."""

    def batch(self, contents: Sequence[bytes]) -> Sequence[bytes]:
        """All of them, then every acknowledgement and answer."""
        send, receive = self._socket.send, self._socket.recv_multipart
        for content in contents:
            send(content)
        return acknowledged([part for _ in contents for part in receive()])


@final
class DealerCrowd(ClientPool):
    """Many sockets and a poller."""

    def __init__(self, address: str, clients: int, content: bytes) -> None:
        self._context = _context(clients)
        self._sockets = [_socket(self._context, zmq.DEALER) for _ in range(clients)]
        self._content = content
        self._poller = zmq.Poller()
        for each in self._sockets:
            each.connect(f"ipc://{address}")
            self._poller.register(each, zmq.POLLIN)
        for each in self._sockets:  # connecting happens behind our back: after an answer it has
            each.send(content)
        for each in self._sockets:
            each.recv()

    def requests(self, count: int) -> float:
        """Seconds for so many requests, with one in flight on every connection."""
        content = self._content
        began = perf_counter()
        for each in self._sockets:
            each.send(content)
        sent, done = len(self._sockets), 0
        while done < sent:
            ready = self._poller.poll(int(PATIENCE * 1000))
            if not ready:
                raise TimeoutError("a server does not answer its clients")
            for each, _ in ready:
                if each.recv() != content:
                    raise WrongAnswer
                done += 1
                if sent < count:
                    each.send(content)
                    sent += 1
        return (perf_counter() - began) * count / sent


def _back(address: str) -> str:
    """Where the server pushes what it answers: a socket pushes or pulls, and does not do both."""
    return f"ipc://{address}.back"


class PushClient(Client):
    """A socket that pushes, and one that pulls the answers."""

    def __init__(self, address: str) -> None:
        self._context = _context()
        self._push, self._pull = _socket(self._context, zmq.PUSH), _socket(self._context, zmq.PULL)
        self._pull.rcvtimeo = int(PATIENCE * 1000)
        self._push.connect(f"ipc://{address}")
        self._pull.connect(_back(address))

    def trip(self, content: bytes) -> bytes:
        """There and back."""
        return self.batch([content])[0]

    def batch(self, contents: Sequence[bytes]) -> Sequence[bytes]:
        """All of them, then every answer: ZeroMQ's own threads move the bytes meanwhile."""
        push, pull = self._push.send, self._pull.recv
        for content in contents:
            push(content)
        return [pull() for _ in contents]

    def close(self) -> None:
        """End the connections."""
        self._push.close()
        self._pull.close()
        self._context.term()


@final
class CountedPushClient(PushClient):
    """No message is answered; an empty one asks how many have come."""

    def batch(self, contents: Sequence[bytes]) -> Sequence[bytes]:
        """All of them, and what was sent if as many have come."""
        push = self._push.send
        for content in contents:
            push(content)
        push(b"")
        if int(self._pull.recv()) != len(contents):
            raise WrongAnswer
        return contents


class _Zmq(Contestant):
    def crowd(self, address: str, clients: int, content: bytes) -> ClientPool:
        return DealerCrowd(address, clients, content)


@final
class ReqRep(_Zmq):
    """One request at a time."""

    title = "pyzmq, REQ to REP"
    enters = frozenset({"round-trip", "connect"})

    def serve(self, address: str) -> None:
        """Answer all clients."""
        replier = _socket(_context(), zmq.REP)
        replier.bind(f"ipc://{address}")
        while True:
            replier.send(replier.recv())

    def connect(self, address: str) -> ReqClient:
        """A client."""
        return ReqClient(address)


@final
class UncopiedReqRep(_Zmq):
    """The same for large messages, which are not copied between ZeroMQ and Python."""

    title = "pyzmq, REQ to REP, copy=False"
    enters = frozenset({"bulk"})

    def serve(self, address: str) -> None:
        """Answer all clients."""
        replier = _socket(_context(), zmq.REP)
        replier.bind(f"ipc://{address}")
        while True:
            replier.send(replier.recv(copy=False), copy=False)

    def connect(self, address: str) -> ReqClient:
        """A client."""
        return ReqClient(address)


@final
class DealerRouter(_Zmq):
    """Many requests at a time, and many clients."""

    title = "pyzmq, DEALER to ROUTER"
    enters = frozenset({"pipelined", "clients", "idle-connections", "idle-server"})

    def serve(self, address: str) -> None:
        """Answer all clients."""
        router = _socket(_context(), zmq.ROUTER)
        router.bind(f"ipc://{address}")
        while True:
            router.send_multipart(router.recv_multipart())

    def connect(self, address: str) -> DealerClient:
        """A client."""
        return DealerClient(address)


@final
class AcknowledgingDealerRouter(_Zmq):
    """The same with acknowledgements, each a part before the answer: ROUTER drops what is over its high-water mark."""

    title = "pyzmq, DEALER to ROUTER, acknowledging"
    enters = frozenset({"acknowledged"})

    def serve(self, address: str) -> None:
        """Acknowledge and answer all clients."""
        router = _socket(_context(), zmq.ROUTER)
        router.bind(f"ipc://{address}")
        while True:
            who, content = router.recv_multipart()
            router.send_multipart((who, ACKNOWLEDGEMENT, content))

    def connect(self, address: str) -> DealerClient:
        """A client."""
        return AcknowledgedDealerClient(address)


class PushPull(_Zmq):
    """Many messages of one client, each pushed back."""

    title = "pyzmq, PUSH to PULL, and back"
    enters = frozenset({"pipelined"})

    def serve(self, address: str) -> None:
        """Push back what comes, to whoever pulls."""
        push, pull = _served(address)
        while True:
            push.send(pull.recv())

    def connect(self, address: str) -> PushClient:
        """A client."""
        return PushClient(address)


@final
class CountedPushPull(PushPull):
    """Many messages of one client, none of them answered."""

    title = "pyzmq, PUSH to PULL, one answer a batch"
    standing = Standing.APART

    def serve(self, address: str) -> None:
        """Say how many have come when an empty one does."""
        push, pull = _served(address)
        count = 0
        while True:
            if pull.recv():
                count += 1
            else:
                push.send(b"%d" % count)
                count = 0

    def connect(self, address: str) -> PushClient:
        """A client."""
        return CountedPushClient(address)


# A SUB socket writes this: the greeting of ZMTP 3.1 without security, its kind, and the wish for every message.
_GREETING: Final = b"\xff" + (1).to_bytes(8) + b"\x7f\x03\x01" + b"NULL".ljust(20, b"\0") + bytes(32)
_READY: Final = b"\x05READY\x0bSocket-Type" + (3).to_bytes(4) + b"SUB"
_SUBSCRIPTION: Final = bytes([4, len(_READY)]) + _READY + b"\x04\x0a\x09SUBSCRIBE"


@final
class PubSub(_Zmq):
    """A server that publishes what is pushed to it. The subscribers write the bytes of SUB sockets, of which a thousand would cost more."""

    title = "pyzmq, PUB to SUB"
    enters = frozenset({"told"})

    def serve(self, address: str) -> None:
        """Publish what is pushed."""
        context = _context()
        publisher, pull = _socket(context, zmq.PUB), _socket(context, zmq.PULL)
        pull.bind(_back(address))
        publisher.bind(f"ipc://{address}")
        while True:
            publisher.send(pull.recv())

    def connect(self, address: str) -> Client:
        """No workload asks for one."""
        raise NotImplementedError(f"{self.title} has no single client at {address}")

    def crowd(self, address: str, clients: int, content: bytes) -> ClientPool:
        """Subscribers, and a publisher."""
        push = _socket(_context(), zmq.PUSH)
        push.connect(_back(address))
        streams = [subscribed(socket.AF_UNIX, address, _GREETING) for _ in range(clients)]
        for each in streams:
            each.recv(1)  # it has read the greeting, and closes the connection where more comes together with it
            each.sendall(_SUBSCRIPTION)
        return Subscribers(streams, lambda: push.send(content), bytes([0, len(content)]) + content)


def _served(address: str) -> tuple[zmq.Socket[bytes], zmq.Socket[bytes]]:
    """The server's sockets, of which a client looks for the second one."""
    context = _context()
    push, pull = _socket(context, zmq.PUSH), _socket(context, zmq.PULL)
    push.bind(_back(address))
    pull.bind(f"ipc://{address}")
    return push, pull


CONTESTANTS: Final = (ReqRep(), UncopiedReqRep(), DealerRouter(), AcknowledgingDealerRouter(), PushPull(), CountedPushPull(), PubSub())
