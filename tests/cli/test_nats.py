"""The command over NATS."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ipcfold import Name
from ipcfold.cli.status import Status
from ipcfold.nats import NATS
from tests.cli.handlers import count
from tests.cli.support import complaint, completion, fails, printed, started
from tests.nats.broker import Broker, broker
from tests.shells.support import PATIENCE


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """A broker."""
    with broker(tmp_path_factory.mktemp("broker")) as running:
        yield running


@contextmanager
def listening(directory: Path, url: str, name: str, handler: str = "echo") -> Iterator[subprocess.Popen[bytes]]:
    """`ipcfold listen` over NATS, up."""
    server = started(directory, "--nats", url, "listen", name, f"tests.cli.handlers:{handler}", "--carry", "0")
    try:
        NATS(url).wait(Name(name), PATIENCE).unwrap().close()
        yield server
    finally:
        server.kill()
        server.communicate()


def test_servers_and_clients_meet_at_a_broker(directory: Path, one: Broker) -> None:
    over = "--nats", one.url
    fails(directory, *over, "ask", "meet", "hello", status=Status.NO_SERVER, says="nobody listens")
    with listening(directory, one.url, "meet") as server:
        assert printed(directory, *over, "ask", "meet", "hello") == b"hello"
        assert printed(directory, *over, "send", "meet", "hello", "--timeout", "100") == b""
        server.send_signal(signal.SIGTERM)
        assert server.communicate(timeout=PATIENCE)[0] == b"2\n"
    fails(directory, *over, "ask", "meet", "hello", "--wait", "0.1", status=Status.TIMED_OUT, says="did not come")


def test_list_and_watch_show_the_names_at_a_broker(directory: Path, one: Broker) -> None:
    over = "--nats", one.url
    assert printed(directory, *over, "list") == b""
    with listening(directory, one.url, "shown"):
        assert printed(directory, *over, "list") == b"shown\t-\t-\t-\t-\n"
        unknown = {"pid": None, "uid": None, "user": None, "connections": None, "since": None}
        assert json.loads(printed(directory, *over, "list", "--json")) == [{"name": "shown", **unknown}]
        assert completion(directory)("ipcfold", "--nats", one.url, "ask", "") == ["shown"]
        watching = started(directory, *over, "watch", "--interval", "0.01")
        assert watching.stdout is not None
        assert [watching.stdout.readline() for _ in range(2)] == [b"shown\t-\t-\t-\t-\n", b"\n"]
        with NATS(one.url).listen(Name("later")).start(0, count):
            shown = [watching.stdout.readline() for _ in range(3)]
            assert shown == [b"later\t-\t-\t-\t-\n", b"shown\t-\t-\t-\t-\n", b"\n"]
        watching.send_signal(signal.SIGINT)
        assert watching.communicate(timeout=PATIENCE)[1] == b""
        assert watching.returncode == Status.DONE


def test_ping_and_bench_measure_a_server_at_a_broker(directory: Path, one: Broker) -> None:
    over = "--nats", one.url
    with listening(directory, one.url, "measured"):
        pinged = printed(directory, *over, "ping", "measured", "--count", "1").decode().splitlines()
        assert "process" not in pinged[0]
        assert json.loads(printed(directory, *over, "ping", "measured", "--count", "1", "--json").splitlines()[0])["pid"] is None
        measured = json.loads(printed(directory, *over, "bench", "measured", "--count", "3", "--json"))
        assert (measured["verb"], measured["count"]) == ("send", 3)


def test_a_handler_that_fails_over_nats_is_told_of_with_what_to_do_there(directory: Path, one: Broker) -> None:
    with listening(directory, one.url, "failing", "keep") as server:
        fails(directory, "--nats", one.url, "ask", "failing", "raise", status=Status.UNACKNOWLEDGED, says="start the server again")
        printed_last, told = server.communicate(timeout=PATIENCE)
        assert printed_last == b"0\n"
        assert b"start the server again, which folds what is stored" in told
        assert server.returncode == Status.HANDLER_FAILED


@pytest.mark.parametrize("command", [("where",), ("log", "a.log"), ("replay", "a.log", "m:f"), ("demo",), ("completion", "bash")])
def test_a_command_that_is_for_sockets_alone_says_so(directory: Path, command: tuple[str, ...]) -> None:
    fails(directory, "--nats", "nats://a", *command, status=Status.MISUSED, says=f"{command[0]} does not work over NATS: it")


def test_the_command_says_how_to_install_the_extra_for_nats() -> None:
    words = ["--nats", "nats://a", "list"]
    program = f"import sys; sys.modules['nats'] = None; from ipcfold.cli import main; sys.argv[1:] = {words}; sys.exit(main())"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=PATIENCE, check=False)
    assert (done.returncode, "pip install 'ipcfold[nats]'" in complaint(done)) == (Status.INCOMPLETE, True)


def test_wrong_options_of_brokers_are_misused(directory: Path) -> None:
    fails(directory, "--nats", "", "list", status=Status.MISUSED, says="at least one address")
    fails(directory, "--nats", "nats://a", "--inbox", "in.box", "list", status=Status.MISUSED, says="'inbox' must match")
    fails(directory, "--nats", "nats://a", "--replicas", "6", "list", status=Status.MISUSED, says="'replicas' must be")
    fails(directory, "--nats", "nats://127.0.0.1:1", "list", status=Status.BROKER, says="no broker can be reached")
