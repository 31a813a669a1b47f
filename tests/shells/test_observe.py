"""What an observer is told: what happens, in order, once, on the thread that serves; and what it does harms nobody."""

import logging
import os
import signal
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from returns.result import Failure, Success

from ipcfold import IPC, HandlerFailed, Limits, Message, Outcome
from ipcfold.events import Connected, Departure, Disconnected, Ending, Event, Folded, Listening, Refused, Stopping
from ipcfold.testing.plugin import Running, serving
from tests.shells.children import Child
from tests.shells.handlers import EMPTY, Log, log
from tests.shells.support import NAME, PATIENCE, PING, PONG, beside, fifo, sent
from tests.shells.wire import CLOSE, CLOSE_OK, RECEIVED, Wire

E = TypeVar("E", Listening, Connected, Refused, Folded, Disconnected, Stopping)


@contextmanager
def served(directory: Path, limits: Limits | None = None) -> Iterator[Running[Log]]:
    with serving(IPC(directory, limits=limits or Limits())) as serve:
        yield serve(log, EMPTY)


def of(server: Running[Log], kind: type[E]) -> list[E]:
    return [event for event in server.events if isinstance(event, kind)]


def test_an_observer_is_told_every_event_of_a_conversation(directory: Path) -> None:
    with served(directory) as server:
        with IPC(directory).get(NAME).unwrap() as process:
            assert process.ask(PING).unwrap() == PONG
        server.until(Disconnected)
        other = IPC(directory).get(NAME).unwrap()
        assert isinstance(other.send(Message.text("stop-now")), Success)
        assert other.wait() == Success(Message.text("bye"))
        assert isinstance(other.wait(), Failure)
        assert server.stop() == Success(("ping", "stop-now"))
    first, second = (event.peer for event in of(server, Connected))
    (ping, stop) = of(server, Folded)
    assert (first.connection, second.connection) == (1, 2)
    assert server.events == [
        Listening(NAME),
        Connected(NAME, first),
        Folded(NAME, first, PING, (PONG,), Outcome.CONTINUE, ping.duration),
        Disconnected(NAME, first, Departure.CLOSED),
        Connected(NAME, second),
        Folded(NAME, second, Message.text("stop-now"), (Message.text("bye"),), Outcome.STOP, stop.duration),
        Stopping(NAME, Ending.STOPPED),
        Disconnected(NAME, second, Departure.DISMISSED),
    ]
    assert 0 <= ping.duration < PATIENCE


@settings(max_examples=15)
@given(st.lists(st.lists(st.sampled_from(["ping", "quiet", "many 3", "close"]), max_size=4), max_size=3))
def test_an_observer_is_told_each_message_and_each_connection_and_its_end(conversations: list[list[str]]) -> None:
    with tempfile.TemporaryDirectory(prefix="ipc") as directory:
        with served(Path(directory)) as server:
            for contents in conversations:
                with IPC(directory).get(NAME).unwrap() as process:
                    for content in contents:
                        process.send(Message.text(content))
        carry = server.stop().unwrap()
        assert tuple(event.message.content.decode() for event in of(server, Folded)) == carry
        assert [event.peer for event in of(server, Connected)] == [event.peer for event in of(server, Disconnected)]
        assert all(event.departure in {Departure.CLOSED, Departure.DISMISSED} for event in of(server, Disconnected))


def test_a_client_that_leaves_without_closing_is_lost(directory: Path) -> None:
    with served(directory) as server:
        Wire.talking(directory).close()
        (gone,) = server.until(Disconnected)
        assert (gone.departure, gone.reason) == (Departure.LOST, "")


def test_an_observer_is_told_why_a_client_is_dropped(directory: Path) -> None:
    with served(directory, limits=Limits(message=100)) as server, Wire.talking(directory) as client:
        client.write("x" * 101).expect_end()
        (gone,) = server.until(Disconnected)
        assert gone.departure is Departure.DROPPED
        assert gone.reason == "it broke the protocol: a content of 101 bytes is over the limit of 100"


def test_an_observer_is_told_why_a_client_is_refused(directory: Path) -> None:
    with served(directory, limits=Limits(connections=1)) as server:
        with Wire.talking(directory), Wire.to(directory) as second:
            second.expect_end()
            (refused,) = server.until(Refused)
            assert refused.reason == "there are 1 already (limits.connections)"
            assert len(of(server, Connected)) == 1
        server.until(Disconnected)  # else whoever stops it is turned away, too


@pytest.mark.parametrize(("content", "ending"), [("raise", Ending.FAILED), ("nothing", Ending.FAILED), ("interrupt", Ending.INTERRUPTED)])
def test_an_observer_is_told_why_a_server_ends_and_only_of_folded_messages(directory: Path, content: str, ending: Ending) -> None:
    with served(directory) as server:
        with Wire.talking(directory) as client:
            client.write("quiet", content).expect(RECEIVED, CLOSE).write(CLOSE_OK).expect_end()
        result = server.stop()
        assert result == Success(("quiet",)) or isinstance(result.failure(), HandlerFailed)
        assert [event.message.content for event in of(server, Folded)] == [b"quiet"]
        assert of(server, Stopping) == [Stopping(NAME, ending)]


def test_an_observer_is_told_that_the_timeout_ends_a_server(directory: Path) -> None:
    told = list[Event]()
    assert IPC(directory, observe=told.append).listen(NAME, 0.01)(EMPTY, log) == Success(EMPTY)
    assert told == [Listening(NAME), Stopping(NAME, Ending.TIMED_OUT)]


def test_an_observer_is_told_that_a_signal_ends_a_server(directory: Path) -> None:
    def serve(_: object) -> object:
        told = list[Event]()
        IPC(directory, observe=told.append).listen(NAME)(EMPTY, log).unwrap()
        return [event.ending.name if isinstance(event, Stopping) else type(event).__name__ for event in told]

    with Child(serve) as server:
        IPC(directory).wait(NAME, PATIENCE).unwrap().close()
        server.signal(signal.SIGTERM)
        assert server.result() == str(["Listening", "Connected", "Disconnected", "SIGNALLED"])


def test_an_observer_is_told_nothing_while_the_handler_runs(directory: Path) -> None:
    path, threads = fifo(directory), set[int]()
    with serving(IPC(directory, observe=lambda _: threads.add(threading.get_ident()))) as serve:
        server = serve(log, EMPTY)
        with Wire.talking(directory) as leaving, Wire.talking(directory) as first, Wire.talking(directory) as second:
            for client in (leaving, first, second):
                client.ping()
            first.write(f"block {path}")
            with path.open("wb"):  # open: that one is at the handler
                leaving.write("ping", CLOSE)  # to be answered between the two, and written while the second one blocks
                second.write(f"block {path}")
            leaving.expect(RECEIVED, "pong", CLOSE_OK).expect_end()
            path.write_bytes(b"")
            second.expect(RECEIVED, "released")
        server.until(Disconnected, 3)
    assert len(threads) == 1
    told = [event.message.content.split()[0] if isinstance(event, Folded) else type(event) for event in server.events]
    assert told[4:11] == [b"ping", b"ping", b"ping", b"block", b"ping", Disconnected, b"block"]


@pytest.mark.parametrize("error", [KeyError("no"), SystemExit(3), KeyboardInterrupt()])
def test_a_server_goes_on_when_its_observer_raises(directory: Path, caplog: pytest.LogCaptureFixture, error: BaseException) -> None:
    def fail(event: Event) -> None:
        raise error

    def converse() -> None:
        with IPC(directory).wait(NAME, PATIENCE).unwrap() as process:
            assert process.ask(PING).unwrap() == PONG
            assert isinstance(process.send(Message.text("stop")), Success)

    with caplog.at_level(logging.ERROR, "ipcfold"), beside(converse):
        assert IPC(directory, observe=fail).listen(NAME, PATIENCE)(EMPTY, log) == Success(("ping", "stop"))
    assert caplog.messages[0] == "server goes on, but its observer failed at Listening: mend that function"
    assert len(caplog.messages) == 6  # once for each kind of event, and the count of the other one
    assert "server: 1 more failures of the observer at Folded within a second" in caplog.messages


def test_a_server_without_an_observer_logs_its_events_for_debugging(directory: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, "ipcfold"), beside(lambda: sent(directory, "stop").unwrap()):
        assert IPC(directory).listen(NAME, PATIENCE)(EMPTY, log) == Success(("stop",))
    pid = os.getpid()
    assert caplog.messages == [
        "server listens",
        f"server let connection 1 in, process {pid} of user {os.geteuid()}",
        "server ends: the handler stopped it",
        f"server has no connection 1 of process {pid}, user {os.geteuid()}, any more: it was asked to close",
    ]
