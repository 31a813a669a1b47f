"""What an observer is told: what happens, in order, once, on the thread that serves; and what it does harms nobody."""

import logging
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
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
from tests.shells.handlers import EMPTY, Log, log
from tests.shells.support import CLOSE, CLOSE_OK, NAME, PATIENCE, RECEIVED, Wire, fifo, running

E = TypeVar("E", Listening, Connected, Refused, Folded, Disconnected, Stopping)


@contextmanager
def served(directory: Path, limits: Limits | None = None) -> Iterator[Running[Log]]:
    """A server of the log."""
    with serving(IPC(directory, limits=limits or Limits())) as serve:
        yield serve(log, EMPTY)


def of(server: Running[Log], kind: type[E]) -> list[E]:
    return [event for event in server.events if isinstance(event, kind)]


def test_a_conversation_is_told_from_beginning_to_end(directory: Path) -> None:
    with served(directory) as server:
        with IPC(directory).get(NAME).unwrap() as process:
            assert process.ask(Message.text("ping")).unwrap() == Message.text("pong")
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
        Folded(NAME, first, Message.text("ping"), (Message.text("pong"),), Outcome.CONTINUE, ping.duration),
        Disconnected(NAME, first, Departure.CLOSED),
        Connected(NAME, second),
        Folded(NAME, second, Message.text("stop-now"), (Message.text("bye"),), Outcome.STOP, stop.duration),
        Stopping(NAME, Ending.STOPPED),
        Disconnected(NAME, second, Departure.DISMISSED),
    ]
    assert 0 <= ping.duration < PATIENCE


@settings(max_examples=15)
@given(st.lists(st.lists(st.sampled_from(["ping", "quiet", "many 3", "close"]), max_size=4), max_size=3))
def test_what_is_folded_is_what_is_told_and_who_comes_goes(conversations: list[list[str]]) -> None:
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


def test_who_goes_without_closing_is_lost(directory: Path) -> None:
    with served(directory) as server:
        Wire.talking(directory).close()
        (gone,) = server.until(Disconnected)
        assert (gone.departure, gone.reason) == (Departure.LOST, "")


def test_who_breaks_the_protocol_is_dropped_and_why_is_told(directory: Path) -> None:
    with served(directory, limits=Limits(message=100)) as server, Wire.talking(directory) as client:
        client.write("x" * 101)
        assert client.ended()
        (gone,) = server.until(Disconnected)
        assert (gone.departure, gone.reason) == (
            Departure.DROPPED,
            "it broke the protocol: a content of 101 bytes is over the limit of 100",
        )


def test_who_is_turned_away_is_told_with_the_reason(directory: Path) -> None:
    with served(directory, limits=Limits(connections=1)) as server:
        with Wire.talking(directory), Wire.to(directory) as second:
            assert second.ended()
            (refused,) = server.until(Refused)
            assert refused.reason == "there are 1 already (limits.connections)"
            assert len(of(server, Connected)) == 1
        server.until(Disconnected)  # else whoever stops it is turned away, too


@pytest.mark.parametrize(("content", "ending"), [("raise", Ending.FAILED), ("nothing", Ending.FAILED), ("interrupt", Ending.INTERRUPTED)])
def test_why_it_ends_is_told_and_what_was_not_folded_is_not(directory: Path, content: str, ending: Ending) -> None:
    with served(directory) as server:
        with Wire.talking(directory) as client:
            client.write("quiet", content)
            assert client.read(2) == f"{RECEIVED},{CLOSE}"
            client.write(CLOSE_OK)
            assert client.ended()
        result = server.stop()
        assert result == Success(("quiet",)) or isinstance(result.failure(), HandlerFailed)
        assert [event.message.content for event in of(server, Folded)] == [b"quiet"]
        assert of(server, Stopping) == [Stopping(NAME, ending)]


def test_a_timeout_is_told(directory: Path) -> None:
    told = list[Event]()
    with ThreadPoolExecutor(1) as pool:
        server = IPC(directory, observe=told.append).listen(NAME, 0.01)
        assert pool.submit(lambda: server(EMPTY, log)).result(PATIENCE) == Success(EMPTY)
    assert told == [Listening(NAME), Stopping(NAME, Ending.TIMED_OUT)]


def test_a_signal_is_told(directory: Path) -> None:
    with running(directory, program="tests.shells.serve_observed") as server:
        assert server.stop() == ["Listening", "Connected", "Disconnected", "Stopping SIGNALLED"]


def test_while_the_handler_runs_nothing_is_told(directory: Path) -> None:
    path, threads = fifo(directory), set[int]()
    with serving(IPC(directory, observe=lambda _: threads.add(threading.get_ident()))) as serve:
        server = serve(log, EMPTY)
        with Wire.talking(directory) as leaving, Wire.talking(directory) as first, Wire.talking(directory) as second:
            for client in (leaving, first, second):
                client.write("ping")
                assert client.read(2) == f"{RECEIVED},pong"
            first.write(f"block {path}")
            with path.open("wb"):  # open: that one is at the handler
                leaving.write("ping", CLOSE)  # to be answered between the two, and written while the second one blocks
                second.write(f"block {path}")
            assert leaving.read(3) == f"{RECEIVED},pong,{CLOSE_OK}"
            assert leaving.ended()
            path.write_bytes(b"")
            assert second.read(2) == f"{RECEIVED},released"
        server.until(Disconnected, 3)
    assert len(threads) == 1
    told = [event.message.content.split()[0] if isinstance(event, Folded) else type(event) for event in server.events]
    assert told[4:11] == [b"ping", b"ping", b"ping", b"block", b"ping", Disconnected, b"block"]


@pytest.mark.parametrize("error", [KeyError("no"), SystemExit(3), KeyboardInterrupt()])
def test_an_observer_that_raises_harms_nobody(directory: Path, caplog: pytest.LogCaptureFixture, error: BaseException) -> None:
    def fail(event: Event) -> None:
        raise error

    with ThreadPoolExecutor(1) as pool, caplog.at_level(logging.ERROR, "ipcfold"):
        result = pool.submit(lambda: IPC(directory, observe=fail).listen(NAME)(EMPTY, log))
        with IPC(directory).wait(NAME, PATIENCE).unwrap() as process:
            assert process.ask(Message.text("ping")).unwrap() == Message.text("pong")
            assert isinstance(process.send(Message.text("stop")), Success)
        assert result.result(PATIENCE) == Success(("ping", "stop"))
    assert caplog.messages[0] == "server goes on, but its observer failed at Listening: mend that function"
    assert len(caplog.messages) == 6  # once for each event


def test_without_an_observer_the_same_is_in_the_log_for_debugging(directory: Path, caplog: pytest.LogCaptureFixture) -> None:
    with ThreadPoolExecutor(1) as pool, caplog.at_level(logging.DEBUG, "ipcfold"):
        result = pool.submit(lambda: IPC(directory).listen(NAME)(EMPTY, log))
        with IPC(directory).wait(NAME, PATIENCE).unwrap() as process:
            peer = process.peer
            assert isinstance(process.send(Message.text("stop")), Success)
        assert result.result(PATIENCE) == Success(("stop",))
    assert caplog.messages == [
        "server listens",
        f"server let connection 1 in, process {peer.pid} of user {peer.uid}",
        "server ends: the handler stopped it",
        f"server has no connection 1 of process {peer.pid}, user {peer.uid}, any more: it was asked to close",
    ]
