"""ZeroMQ: REQ to REP for one request at a time, DEALER to ROUTER for many in flight; large messages without a copy."""

from __future__ import annotations

from collections.abc import Sequence
from time import perf_counter
from typing import ClassVar, Final, final

import zmq

from benchmarks.contestant import ACKNOWLEDGEMENT, PATIENCE, Answer, Client, ClientPool, Contestant, WrongAnswer, acknowledged

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


class _Zmq(Contestant):
    def crowd(self, address: str, clients: int, content: bytes) -> DealerCrowd:
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


CONTESTANTS: Final = (ReqRep(), UncopiedReqRep(), DealerRouter(), AcknowledgingDealerRouter())
