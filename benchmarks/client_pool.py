"""The generator of load for servers that speak over a stream: many connections, one request in flight on each.

It is the same for all of them and as lean as Python allows, so that the server is what is measured: requests are bytes
made beforehand, and answers are compared, not parsed.
"""

from __future__ import annotations

import select
import socket
from time import perf_counter
from typing import final

from benchmarks.contestant import PATIENCE, ClientPool, Wire, WrongAnswer


@final
class StreamClientPool(ClientPool):
    """Connections to one server, greeted and ready."""

    def __init__(self, wire: Wire, address: str, clients: int, content: bytes) -> None:
        self._request, self._response, self._noise = wire.request(content), wire.response(content), wire.noise
        self._streams: dict[int, socket.socket] = {}
        self._poll = select.epoll()
        for _ in range(clients):
            stream = entered(wire, address)
            self._streams[stream.fileno()] = stream
            self._poll.register(stream, select.EPOLLIN)

    def requests(self, count: int) -> float:
        """Seconds for so many requests, with one in flight on every connection."""
        self._forget_noise()
        request, response, streams = self._request, self._response, self._streams
        partial: dict[int, bytes] = {}
        size = len(response) + 1  # one more would be seen
        began = perf_counter()
        for stream in streams.values():
            stream.send(request)
        sent, done = len(streams), 0
        while done < sent:
            ready = self._poll.poll(PATIENCE)
            if not ready:
                raise TimeoutError("a server does not answer its clients")
            for descriptor, _ in ready:
                data = streams[descriptor].recv(size)
                if data != response and not self._completed(partial, descriptor, data):
                    continue
                done += 1
                if sent < count:
                    streams[descriptor].send(request)
                    sent += 1
        return (perf_counter() - began) * count / sent  # fewer requests than clients are as many as clients

    def _completed(self, partial: dict[int, bytes], descriptor: int, data: bytes) -> bool:
        """Whether the answer is whole; it came in pieces, or with noise."""
        if not data:
            raise WrongAnswer
        whole = partial.pop(descriptor, b"") + data
        if self._noise:
            whole = whole.replace(self._noise, b"")
        if whole == self._response:
            return True
        if len(whole) > len(self._response) + len(self._noise):
            raise WrongAnswer
        partial[descriptor] = whole
        return False

    def _forget_noise(self) -> None:
        while ready := self._poll.poll(0):
            for descriptor, _ in ready:
                if not self._streams[descriptor].recv(65536):
                    raise ConnectionError("a server closed the connection of an idle client")


def entered(wire: Wire, address: str) -> socket.socket:
    """One connection that the server has let in."""
    stream = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    stream.connect(address)  # blocking, for as long as the server's backlog is full
    stream.settimeout(PATIENCE)
    missing = len(wire.greeting)
    while missing:
        missing -= len(stream.recv(missing))
    if wire.acceptance:
        stream.sendall(wire.acceptance)
    stream.setblocking(False)
    return stream
