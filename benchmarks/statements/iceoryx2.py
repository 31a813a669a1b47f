"""iceoryx2, with requests and responses of bytes."""

from __future__ import annotations

import ctypes
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from time import monotonic, sleep
from typing import Final, TypeAlias

import iceoryx2

from benchmarks.statements.seen import BRIEF, PATIENCE, Other, Say, Seen, Statement, attempt

Bytes: TypeAlias = iceoryx2.Slice[ctypes.c_uint8]
_USUAL: Final = 4
"""Places in the queue of a server for each client, if nobody sets another number."""


def _node(directory: Path) -> iceoryx2.Node:
    iceoryx2.set_log_level(iceoryx2.LogLevel.Fatal)
    config = iceoryx2.config.default()
    config.global_cfg.root_path = iceoryx2.Path.new(str(directory))
    return iceoryx2.NodeBuilder.new().config(config).create(iceoryx2.ServiceType.Ipc)


def _service(node: iceoryx2.Node) -> iceoryx2.PortFactoryRequestResponse:
    builder = node.service_builder(iceoryx2.ServiceName.new("statements")).request_response(Bytes, Bytes)
    return builder.max_servers(1).open_or_create()


def _send(client: iceoryx2.Client, content: bytes) -> iceoryx2.PendingResponse:
    request = client.loan_slice_uninit(len(content))
    ctypes.memmove(request.payload().as_ptr(), content, len(content))
    return request.assume_init().send()


def _client(service: iceoryx2.PortFactoryRequestResponse) -> iceoryx2.Client:
    return service.client_builder().initial_max_slice_len(64).create()


def _server(service: iceoryx2.PortFactoryRequestResponse) -> iceoryx2.Server:
    return service.server_builder().initial_max_slice_len(64).create()


def _requests(server: iceoryx2.Server) -> Iterator[bytes]:
    """The contents of the server's queue."""
    while (request := server.receive()) is not None:
        yield bytes(request.payload().as_memory_view())
        request.delete()


def answer(say: Say, directory: Path) -> None:
    """Answer one request after the other; take long when asked to."""
    node = _node(directory)
    server = _server(_service(node))
    say("up")
    while True:
        request = server.receive()
        if request is None:
            sleep(0.001)
            continue
        content = bytes(request.payload().as_memory_view())
        if content == b"slow":
            sleep(BRIEF * 2)
        response = request.loan_slice_uninit(len(content))
        ctypes.memmove(response.payload().as_ptr(), content, len(content))
        response.assume_init().send()
        request.delete()


def _answered(pending: iceoryx2.PendingResponse, patience: float = PATIENCE) -> bool:
    """Whether a response comes in that time."""
    deadline = monotonic() + patience
    while monotonic() < deadline:
        if (response := pending.receive()) is not None:
            response.delete()
            return True
        sleep(0.001)
    return False


def name_has_one_owner(directory: Path) -> Seen:
    """A second server beside the first, one after a kill, and one after a cleanup."""
    first = Other(answer, directory)
    first.said()
    node = _node(directory)
    service = _service(node)
    _, beside = attempt(lambda: _server(service))
    goes_on = _answered(_send(_client(service), b"who"))
    first.kill()
    _, after = attempt(lambda: _server(service))
    service.try_cleanup_dead_nodes()
    _, cleaned = attempt(lambda: _server(service))
    holds = goes_on and bool(beside) and bool(after) and not cleaned
    return Seen(holds=holds, what=f"beside: {beside}; after a kill: {after}; after try_cleanup_dead_nodes: {cleaned or 'it starts'}")


def sends_to_nobody(directory: Path) -> Seen:
    """A request without a server, and requests that a server does not read."""
    node = _node(directory)
    service = _service(node)
    client = _client(service)
    to_nobody = _send(client, b"nobody")
    connections = to_nobody.number_of_server_connections
    to_nobody.delete()
    server = _server(service)
    for number in range(10):
        _send(client, b"%d" % number).delete()
    got = list(_requests(server))
    what = f"without a server: sent to {connections}; of ten requests whose responses nobody awaits the last {len(got)} came"
    return Seen(holds=connections == 0 and got == [b"6", b"7", b"8", b"9"], what=what)


def limits_what_is_under_way(directory: Path) -> Seen:
    """Requests of one client, none of which is answered."""
    node = _node(directory)
    service = _service(node)
    server, client = _server(service), _client(service)
    kept = [_send(client, b"kept") for _ in range(_USUAL)]
    _, refused = attempt(lambda: _send(client, b"one more"))
    came = len(list(_requests(server)))
    return Seen(holds=bool(refused) and came == len(kept), what=f"{came} were sent; the next one: {refused}")


def pend(say: Say, directory: Path) -> None:
    """Have requests under way, and borrow memory."""
    node = _node(directory)
    service = _service(node)
    client = _client(service)
    kept = [_send(client, b"kept") for _ in range(_USUAL)]
    loaned = client.loan_slice_uninit(16)
    say(len(kept) + (loaned is not None))
    sleep(60)


def survives_a_client(directory: Path) -> Seen:
    """A client that is killed with requests under way, and another one."""
    server = Other(answer, directory)
    server.said()
    client = Other(pend, directory)
    client.said()
    client.kill()
    node = _node(directory)
    answered = _answered(_send(_client(_service(node)), b"who"))
    server.kill()
    return Seen(holds=answered, what="the next client was answered")


def slow_holds_up(directory: Path) -> Seen:
    """A slow request of one client, and a request of another."""
    server = Other(answer, directory)
    server.said()
    node = _node(directory)
    service = _service(node)
    one, two = _client(service), _client(service)
    slow = _send(one, b"slow")
    sleep(BRIEF / 5)  # so that it comes first
    quick = _send(two, b"quick")
    late = not _answered(quick, BRIEF)
    slow.delete()
    server.kill()
    return Seen(holds=late, what=f"no answer to the other client within {BRIEF} s: a server is a loop of the program's own")


def only_the_user(directory: Path) -> Seen:
    """The modes of all files of a service."""
    os.umask(0)
    node = _node(directory)
    service = _service(node)
    port = _server(service)
    modes = {stat.S_IMODE(path.stat().st_mode) for path in directory.rglob("*")}
    port.delete()
    return Seen(
        holds=not any(mode & 0o007 for mode in modes), what=f"with the umask 0: {', '.join(f'{mode:#o}' for mode in sorted(modes))}"
    )


def publish(say: Say, directory: Path) -> None:
    """Publish without being asked."""
    node = _node(directory)
    service = node.service_builder(iceoryx2.ServiceName.new("news")).publish_subscribe(Bytes).open_or_create()
    publisher = service.publisher_builder().initial_max_slice_len(64).create()
    say("up")
    while True:
        sample = publisher.loan_slice_uninit(4)
        ctypes.memmove(sample.payload().as_ptr(), b"news", 4)
        sample.assume_init().send()
        sleep(BRIEF / 10)


def speaks_unasked(directory: Path) -> Seen:
    """A client that only listens."""
    server = Other(publish, directory)
    server.said()
    node = _node(directory)
    service = node.service_builder(iceoryx2.ServiceName.new("news")).publish_subscribe(Bytes).open_or_create()
    subscriber = service.subscriber_builder().create()
    deadline = monotonic() + PATIENCE
    while (sample := subscriber.receive()) is None and monotonic() < deadline:
        sleep(0.001)
    heard = bytes(sample.payload().as_memory_view()) if sample else b""
    server.kill()
    return Seen(holds=heard == b"news", what=f"a client that asked nothing got {heard!r}")


STATEMENTS: Final = (
    Statement("with max_servers(1) a name has one owner, and a dead owner's is free after a cleanup", name_has_one_owner),
    Statement("send succeeds without a server, and the oldest requests are dropped when the queue is full", sends_to_nobody),
    Statement("limits on what a client can use are fixed when the service is made", limits_what_is_under_way),
    Statement("a server goes on when a client is killed with requests under way", survives_a_client),
    Statement("one client's slow request holds everybody up, unless the program does something about it", slow_holds_up),
    Statement("a server speaks to clients that asked nothing", speaks_unasked),
    Statement("files of a service are for its user and group only", only_the_user),
)
