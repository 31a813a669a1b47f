"""`log` and `replay`: what is in a log, and what another handler makes of it."""

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from ipcfold import IPC, Message
from ipcfold.cli.status import Status
from ipcfold.log import SQLiteLog
from tests.cli.handlers import count, echo
from tests.cli.support import fails, ipcfold, printed, started
from tests.shells.children import Child
from tests.shells.support import NAME, PATIENCE

HANDLERS = "tests.cli.handlers"


@pytest.fixture
def server(directory: Path) -> Iterator[Child]:
    """A server with a log, which has folded three messages."""
    log = SQLiteLog.of(directory / "log")
    with Child(lambda _: IPC(directory).listen(NAME, log=log)(0, count)) as child:
        with IPC(directory).wait(NAME, PATIENCE).unwrap() as process:
            for message in (Message.text("one"), Message.octets(b"\xff"), Message.text("three")):
                process.ask(message, PATIENCE).unwrap()
        yield child


def lines(output: bytes) -> list[list[str]]:
    return [line.split("\t") for line in output.decode().splitlines()]


def test_the_log_of_a_running_server_and_of_a_file_is_the_same(directory: Path, server: Child) -> None:
    printed(directory, "ask", str(NAME), "four")
    shown = lines(printed(directory, "log", str(directory / "log")))
    assert [line[2] for line in shown][:4] == ["began", "came", "came", "came"]
    assert [line[-1] for line in shown if line[2] == "came"] == ["b'one'", r"b'\xff'", "b'three'", "b'four'"]
    assert [int(line[0]) for line in shown] == list(range(1, len(shown) + 1))
    assert lines(printed(directory, "log", str(NAME)))[: len(shown)] == shown


def test_the_log_can_be_filtered(directory: Path, server: Child) -> None:
    file = str(directory / "log")
    (line,) = lines(printed(directory, "log", file, "--type", "application/octet-stream"))
    assert line[-2:] == ["application/octet-stream", r"b'\xff'"]
    assert printed(directory, "log", file, "--peer", "1") == b""
    assert len(lines(printed(directory, "log", file, "--peer", str(os.getpid())))) >= 3
    assert printed(directory, "log", file, "--since", "2100-01-01") == b""
    assert len(lines(printed(directory, "log", file, "-n", "2"))) == 2


def test_the_log_is_json_for_machines(directory: Path, server: Child) -> None:
    server.stop()
    server.gone()
    entries = [json.loads(line) for line in printed(directory, "log", str(directory / "log"), "--json").splitlines()]
    assert [entry["kind"] for entry in entries] == ["began", "came", "came", "came", "left", "ended"]
    assert [entry.get("content") or entry.get("base64") for entry in entries[1:4]] == ["one", "/w==", "three"]
    assert entries[-1]["ending"] == "signalled"


def test_the_log_can_be_followed(directory: Path, server: Child) -> None:
    command = started(directory, "log", str(directory / "log"), "--follow", "--type", "text/plain")
    assert command.stdout is not None
    assert [command.stdout.readline().split()[-1] for _ in range(2)] == [b"b'one'", b"b'three'"]
    printed(directory, "ask", str(NAME), "four")
    assert command.stdout.readline().split()[-1] == b"b'four'"
    command.send_signal(signal.SIGINT)
    command.communicate()
    assert command.returncode == Status.DONE


def test_a_replay_prints_the_carry(directory: Path, server: Child) -> None:
    assert printed(directory, "replay", str(directory / "log"), f"{HANDLERS}:count", "--carry", "0") == b"3\n"


def test_a_replay_with_another_handler_prints_the_first_answer_that_differs(directory: Path, server: Child) -> None:
    done = ipcfold(directory, "replay", str(directory / "log"), f"{HANDLERS}:echo", "--carry", "0")
    assert done.returncode == Status.LOG
    place, message, before, *after = done.stdout.decode().splitlines()
    assert place.startswith("@@ entry 2, ")
    assert message == " text/plain b'one'"
    assert before.startswith("-an answer of ")
    assert after == ["+text/plain b'one'", "+continue"]
    assert b"it is not pure, or it was changed" in done.stderr


def test_a_replay_with_a_handler_that_raises_says_so(directory: Path, server: Child) -> None:
    fails(directory, "replay", str(directory / "log"), f"{HANDLERS}:count", "--carry", "[]", status=Status.LOG, says="raises TypeError")


def test_a_replay_goes_on_behind_what_a_server_has_adopted(directory: Path, server: Child) -> None:
    server.stop()
    server.gone()
    log = SQLiteLog.of(directory / "log").map(SQLiteLog.adopting)
    with IPC(directory).listen(NAME, log=log).start(None, echo):
        pass
    assert printed(directory, "replay", str(directory / "log"), f"{HANDLERS}:echo") == b"3\n"


def test_what_is_no_log_is_told(directory: Path, server: Child) -> None:
    (directory / "file").write_bytes(b"no log" * 1000)
    fails(directory, "log", str(directory / "file"), status=Status.LOG, says="no database of SQLite")
    fails(directory, "log", "./" + "x" * 300, status=Status.LOG, says="there is no such file")
    fails(directory, "log", "nobody", status=Status.MISUSED, says="neither a file nor a running server with a log")
    fails(directory, "replay", "nobody", f"{HANDLERS}:count", status=Status.MISUSED, says="neither a file")
    fails(directory, "replay", str(directory / "log"), f"{HANDLERS}:count", "--left", "x", status=Status.MISUSED, says="MODULE:HANDLER")
    fails(directory, "replay", str(directory / "log"), f"{HANDLERS}:count", "--carry", "{", status=Status.MISUSED, says="literal")
