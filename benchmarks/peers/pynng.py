"""nng: Req0 to Rep0 for one request at a time, and a pair of sockets for many in flight."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Final, final

import pynng

from benchmarks.contestant import ACKNOWLEDGEMENT, PATIENCE, Client, Contestant, acknowledged
from benchmarks.peers.framing import window

_WINDOW: Final = 100
"""Messages that nng keeps ready on each side."""
_TIMEOUT: Final = int(PATIENCE * 1000)


class NngClient(Client):
    """One socket."""

    answers_each: ClassVar[int] = 1

    def __init__(self, opened: pynng.Socket, address: str) -> None:
        self._socket = opened
        try:
            opened.dial(f"ipc://{address}", block=True)
        except pynng.ConnectionRefused as error:
            opened.close()
            raise ConnectionRefusedError(str(error)) from error

    def trip(self, content: bytes) -> bytes:
        """There and back."""
        self._socket.send(content)
        return self._socket.recv()

    def batch(self, contents: Sequence[bytes]) -> Sequence[bytes]:
        """As many in flight as can be without a deadlock."""
        send, receive, answers, ahead = self._socket.send, self._socket.recv, list[bytes](), window(contents)
        for index, content in enumerate(contents):
            if index >= ahead:
                answers += [receive() for _ in range(self.answers_each)]
            send(content)
        while len(answers) < len(contents) * self.answers_each:
            answers.append(receive())
        return answers

    def close(self) -> None:
        """End the connection."""
        self._socket.close()


@final
class AcknowledgedNngClient(NngClient):
    """Every message is acknowledged before its answer."""

    answers_each = 2

    def batch(self, contents: Sequence[bytes]) -> Sequence[bytes]:
        """As many in flight as can be without a deadlock."""
        return acknowledged(super().batch(contents))


def answer(opened: pynng.Socket, address: str) -> None:
    """Send back all that comes."""
    opened.listen(f"ipc://{address}")
    while True:
        opened.send(opened.recv())


@final
class ReqRep(Contestant):
    """One request at a time."""

    title = "pynng, Req0 to Rep0"
    enters = frozenset({"round-trip", "bulk", "connect"})

    def serve(self, address: str) -> None:
        """Answer all clients."""
        answer(pynng.Rep0(recv_max_size=0), address)

    def connect(self, address: str) -> NngClient:
        """A client."""
        return NngClient(pynng.Req0(recv_max_size=0, recv_timeout=_TIMEOUT), address)


class Pair(Contestant):
    """Many messages in flight, of one client."""

    title = "pynng, Pair0"
    enters = frozenset({"pipelined"})

    def serve(self, address: str) -> None:
        """Answer one client."""
        answer(pynng.Pair0(recv_max_size=0, send_buffer_size=_WINDOW, recv_buffer_size=_WINDOW), address)

    def connect(self, address: str) -> NngClient:
        """A client."""
        return NngClient(_pair(), address)


@final
class AcknowledgingPair(Pair):
    """The same with acknowledgements."""

    title = "pynng, Pair0, acknowledging"
    enters = frozenset({"acknowledged"})

    def serve(self, address: str) -> None:
        """Acknowledge and answer one client."""
        opened = pynng.Pair0(recv_max_size=0, send_buffer_size=_WINDOW, recv_buffer_size=_WINDOW)
        opened.listen(f"ipc://{address}")
        while True:
            content = opened.recv()
            opened.send(ACKNOWLEDGEMENT)
            opened.send(content)

    def connect(self, address: str) -> NngClient:
        """A client."""
        return AcknowledgedNngClient(_pair(), address)


def _pair() -> pynng.Socket:
    return pynng.Pair0(recv_max_size=0, send_buffer_size=_WINDOW, recv_buffer_size=_WINDOW, recv_timeout=_TIMEOUT)


CONTESTANTS: Final = (ReqRep(), Pair(), AcknowledgingPair())
