"""Pyro5: one object with an exposed method.

The serializer is msgpack, which takes bytes as they are: the usual one spells them in base64, and `marshal` has no
batched calls. A batch is one message, and not as many as it has calls, so that it stands apart from the peers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, final

from Pyro5.api import BatchProxy, Daemon, Proxy, behavior, expose
from Pyro5.errors import CommunicationError

from benchmarks.contestant import Client, Contestant, Standing

_OBJECT: Final = "echo"


@behavior(instance_mode="single")
class Echo:
    """The object."""

    @expose
    def echo(self, content: bytes) -> bytes:
        """What came."""
        return content


@final
class PyroClient(Client):
    """One proxy."""

    def __init__(self, address: str) -> None:
        self._proxy = Proxy(f"PYRO:{_OBJECT}@./u:{address}")
        self._proxy._pyroSerializer = "msgpack"  # noqa: SLF001 - how its documentation says to choose one
        try:
            self._proxy._pyroBind()  # noqa: SLF001 - the documented way to connect now
        except CommunicationError as error:
            raise ConnectionRefusedError(str(error)) from error

    def trip(self, content: bytes) -> bytes:
        """One call."""
        return self._proxy.echo(content)

    def batch(self, contents: Sequence[bytes]) -> Sequence[bytes]:
        """All calls in one message."""
        calls = BatchProxy(self._proxy)
        for content in contents:
            calls.echo(content)
        return list(calls())

    def close(self) -> None:
        """End the connection."""
        self._proxy._pyroRelease()  # noqa: SLF001 - the documented way to disconnect


class Pyro(Contestant):
    """Calls of a method."""

    title = "Pyro5, msgpack"
    enters = frozenset({"round-trip", "bulk", "connect"})

    def serve(self, address: str) -> None:
        """A thread for each client."""
        daemon = Daemon(unixsocket=address)
        daemon.register(Echo, _OBJECT)
        daemon.requestLoop()

    def connect(self, address: str) -> PyroClient:
        """A client."""
        return PyroClient(address)


@final
class PyroBatches(Pyro):
    """Many calls in one message, which one message answers."""

    title = "Pyro5, a batch as one message"
    standing = Standing.APART
    enters = frozenset({"pipelined"})


CONTESTANTS: Final = (Pyro(), PyroBatches())
