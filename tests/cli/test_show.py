"""`list` and `watch`: for people in a terminal, for machines elsewhere."""

import json
import os
import pwd
import signal
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from returns.maybe import Nothing

from ipcfold import Name, Peer
from ipcfold.cli.show import _cells, _facts
from ipcfold.cli.status import Status
from ipcfold.local.discovery import ServerInfo
from tests.cli.support import Terminal, in_terminal, ipcfold, started
from tests.environment import ROOT
from tests.shells.support import PATIENCE, running
from tests.shells.wire import Wire

USER = pwd.getpwuid(os.geteuid()).pw_name


def test_list_prints_fields_and_json_into_a_pipe(directory: Path) -> None:
    assert ipcfold(directory, "list").stdout == b""
    assert json.loads(ipcfold(directory, "list", "--json").stdout) == []
    with running(directory, name=Name("b")) as server, Wire.talking(directory, Name("b")), running(directory, name=Name("a")):
        lines = ipcfold(directory, "list").stdout.decode().splitlines()
        assert [line.split("\t")[:4] for line in lines][1] == ["b", str(server.pid), USER, "1"]
        first, second = json.loads(ipcfold(directory, "list", "--json").stdout)
        assert (first["name"], first["connections"]) == ("a", 0)
        since = second.pop("since")
        assert since == lines[1].split("\t")[4]
        assert timedelta() <= datetime.now(UTC) - datetime.fromisoformat(since) < timedelta(minutes=5)
        assert second == {"name": "b", "pid": server.pid, "uid": os.geteuid(), "user": USER, "connections": 1}


def test_list_prints_a_table_in_a_terminal(directory: Path) -> None:
    assert in_terminal(directory, "list") == (0, "nobody listens\n")
    long = Name("n" * 70)
    with running(directory) as server, running(directory, name=long):
        status, shown = in_terminal(directory, "list")
        assert status == 0
        lines = shown.splitlines()
        assert lines[0].split() == ["NAME", "PID", "USER", "CONNECTIONS", "SINCE"]
        assert lines[-1].split()[:4] == ["server", str(server.pid), USER, "0"]
        assert max(map(len, lines)) <= 80
        assert "".join(line.split()[0] for line in lines[1:-1] if line[0] == "n") == str(long)  # over as many lines as it takes


def test_list_shows_what_the_kernel_does_not_tell_as_missing() -> None:
    unknown = ServerInfo(Name("far"), Peer(uid=os.geteuid()), 0.0, Nothing)
    assert (_cells(unknown)[1], _cells(unknown)[3]) == ("-", "-")
    facts = _facts(unknown)
    assert isinstance(facts, dict)
    assert (facts["pid"], facts["connections"]) == (None, None)


@pytest.mark.usefixtures("server")
def test_the_directory_can_be_given_before_and_behind_the_command(directory: Path) -> None:
    for words in (("--directory", directory, "list"), ("list", "--directory", directory), ("list", f"--directory={directory}")):
        assert ipcfold(ROOT, *words).stdout.startswith(b"server\t")


def test_watch_shows_servers_come_in_a_terminal(directory: Path) -> None:
    with Terminal(directory, "watch", "--interval", "0.05") as shown:
        shown.until("nobody listens")
        with running(directory) as server:
            shown.until(f"server  {server.pid}")
        shown.interrupt()
        assert shown.end()[0] == 0
        assert shown.seen.endswith("\x1b[?25h")  # the cursor is there again


def test_watch_that_is_terminated_leaves_the_terminal_in_order(directory: Path) -> None:
    with Terminal(directory, "watch") as shown:
        shown.until("nobody listens")
        shown.process.send_signal(signal.SIGTERM)
        assert shown.end()[0] == Status.TERMINATED
        assert shown.seen.endswith("\x1b[?25h")


def test_watch_in_a_pipe_shows_each_change(directory: Path) -> None:
    plain, machine = started(directory, "watch", "--interval", "0.05"), started(directory, "watch", "--interval", "0.05", "--json")
    assert plain.stdout is not None
    assert machine.stdout is not None
    assert plain.stdout.readline() == b"\n"
    assert json.loads(machine.stdout.readline()) == []
    with running(directory):
        assert plain.stdout.readline().startswith(b"server\t")
        assert plain.stdout.readline() == b"\n"
        assert json.loads(machine.stdout.readline())[0]["name"] == "server"
    for watching in (plain, machine):
        watching.send_signal(signal.SIGINT)
        watching.communicate(timeout=PATIENCE)
        assert watching.returncode == 0


def test_watch_ends_with_the_directory(directory: Path) -> None:
    inner = directory / "inner"
    inner.mkdir(mode=0o700)
    watching = started(directory, "watch", "--interval", "0.05", "--directory", str(inner))
    assert watching.stdout is not None
    assert watching.stdout.readline() == b"\n"
    inner.rmdir()
    _, errors = watching.communicate(timeout=PATIENCE)
    assert (watching.returncode, len(errors.splitlines())) == (Status.DIRECTORY, 1)


def test_watch_ends_as_soon_as_nobody_reads_it(directory: Path) -> None:
    with started(directory, "watch", "--interval", "3600") as watching:
        assert watching.stdout is not None
        assert watching.stdout.readline() == b"\n"
        watching.stdout.close()
        assert watching.wait(PATIENCE) == Status.UNHEARD
