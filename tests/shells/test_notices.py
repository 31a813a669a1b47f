"""A server tells the service manager that its process is ready, lives and stops."""

import signal
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from returns.result import Success

from ipcfold import IPC, Message, Name
from tests.shells.managers import Ear, managed
from tests.shells.support import NAME, PATIENCE, PING, PONG, SERVE

QUICK = {"WATCHDOG_USEC": "200000"}
SILENCE = 1.0  # seconds; five times the interval of the watchdog


@pytest.fixture(params=["path", "abstract"])
def ear(request: pytest.FixtureRequest, directory: Path) -> Iterator[Ear]:
    address = str(directory / "notify") if request.param == "path" else f"@{directory}/notify"
    with closing(Ear(address)) as ear:
        yield ear


@pytest.fixture
def beats(directory: Path) -> Iterator[Ear]:
    with closing(Ear(str(directory / "notify"))) as ear:
        yield ear


def test_a_server_says_that_it_is_ready_and_that_it_stops(directory: Path, ear: Ear) -> None:
    with managed("-m", SERVE, directory, NAME, variables={"NOTIFY_SOCKET": ear.address}) as server:
        assert ear.hear() == "READY=1"
        with IPC(directory).get(NAME).unwrap() as client:
            assert client.ask(PING) == Success(PONG)
            server.send_signal(signal.SIGTERM)
            assert ear.hear() == "STOPPING=1"
        server.communicate(timeout=PATIENCE)
    assert ear.rest() == []


def test_the_server_of_the_command_says_so_too(directory: Path, beats: Ear) -> None:
    words = ("-m", "ipcfold", "listen", "server", "tests.cli.handlers:echo", "--directory", directory)
    with managed(*words, variables={"NOTIFY_SOCKET": beats.address, **QUICK}) as server:
        assert [beats.hear(), beats.hear()] == ["READY=1", "WATCHDOG=1"]
        server.send_signal(signal.SIGTERM)
        server.communicate(timeout=PATIENCE)
    assert beats.rest()[-1] == "STOPPING=1"


def test_a_server_feeds_the_watchdog_while_it_is_idle_and_while_it_is_busy(directory: Path, beats: Ear) -> None:
    with managed("-m", SERVE, directory, NAME, variables={"NOTIFY_SOCKET": beats.address, **QUICK}):
        assert [beats.hear() for _ in range(4)] == ["READY=1", *["WATCHDOG=1"] * 3]
        with IPC(directory).get(NAME).unwrap() as client:
            for _ in range(3):
                while not (heard := beats.rest()):
                    assert client.ask(PING) == Success(PONG)
                assert set(heard) == {"WATCHDOG=1"}


def test_a_stuck_handler_feeds_no_watchdog(directory: Path, beats: Ear, gate: Path) -> None:
    with (
        managed("-m", SERVE, directory, NAME, variables={"NOTIFY_SOCKET": beats.address, **QUICK}),
        IPC(directory).wait(NAME, PATIENCE).unwrap() as client,
        IPC(directory).get(NAME).unwrap() as other,
    ):
        client.ask(Message.text("ping"))
        other.ask(Message.text(f"block {gate}"), 0.0)
        with gate.open("wb"):  # opens once the handler is stuck
            beats.rest()
            assert beats.hear(SILENCE) == ""
        assert beats.hear() == "WATCHDOG=1"


@pytest.mark.parametrize(
    "watchdog",
    [
        {"WATCHDOG_USEC": "100000", "WATCHDOG_PID": "1"},
        {"WATCHDOG_USEC": "0"},
        {"WATCHDOG_USEC": "soon"},
        {"WATCHDOG_USEC": "-5"},
        {"WATCHDOG_PID": "1"},
    ],
)
def test_the_watchdog_of_another_process_and_none_at_all_is_not_fed(directory: Path, beats: Ear, watchdog: dict[str, str]) -> None:
    with managed("-m", SERVE, directory, NAME, variables={"NOTIFY_SOCKET": beats.address, **watchdog}):
        assert beats.hear() == "READY=1"
        assert beats.hear(SILENCE) == ""


PROGRAM = """
import os, subprocess, sys
from ipcfold import IPC, Name
ipc, name = IPC(sys.argv[1]), Name("server")
def stop(message, continuation, carry):
    return continuation.stop(carry + 1)
def fail(message, continuation, carry):
    raise KeyError(carry)
def nest(message, continuation, carry):
    return continuation.stop(ipc.listen(Name("inner"))(carry, stop).unwrap())
def environment(message, continuation, carry):
    names = [line.partition("=")[0] for line in subprocess.run(["env"], capture_output=True, text=True).stdout.splitlines()]
    return continuation.stop([name for name in names if name in ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")])
"""


def test_a_server_that_its_handler_stops_says_so(directory: Path, beats: Ear) -> None:
    told = said(directory, beats, "print(ipc.listen(name)(0, stop), flush=True)")
    assert told == ("<Success: 1>\n", ["READY=1", "STOPPING=1"])


def test_a_server_whose_handler_fails_does_not_say_that_the_process_stops(directory: Path, beats: Ear) -> None:
    told = said(directory, beats, "print(ipc.listen(name)(0, fail).failure().carry, flush=True)")
    assert told == ("0\n", ["READY=1"])


def test_a_server_whose_time_is_over_does_not_say_that_the_process_stops(directory: Path, beats: Ear) -> None:
    told = said(directory, beats, "for _ in range(2):\n    print(ipc.listen(name, 0.01)(0, stop), flush=True)", talk=False)
    assert told == ("<Success: 0>\n" * 2, ["READY=1"] * 2)


def test_a_server_in_the_handler_of_another_does_not_speak_for_the_process(directory: Path, beats: Ear) -> None:
    told = said(directory, beats, "print(ipc.listen(name)(0, nest), flush=True)", inner=True)
    assert told == ("<Success: 1>\n", ["READY=1", "STOPPING=1"])


def test_a_server_on_another_thread_does_not_speak_for_the_process(directory: Path, beats: Ear) -> None:
    told = said(directory, beats, "with ipc.listen(name).start(0, stop) as server:\n    print(server.result(), flush=True)")
    assert told == ("<Success: 1>\n", [])


def test_children_inherit_no_variable_of_the_service_manager(directory: Path, beats: Ear) -> None:
    source = "os.environ['WATCHDOG_PID'] = str(os.getpid())\nprint(ipc.listen(name)(0, environment), flush=True)"
    told = said(directory, beats, source, WATCHDOG_USEC="1000000000")
    assert told == ("<Success: []>\n", ["READY=1", "STOPPING=1"])


@pytest.mark.parametrize("address", ["/nowhere/notify", "/" + "x" * 200, "vsock:2:1234", ""])
def test_a_service_manager_that_is_not_there_ends_no_server(directory: Path, address: str) -> None:
    with managed("-m", SERVE, directory, NAME, variables={"NOTIFY_SOCKET": address, **QUICK}) as server:
        with IPC(directory).wait(NAME, PATIENCE).unwrap() as client:
            assert client.ask(PING) == Success(PONG)
        server.send_signal(signal.SIGTERM)
        output, errors = server.communicate(timeout=PATIENCE)
    assert '"carry": ["ping"]' in output
    assert ("did not take READY=1" in errors) == address.startswith("/")


def said(directory: Path, ear: Ear, source: str, *, talk: bool = True, inner: bool = False, **variables: str) -> tuple[str, list[str]]:
    """What a program prints whose servers get a message each, and what it tells the service manager."""
    with managed("-c", PROGRAM + source, directory, variables={"NOTIFY_SOCKET": ear.address, **variables}) as process:
        if talk:
            with IPC(directory).wait(NAME, PATIENCE).unwrap() as client:
                if inner:
                    client.ask(PING, 0.0)
                    IPC(directory).wait(Name("inner"), PATIENCE).unwrap().send(PING)
                else:
                    client.send(PING)
        output, _ = process.communicate(timeout=PATIENCE)
    return output, ear.rest()
