"""zerorpc: an object's method over ZeroMQ and msgpack; batches are asynchronous calls."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal, final

import zerorpc

from benchmarks.contestant import PATIENCE, Client, Contestant

_ASYNC: Final[dict[str, Literal[True]]] = {"async": True}  # a keyword that Python has taken since


@final
class Echo:
    """The object."""

    def echo(self, content: bytes) -> bytes:
        """What came."""
        return content


@final
class ZerorpcClient(Client):
    """One client."""

    def __init__(self, address: str) -> None:
        self._client = zerorpc.Client(timeout=int(PATIENCE))
        self._client.connect(f"ipc://{address}")

    def trip(self, content: bytes) -> bytes:
        """One call."""
        return self._client("echo", content)

    def batch(self, contents: Sequence[bytes]) -> Sequence[bytes]:
        """All calls under way at once."""
        calls = [self._client("echo", content, **_ASYNC) for content in contents]
        return [call.get() for call in calls]

    def close(self) -> None:
        """End the connection."""
        self._client.close()


@final
class Zerorpc(Contestant):
    """Calls of a method."""

    title = "zerorpc"
    enters = frozenset({"round-trip", "pipelined", "bulk", "connect"})

    def serve(self, address: str) -> None:
        """A greenlet for each call."""
        server = zerorpc.Server(Echo())
        server.bind(f"ipc://{address}")
        server.run()

    def connect(self, address: str) -> ZerorpcClient:
        """A client."""
        return ZerorpcClient(address)


CONTESTANTS: Final = (Zerorpc(),)
