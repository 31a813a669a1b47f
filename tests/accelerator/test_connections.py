"""Connections that the accelerator opens and closes are those of the Python code."""

from __future__ import annotations

import gc
import socket
import sys
import tracemalloc
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from returns.result import Success

from ipcfold import IPC, Continuation, Limits, Message, Peer, Process, accelerated
from ipcfold.accelerator import fast
from ipcfold.blocking.connecting import connected
from ipcfold.core.wire import ACCEPTANCE, CONFIRMATION, FAREWELL, GREETING, Encoder, Signal, encode
from ipcfold.testing.plugin import Serve
from tests.accelerator.builds import NAME, Build
from tests.shells.support import PATIENCE

pytestmark = [
    pytest.mark.skipif(not accelerated, reason="the accelerator is not built"),
    pytest.mark.skipif(sys.platform != "linux", reason="elsewhere Python opens the connections"),
]

LIMITS: Final = Limits(handshake=PATIENCE, drain=PATIENCE)
_FRAMES: Final = st.sampled_from([*(each.frame for each in Signal), encode(Message.text("early")), encode(Message.octets(b"early"))])
_SAID: Final = st.lists(_FRAMES | st.binary(min_size=1, max_size=5), max_size=3).map(b"".join)
_OWN: Final = (list, set, dict, deque)

Carry = tuple[tuple[Peer, ...], tuple[int, ...]]
"""Who is there, and the numbers of those that have left."""
_ALONE: Final[Carry] = ((), ())


def echo(message: Message, continuation: Continuation[int], carry: int) -> Continuation[int]:
    return continuation.respond(carry + 1, message)


def visit(ipc: IPC, message: Message) -> None:
    with ipc.wait(NAME, PATIENCE).unwrap() as process:
        assert process.ask(message).unwrap() == message


def test_a_connection_begins_and_ends_without_python(serve: Serve, ipc: IPC) -> None:
    name = serve(echo, 0).name
    verbs = [IPC._connected, Process.ask, Process.close]  # noqa: SLF001 - the accelerated part of `get` and `wait`

    def taken() -> list[int]:
        return [getattr(verb, "taken") for verb in verbs]  # noqa: B009 - type checkers see functions

    before = taken()
    for message in (Message.text("first"), Message.octets(b"second"), Message.octets(b"third"), Message.text("fourth")):
        with ipc.wait(name, PATIENCE).unwrap() as process:
            assert process.ask(message).unwrap() == message
        assert process.closed
    whole = IPC(ipc.directory, heartbeat=3600, limits=Limits(handshake=3600, drain=3600))  # whole numbers are seconds, too
    with whole.get(name).unwrap() as process:
        assert process.ask(Message.text("fifth")).unwrap() == Message.text("fifth")
    assert [after - once for after, once in zip(taken(), before, strict=True)] == [5, 5, 5]


def test_a_connection_in_the_default_directory_begins_without_python(serve: Serve, ipc: IPC, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IPCFOLD_DIRECTORY", str(ipc.directory))
    before = getattr(connected, "taken")  # noqa: B009 - as above
    IPC().get(serve(echo, 0).name).unwrap().close()
    assert getattr(connected, "taken") == before + 1  # noqa: B009 - as above


def test_a_server_lets_clients_in_and_out_without_python(directory: Path) -> None:
    server = Build(directory, accelerate=True)
    for number in range(3):
        server.connect()
        assert server.settle()[number] == GREETING
        server.send(number, ACCEPTANCE + encode(Message.octets(b"e")))
        server.settle()
        server.send(number, FAREWELL)
        assert server.settle()[number] == CONFIRMATION
        assert not server.facts()
    assert (server.admitted, server.parted, server.folded) == (3, 3, 3)
    server.close()


def test_a_client_that_is_let_in_and_out_without_python_is_told_and_leaves_once(directory: Path) -> None:
    """Each client tells those before it, and `left` tells them again."""
    server = Build(directory, accelerate=True, departures=True)
    message = Message.text("y")

    def told(text: str) -> bytes:
        return b"".join(Encoder(LIMITS).marked((Message.text(text),), 0))

    server.connect()
    server.settle()
    server.send(0, ACCEPTANCE)
    server.settle()
    for number in range(1, 20):
        server.connect()
        server.settle()
        server.send(number, ACCEPTANCE + encode(message))
        assert server.settle()[:1] == [told("y")]
        server.send(number, FAREWELL)
        got = server.settle()
        assert (got[0], got[number]) == (told(f"{number + 1} is gone"), CONFIRMATION)
    assert (server.admitted, server.parted) == (20, 19)
    assert server.result() == Success(19 * 1001)
    server.close()


def test_short_connections_are_told_and_leave_once(ipc: IPC) -> None:
    """One client stays. It is told of each other one, which tells itself, and of its departure."""

    def there(message: Message, continuation: Continuation[Carry], carry: Carry) -> Continuation[Carry]:
        peers, gone = carry
        carry = (*peers, continuation.peer), gone
        for peer in carry[0]:
            continuation = continuation.tell(carry, peer, Message.text(f"{message.content.decode()} is here"))
        return continuation.respond(carry, message)

    def left(peer: Peer, continuation: Continuation[Carry], carry: Carry) -> Continuation[Carry]:
        peers, gone = carry
        carry = tuple(each for each in peers if each != peer), (*gone, peer.connection)
        for each in carry[0]:
            continuation = continuation.tell(carry, each, Message.text("one is gone"))
        return continuation.continue_(carry)

    # The fixture observes its server, which keeps it from the accelerator.
    with ipc.listen(NAME).start(_ALONE, there, left) as server, ipc.wait(NAME, PATIENCE).unwrap() as staying:
        assert staying.ask(Message.text("0")) == Success(Message.text("0"))
        assert staying.wait() == Success(Message.text("0 is here"))
        for number in range(1, 200):
            with ipc.wait(NAME, PATIENCE).unwrap() as process:
                message = Message.text(str(number))
                assert process.ask(message) == Success(message)
                assert process.wait() == Success(Message.text(f"{number} is here"))
            assert [staying.wait().unwrap() for _ in range(2)] == [Message.text(f"{number} is here"), Message.text("one is gone")]
    assert server.result() == Success(((), (*range(2, 201), 1)))


@given(
    greeting=st.just(GREETING) | _SAID | _SAID.map(GREETING.__add__),
    farewell=st.just(CONFIRMATION) | _SAID | _SAID.map(CONFIRMATION.__add__),
)
@example(greeting=GREETING, farewell=b"")
@example(greeting=GREETING[:9], farewell=b"")
@example(greeting=GREETING + FAREWELL, farewell=b"")
@example(greeting=GREETING, farewell=encode(Message.text("late")) + CONFIRMATION)
@example(greeting=GREETING, farewell=FAREWELL)
def test_both_clients_greet_and_close_alike(greeting: bytes, farewell: bytes) -> None:
    """The server says these bytes to each, first and after what the client says at its close, and ends the stream."""
    assert _met(greeting, farewell, accelerate=True) == _met(greeting, farewell, accelerate=False)


def test_connections_share_nothing_that_changes(serve: Serve, ipc: IPC) -> None:
    name = serve(echo, 0).name
    processes = [ipc.get(name).unwrap() for _ in range(3)]
    owned = [{id(part) for part in _parts(process._driver)} for process in processes]  # noqa: SLF001 - no verb tells of it
    assert [len(parts) for parts in owned] == [len(owned[0])] * 3
    assert not set.intersection(*owned)
    for process in processes:
        process.close()


def test_the_ends_of_a_server_share_nothing_that_changes(directory: Path) -> None:
    ends = []
    for accelerate in (True, False):
        (place := directory / str(accelerate)).mkdir(mode=0o700)
        server = Build(place, accelerate=accelerate)
        for _ in range(2):
            server.connect()
            server.settle()
        ends.append(list(server.core._ends.values()))  # noqa: SLF001 - no byte tells of it
        server.close()
    fast, python = ends
    owned = [{id(part) for part in _parts(end)} for end in fast]
    assert not set.intersection(*owned)
    assert _values(fast[0]) == _values(python[0])


def test_connections_leak_nothing(directory: Path) -> None:
    ipc = IPC(directory, limits=LIMITS)

    def run(times: int) -> tuple[list[int], int]:
        """How often what all connections share is held after so many, and how much memory is left when their server is gone.

        While it is there, it keeps outdated times of some of the last ones, and how many depends on how fast it is.
        """
        server = Build(directory, accelerate=True)
        for _ in range(times):
            talk = thread.submit(visit, ipc, Message.octets(b"e"))
            while not talk.done():
                server.settle()
            talk.result()
        assert server.admitted > 0
        server.close()
        watched = [Message.text("x").media_type, Signal.CLOSE, LIMITS, server.engine, server.core.shared, server.core, True, None]
        references = [sys.getrefcount(each) for each in watched]
        del server, watched, talk
        gc.collect()
        return references, tracemalloc.get_traced_memory()[0]

    with ThreadPoolExecutor(1) as thread:
        tracemalloc.start()
        try:
            run(1000)  # it reads modules and fills caches
            few = run(200)
            many = run(2000)
        finally:
            tracemalloc.stop()
    assert all(abs(after - before) < 100 for before, after in zip(few[0], many[0], strict=True))
    assert many[1] - few[1] < 40_000  # bytes, of 2,000 connections; the smallest object of Python takes 24


@contextmanager
def _built(*, accelerate: bool) -> Iterator[None]:
    before = fast.enable(accelerate)
    try:
        yield
    finally:
        fast.enable(before)


def _met(greeting: bytes, farewell: bytes, *, accelerate: bool) -> tuple[str, str, bytes, object]:
    """How connecting and closing end, what the server got, and the state of the client."""
    with TemporaryDirectory() as directory, socket.socket(socket.AF_UNIX) as listener, ThreadPoolExecutor(1) as thread:
        listener.bind(f"{directory}/{NAME}.sock")
        listener.listen()
        said = thread.submit(_said, listener, greeting, farewell)
        with _built(accelerate=accelerate):
            found = IPC(directory, limits=LIMITS).get(NAME)
            process = found.value_or(None)
            closed = "" if process is None else str(process.close())
            state = None if process is None else (process.closed, process._driver.connection.state)  # noqa: SLF001 - compared in full
        return str(found).replace(directory, ""), closed.replace(directory, ""), said.result(), state


def _said(listener: socket.socket, greeting: bytes, farewell: bytes) -> bytes:
    client, _ = listener.accept()
    with client:
        client.sendall(greeting)
        if not greeting.startswith(GREETING) or len(greeting) > len(GREETING):
            client.shutdown(socket.SHUT_WR)
        got = b""
        try:
            while not got.endswith(FAREWELL) and (data := client.recv(1024)):
                got += data
            client.sendall(farewell)
        except OSError:  # the client has closed
            pass
        return got


def _parts(part: object) -> Iterator[object]:
    """The empty containers of a connection and of its parts, and these parts."""
    for slot in getattr(type(part), "__slots__", ()):
        value = getattr(part, slot)
        if isinstance(value, _OWN) and not value:  # what has something in it now, as a row of the protocol, is shared
            yield value
        elif type(value).__name__ in {"ClientConnection", "Encoder", "Decoder", "Outbox"}:
            yield value
            yield from _parts(value)


def _values(part: object) -> object:
    """All values of a connection, without the times and what the whole server has."""
    slots = set(getattr(type(part), "__slots__", ())) - {"_since", "due", "peer", "_shared"}
    values = {slot: getattr(part, slot) for slot in slots}
    return {slot: _values(value) if type(value).__name__ in {"Decoder", "Outbox"} else value for slot, value in values.items()}
