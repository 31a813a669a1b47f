"""RPyC: a service with one exposed method, in its threaded server; batches are asynchronous calls."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, final

import rpyc
from rpyc.utils.factory import unix_connect
from rpyc.utils.server import ThreadedServer

from benchmarks.contestant import Client, Contestant
from benchmarks.peers.framing import window


@final
class Echo(rpyc.Service):
    """The service."""

    def exposed_echo(self, content: bytes) -> bytes:
        """What came."""
        return content


@final
class RpycClient(Client):
    """One connection."""

    def __init__(self, address: str) -> None:
        self._connection = unix_connect(address)
        self._echo = self._connection.root.echo
        self._start = rpyc.async_(self._echo)

    def trip(self, content: bytes) -> bytes:
        """One call."""
        return self._echo(content)

    def batch(self, contents: Sequence[bytes]) -> Sequence[bytes]:
        """As many calls under way as can be without a deadlock."""
        ahead = window(contents)
        answers, calls = list[bytes](), [self._start(content) for content in contents[:ahead]]
        for content in contents[ahead:]:
            answers.append(calls[len(answers)].value)
            calls.append(self._start(content))
        return answers + [call.value for call in calls[len(answers) :]]

    def close(self) -> None:
        """End the connection."""
        self._connection.close()


@final
class Rpyc(Contestant):
    """Calls of a method."""

    title = "rpyc"
    enters = frozenset({"round-trip", "pipelined", "bulk", "connect"})

    def serve(self, address: str) -> None:
        """A thread for each client."""
        ThreadedServer(Echo, socket_path=address).start()

    def connect(self, address: str) -> RpycClient:
        """A client."""
        return RpycClient(address)


CONTESTANTS: Final = (Rpyc(),)
