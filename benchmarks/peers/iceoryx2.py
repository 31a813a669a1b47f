"""iceoryx2: requests and responses in shared memory, where a reader waits for an event or asks in a loop.

An event wakes a process, as a socket does. Without events both processes look for messages all the time, and each needs a
core of its own. Either way `send` says that a message is in a queue. Its usual queues drop the oldest message when they are
full; a client here has no more requests under way than the queue has places.

The library keeps files and shared memory after a process that was killed, so its processes end themselves when they are told to.
A response is copied into bytes, since its memory belongs to the library.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter
from types import MappingProxyType
from typing import ClassVar, Final, TypeAlias, final

import iceoryx2

from benchmarks.contestant import ACKNOWLEDGEMENT, Client, Contestant, acknowledged, check, end_when_told

Bytes: TypeAlias = iceoryx2.Slice[ctypes.c_uint8]

_USUAL: Final = 4
"""Requests that a client has under way at most, where a service says nothing else."""
_MANY: Final = 100
"""The same for batches. A client's port takes a hundred times as long to create, and costs memory for as many messages."""
_ANSWERS: Final = 2
"""Responses that a request may have unread."""
_GROWING: Final = iceoryx2.AllocationStrategy.PowerOfTwo
_FIXED: Final = "the service fixes how many clients it can have when it is made; one is measured"


def _node(address: str) -> iceoryx2.Node:
    """A node whose files lie beside the address, so that no other program finds them."""
    end_when_told()
    iceoryx2.set_log_level(iceoryx2.LogLevel.Error)
    config = iceoryx2.config.default()
    config.global_cfg.root_path = iceoryx2.Path.new(str(Path(address).parent))
    return iceoryx2.NodeBuilder.new().config(config).create(iceoryx2.ServiceType.Ipc)


def _service(node: iceoryx2.Node, window: int) -> iceoryx2.PortFactoryRequestResponse:
    builder = node.service_builder(iceoryx2.ServiceName.new("echo")).request_response(Bytes, Bytes)
    builder = builder.max_servers(1).max_clients(2).max_active_requests_per_client(window).max_response_buffer_size(_ANSWERS)
    return builder.open_or_create()


def _event(node: iceoryx2.Node, name: str) -> iceoryx2.PortFactoryEvent:
    return node.service_builder(iceoryx2.ServiceName.new(name)).event().open_or_create()


class Wakening:
    """How one end waits for the other, and wakes it: by events."""

    def __init__(self, node: iceoryx2.Node, mine: str, theirs: str) -> None:
        self._listener = _event(node, mine).listener_builder().create()
        self._notifier = _event(node, theirs).notifier_builder().create()

    def wait(self) -> None:
        """Until there may be a message: the library also returns without an event."""
        self._listener.blocking_wait()

    def wake(self) -> None:
        """The other end."""
        self._notifier.notify()

    def close(self) -> None:
        """End both ports."""
        self._listener.delete()
        self._notifier.delete()


@final
class Spinning(Wakening):
    """Neither end waits: it looks again."""

    def __init__(self, node: iceoryx2.Node, mine: str, theirs: str) -> None:
        """Without ports."""

    def wait(self) -> None:
        """Not at all."""

    def wake(self) -> None:
        """Nobody."""

    def close(self) -> None:
        """Nothing."""


class IceoryxClient(Client):
    """A port for requests."""

    answers_each: ClassVar[int] = 1

    def __init__(self, node: iceoryx2.Node, service: iceoryx2.PortFactoryRequestResponse, waking: type[Wakening]) -> None:
        self._wakening = waking(node, "answers", "requests")
        self._port = service.client_builder().initial_max_slice_len(64).allocation_strategy(_GROWING).create()

    def trip(self, content: bytes) -> bytes:
        """There and back."""
        pending = self._sent(content)
        self._wakening.wake()
        return self._received(pending)[-1]

    def batch(self, contents: Sequence[bytes]) -> Sequence[bytes]:
        """As many under way as the queue has places, and one event for these."""
        answers = list[bytes]()
        for start in range(0, len(contents), _MANY):
            under_way = [self._sent(content) for content in contents[start : start + _MANY]]
            self._wakening.wake()
            for pending in under_way:
                answers += self._received(pending)
        return answers

    def close(self) -> None:
        """End the ports."""
        self._port.delete()
        self._wakening.close()

    def _sent(self, content: bytes) -> iceoryx2.PendingResponse:
        request = self._port.loan_slice_uninit(len(content))
        ctypes.memmove(request.payload().as_ptr(), content, len(content))
        return request.assume_init().send()

    def _received(self, pending: iceoryx2.PendingResponse) -> list[bytes]:
        """All answers to one request."""
        answers = list[bytes]()
        while len(answers) < self.answers_each:
            response = pending.receive()
            if response is None:
                self._wakening.wait()
                continue
            answers.append(bytes(response.payload().as_memory_view()))
            response.delete()
        pending.delete()
        return answers


@final
class AcknowledgedIceoryxClient(IceoryxClient):
    """Every request has two responses, of which the first acknowledges it."""

    answers_each = 2

    def batch(self, contents: Sequence[bytes]) -> Sequence[bytes]:
        """As many under way as the queue has places, and one event for these."""
        return acknowledged(super().batch(contents))


class Events(Contestant):
    """With events."""

    title = "iceoryx2, events"
    enters = frozenset({"round-trip", "bulk", "connect"})
    declines = MappingProxyType(dict.fromkeys(("clients", "idle-connections", "idle-server"), _FIXED))
    waking: ClassVar[type[Wakening]] = Wakening
    window: ClassVar[int] = _USUAL

    def serve(self, address: str) -> None:
        """Answer all requests."""
        node = _node(address)
        server = _service(node, self.window).server_builder().initial_max_slice_len(64).allocation_strategy(_GROWING).create()
        wakening = self.waking(node, "requests", "answers")
        Path(address).touch()
        self.answer_all(server, wakening)

    def answer_all(self, server: iceoryx2.Server, wakening: Wakening) -> None:
        """Answer whatever comes, with an event for each answer."""
        while True:
            request = server.receive()
            if request is None:
                wakening.wait()
                continue
            self.answer(request)
            wakening.wake()

    def answer(self, request: iceoryx2.ActiveRequest) -> None:
        """Copy the request into a response."""
        content = request.payload()
        response = request.loan_slice_uninit(content.len())
        ctypes.memmove(response.payload().as_ptr(), content.as_ptr(), content.len())
        response.assume_init().send()
        request.delete()

    def connect(self, address: str) -> IceoryxClient:
        """A client with a node of its own."""
        node = _node(address)
        return IceoryxClient(node, _service(node, self.window), self.waking)

    def visits(self, address: str, content: bytes, count: int) -> float:
        """All of them with one node, as a program has."""
        node = _node(address)
        service = _service(node, self.window)
        began = perf_counter()
        for _ in range(count):
            client = IceoryxClient(node, service, self.waking)
            check(client.trip(content), content)
            client.close()
        return perf_counter() - began


class Batches(Events):
    """With events, of which there is one for as many messages as are there."""

    title = "iceoryx2, events, 100 under way"
    enters = frozenset({"pipelined"})
    window = _MANY

    def answer_all(self, server: iceoryx2.Server, wakening: Wakening) -> None:
        """Answer whatever comes, with one event for all answers."""
        answered = False
        while True:
            request = server.receive()
            if request is not None:
                self.answer(request)
            elif answered:
                wakening.wake()
            else:
                wakening.wait()
            answered = request is not None


@final
class AcknowledgingBatches(Batches):
    """With events, and a response that acknowledges before the one that answers."""

    title = "iceoryx2, events, acknowledging"
    enters = frozenset({"acknowledged"})

    def answer(self, request: iceoryx2.ActiveRequest) -> None:
        """Acknowledge, then answer."""
        response = request.loan_slice_uninit(1)
        ctypes.memmove(response.payload().as_ptr(), ACKNOWLEDGEMENT, 1)
        response.assume_init().send()
        super().answer(request)

    def connect(self, address: str) -> IceoryxClient:
        """A client with a node of its own."""
        node = _node(address)
        return AcknowledgedIceoryxClient(node, _service(node, self.window), self.waking)


@final
class Spins(Events):
    """Without events."""

    title = "iceoryx2, spinning"
    enters = frozenset({"round-trip"})
    waking = Spinning


@final
class SpinningBatches(Batches):
    """Without events, and many requests under way."""

    title = "iceoryx2, spinning, 100 under way"
    waking = Spinning


CONTESTANTS: Final = (Events(), Batches(), AcknowledgingBatches(), Spins(), SpinningBatches())
