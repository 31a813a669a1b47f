"""`log`: what is in a log."""

import json
import os
import signal
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from returns.result import Result, Success

from ipcfold import IPC, Message
from ipcfold.cli import times
from ipcfold.cli.status import Status
from ipcfold.log import SQLiteLog
from ipcfold.log.sqlite import PAGE
from tests.cli.handlers import count
from tests.cli.inside import Command
from tests.cli.support import printed, started
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


def lines(output: str) -> list[list[str]]:
    return [line.split("\t") for line in output.splitlines()]


def test_the_log_of_a_running_server_and_of_a_file_is_the_same(command: Command, directory: Path, server: Child) -> None:
    command.printed("ask", str(NAME), "four")
    shown = lines(command.printed("log", str(directory / "log")))
    assert [line[2] for line in shown][:4] == ["began", "came", "came", "came"]
    assert [line[-1] for line in shown if line[2] == "came"] == ["b'one'", r"b'\xff'", "b'three'", "b'four'"]
    assert [int(line[0]) for line in shown] == list(range(1, len(shown) + 1))
    assert lines(command.printed("log", str(NAME)))[: len(shown)] == shown


def test_the_log_can_be_filtered(command: Command, directory: Path, server: Child) -> None:
    file = str(directory / "log")
    (line,) = lines(command.printed("log", file, "--type", "application/octet-stream"))
    assert line[-2:] == ["application/octet-stream", r"b'\xff'"]
    assert command.printed("log", file, "--peer", "1") == ""
    assert len(lines(command.printed("log", file, "--peer", str(os.getpid())))) >= 3
    assert command.printed("log", file, "--since", "2100-01-01") == ""
    assert len(lines(command.printed("log", file, "-n", "2"))) == 2
    began, first, *_ = lines(command.printed("log", file))
    assert lines(command.printed("log", file, "--until", first[1], "--type", "TEXT/*")) == [first]
    assert command.printed("log", file, "--until", "1999-12-31") == ""
    assert lines(command.printed("log", file, "--since", began[1].replace("T", " "), "--type", "text", "-n", "1"))[0][-1] == "b'three'"
    command.fails("log", file, "--since", "yesterday", status=Status.MISUSED, says="'yesterday' is no time: write a date, a time or")


@given(st.datetimes(datetime(1971, 1, 1), datetime(2100, 1, 1)), st.integers(-12 * 60, 12 * 60))
def test_a_time_is_read_as_people_type_it(moment: datetime, offset: int) -> None:
    zone = timezone(timedelta(minutes=offset))
    known = moment.replace(tzinfo=zone, microsecond=moment.microsecond // 1000 * 1000)
    text = known.isoformat(timespec="milliseconds")
    for form in (text, text.replace("T", " "), text[:-6].replace("T", "  ", 1).replace("  ", " ") + " " + text[-6:], f" {text} "):
        assert times.since(form) == Success(known.timestamp())
        assert times.until(form).unwrap() > known.timestamp()
    utc = moment.replace(microsecond=0)
    for name in ("Z", "z", " UTC", " gmt", "+00:00"):
        assert times.since(f"{utc.isoformat()}{name}") == Success(utc.replace(tzinfo=UTC).timestamp())
    local = utc.astimezone()
    assert times.since(f"{utc:%H:%M:%S}", lambda: utc) == times.since(utc.isoformat()) == Success(local.timestamp())
    day = datetime(utc.year, utc.month, utc.day)
    assert times.since(f"{utc:%Y-%m-%d}") == Success(day.timestamp())
    assert times.until(f"{utc:%Y%m%d}") == Success((day + timedelta(days=1)).timestamp())


@given(st.text())
@example("2026")
@example("2026-01")
@example("9999-12-31")
@example("0001-01-01")
@example("24:00")
def test_a_text_that_is_no_time_is_an_error(text: str) -> None:
    for read in (times.since, times.until):
        assert isinstance(read(text), Result)


def test_the_log_is_json_for_machines(command: Command, directory: Path, server: Child) -> None:
    server.stop()
    server.gone()
    entries = [json.loads(line) for line in command.printed("log", str(directory / "log"), "--json").splitlines()]
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


def test_what_is_no_log_is_told(command: Command, directory: Path, server: Child) -> None:
    (directory / "file").write_bytes(b"no log" * 1000)
    command.fails("log", str(directory / "file"), status=Status.LOG, says="no database of SQLite")
    command.fails("log", "./" + "x" * 300, status=Status.LOG, says="there is no such file")
    command.fails("log", "nobody", status=Status.MISUSED, says="neither a file nor a running server with a log")
    command.fails("replay", "nobody", f"{HANDLERS}:count", status=Status.MISUSED, says="neither a file")
    command.fails("replay", str(directory / "log"), f"{HANDLERS}:count", "--left", "x", status=Status.MISUSED, says="MODULE:HANDLER")
    command.fails("replay", str(directory / "log"), f"{HANDLERS}:count", "--carry", "{", status=Status.MISUSED, says="literal")


def test_what_can_be_read_of_a_damaged_log_is_copied(command: Command, directory: Path, server: Child) -> None:
    path, copy = directory / "log", directory / "copy"
    command.fails("salvage", str(path), str(copy), status=Status.LOG, says=f"process {server.pid} writes to the log")
    server.stop()
    server.gone()
    shown = command.printed("log", str(path))
    path.write_bytes(b"\xff" * PAGE + path.read_bytes()[PAGE:])
    command.fails("log", str(path), status=Status.LOG, says="`ipcfold salvage` copies what can be read of a damaged log")
    assert command.printed("salvage", str(path), str(copy)).splitlines() == [
        "copied: entries 1 to 6",
        "snapshots in the copy: none",
        "missing: no entry",
        "left out, because entries before them are missing: no entry",
    ]
    assert command.printed("log", str(copy)) == shown
    command.fails("salvage", str(path), str(copy), status=Status.LOG, says="there is a file of that name; name a new file")
    told = json.loads(command.printed("salvage", str(path), str(directory / "other"), "--json"))
    assert told == {"copied": [[1, 6]], "snapshots": [], "missing": [], "left_out": []}
