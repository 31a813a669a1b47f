"""What all commands have in common: help, wrong arguments, outputs that are gone, completion, and a short start."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest

from ipcfold.accelerator import accelerated
from ipcfold.cli.app import app
from ipcfold.cli.printable import printable
from ipcfold.cli.status import Status
from ipcfold.version import VERSION
from tests.cli.support import ECHO, complaint, completion, environment, fails, in_terminal, ipcfold, printed, started
from tests.environment import ROOT
from tests.shells.support import PATIENCE, python

COMMANDS = ("list", "watch", "where", "ask", "send", "listen", "log", "replay", "salvage", "ping", "bench", "demo", "completion")


def test_help_tells_of_the_commands_and_the_statuses(directory: Path) -> None:
    done = ipcfold(directory, "--help")
    text = done.stdout.decode()
    assert (done.returncode, done.stderr) == (0, b"")
    assert "\x1b" not in text
    assert "│" not in text
    assert all(f"  {command}: " in text for command in COMMANDS)
    words = " ".join(text.split())
    assert all(f"{status:d} {status.name.lower().replace('_', ' ')}" in words for status in Status)


@pytest.mark.parametrize("command", [(), *((command,) for command in COMMANDS)], ids=str)
def test_help_fits_in_80_columns(directory: Path, command: tuple[str, ...]) -> None:
    status, shown = in_terminal(directory, *command, "--help")
    assert (status, max(map(len, shown.splitlines()))) == (0, 80)
    assert "Usage: ipcfold" in shown


@pytest.mark.parametrize(
    "words",
    [
        ("dance",),
        ("demo", "--fast"),
        ("ask",),
        ("ask", "a", "b", "c"),
        ("list", "--directory"),
        ("ping", "a", "--count", "x"),
        ("\n\x1b[31m",),
        ("list", "--\x9b\n"),
    ],
    ids=ascii,
)
def test_a_wrong_argument_gets_one_line(directory: Path, words: tuple[str, ...]) -> None:
    fails(directory, *words, status=Status.MISUSED, says="--help")


@pytest.mark.parametrize("words", [(), ("--directory", "/nowhere")], ids=str)
def test_the_command_alone_prints_its_help(directory: Path, words: tuple[str, ...]) -> None:
    done = ipcfold(directory, *words)
    assert (done.returncode, done.stderr) == (Status.MISUSED, b"")
    assert done.stdout == ipcfold(directory, "--help").stdout
    status, shown = in_terminal(directory, *words)
    assert (status, "Usage: ipcfold COMMAND" in shown) == (Status.MISUSED, True)


@pytest.mark.parametrize("option", ["--version", "-V"])
def test_the_option_version_prints_the_version_and_the_build(directory: Path, option: str) -> None:
    build = "accelerated" if accelerated else "pure Python"
    assert printed(directory, option).decode() == f"{version('ipcfold')} ({build})\n"


def test_the_version_of_the_package_is_that_of_its_metadata() -> None:
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert declared == VERSION == version("ipcfold")


def test_the_command_says_how_to_install_its_extra() -> None:
    for missing in ("cyclopts", "rich"):
        program = f"import sys; sys.modules['{missing}'] = None; from ipcfold.cli import main; sys.argv[1:] = ['--help']; sys.exit(main())"
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=PATIENCE, check=False)
        assert (done.returncode, "pip install 'ipcfold[cli]'" in complaint(done)) == (Status.INCOMPLETE, True)


def test_a_command_whose_module_cannot_be_read_says_so() -> None:
    program = "import sys; from ipcfold.cli.app import run; sys.modules['ipcfold.cli.show'] = None; sys.exit(run(['list']))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=PATIENCE, check=False)
    assert (done.returncode, "could not load the command" in complaint(done)) == (Status.SYSTEM, True)


def test_an_output_that_the_system_refuses_to_prepare_is_told() -> None:
    program = (
        "import errno, io, os, sys; from ipcfold.cli.app import run\n"
        "class Output(io.TextIOWrapper):\n"
        "    def reconfigure(self, **_): raise OSError(errno.EIO, os.strerror(errno.EIO))\n"
        "sys.stdout = Output(sys.stdout.buffer); sys.exit(run(['list']))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=PATIENCE, check=False)
    assert (done.returncode, "could not write to the standard output" in complaint(done)) == (Status.SYSTEM, True)


def test_a_list_into_a_pipe_imports_nothing_for_a_terminal(directory: Path) -> None:
    program = "import sys; from ipcfold.cli.app import run; run(['list']); sys.exit(any(name in sys.modules for name in sys.argv[1:]))"
    slow = ("rich", "asyncio", "multiprocessing", "cyclopts.help", "importlib.metadata", "ipcfold.blocking.loop", "ipcfold.cli.bench")
    python("-c", program, *slow, environment=environment(directory))


@pytest.mark.parametrize(
    "words", [("ask", "echo", "x"), ("list",), (), ("-V",), ("--help",), ("ping", "echo", "--count", "1"), ("demo",)], ids=str
)
def test_an_output_that_nobody_reads_ends_the_command_silently(echo: Path, words: tuple[str, ...]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = ipcfold(echo, *words, stdout=writing)
    os.close(writing)
    assert (done.returncode, done.stderr) == (Status.UNHEARD, b"")


@pytest.mark.parametrize("unbuffered", ["", "1"], ids=["buffered", "unbuffered"])
def test_a_full_output_is_reported(echo: Path, unbuffered: str) -> None:
    with Path("/dev/full").open("wb") as full:
        for words in (("ask", "echo", "x"), ("list",), ("bench", "echo", "--count", "1")):
            done = ipcfold(echo, *words, stdout=full, PYTHONUNBUFFERED=unbuffered)
            assert (done.returncode, len(done.stderr.splitlines())) == (Status.SYSTEM, 1)


@pytest.mark.parametrize("unbuffered", ["", "1"], ids=["buffered", "unbuffered"])
@pytest.mark.parametrize(("name", "status"), [("echo", Status.DONE), ("nobody", Status.NO_SERVER)])
def test_closed_or_full_streams_change_no_status(echo: Path, name: str, status: Status, unbuffered: str) -> None:
    variables = environment(echo, PYTHONUNBUFFERED=unbuffered)
    for closed in ("<&- 2>/dev/null", ">&- 2>/dev/null", "2>&-", "2>/dev/full"):
        shell = f'"{sys.executable}" -m ipcfold send {name} x {closed}'
        assert subprocess.run(["/bin/sh", "-c", shell], env=variables, cwd=ROOT, timeout=PATIENCE, check=False).returncode == status


def test_the_output_has_no_colours_where_they_are_not_wanted(echo: Path) -> None:
    for others in ({"NO_COLOR": "1"}, {"TERM": "dumb"}):
        status, shown = in_terminal(echo, "list", **others)
        assert (status, "echo" in shown) == (0, True)


def test_printable_text_is_left_as_it_is() -> None:
    assert printable("ä\t漢\n") == "ä\t漢\n"
    assert printable("\r\x0b\u2028") == "\\r\\x0b\\u2028"
    assert printable("\x00\x7f\x85\u202e\ud800") == "\\x00\\x7f\\x85\\u202e\\ud800"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_a_script_for_each_shell(shell: str, directory: Path) -> None:
    done = printed(directory, "completion", shell)
    assert all(command in done.decode() for command in COMMANDS)
    if shutil.which(shell) is not None:
        subprocess.run([shell, "-n"], input=done, check=True, timeout=PATIENCE)


def test_the_page_names_the_file_of_zsh_as_zsh_looks_for_it(directory: Path) -> None:
    """By the name of the function in it, and a file of another name is passed over in silence."""
    page = (ROOT / "docs" / "how-to" / "command-line.md").read_text()
    named = re.search(r"^ipcfold completion zsh > \S+/(\w+) ", page, re.MULTILINE)
    defined = re.search(r"^(\w+)\(\)", ipcfold(directory, "completion", "zsh").stdout.decode(), re.MULTILINE)
    assert named is not None
    assert defined is not None
    assert named[1] == defined[1]


def test_bash_completes_commands_options_and_the_names_of_servers(echo: Path) -> None:
    completed = completion(echo)
    assert completed("ipcfold", "li") == ["list", "listen"]
    assert completed("ipcfold", "ask", "") == [str(ECHO)]
    assert completed("ipcfold", "bench", "echo", "--verb", "") == ["send", "ask"]
    assert "--timeout" in completed("ipcfold", "ask", "echo", "--t")
    assert completed("ipcfold", "--directory", "/nowhere", "ask", "") == []


def test_the_commands_are_these() -> None:
    assert tuple(command for command in app if not command.startswith("-")) == COMMANDS


def test_the_demo_shows_each_exchange_and_the_carry(directory: Path) -> None:
    told, *exchange, carried = printed(directory, "demo").decode().splitlines()
    assert told.startswith("One server process counts")
    assert len(exchange) == 15  # so few that they are read
    got = sorted(line.partition("-> ")[2] for line in exchange if "->" in line)
    assert got == sorted(line.rpartition(": ")[2] for line in exchange if "answers process" in line)
    assert sum("sent 12 messages: they are acknowledged" in line for line in exchange) == 3
    assert carried.startswith("the server carried 42: each of the 3 x 14 messages")


def test_ctrl_c_ends_the_demo_and_its_processes(directory: Path) -> None:
    showing = started(directory, "demo", group=True)
    assert showing.stdout is not None
    assert showing.stdout.readline().startswith(b"One server process")
    assert b", process " in showing.stdout.readline()
    os.killpg(showing.pid, signal.SIGINT)
    _, errors = showing.communicate(timeout=PATIENCE)  # which lasts until the last of them has let go of the pipe
    assert errors == b""
    assert showing.returncode in (Status.INTERRUPTED, Status.DONE)  # done if it was faster


def test_the_demo_prints_json(directory: Path) -> None:
    *lines, last = map(json.loads, ipcfold(directory, "demo", "--json").stdout.splitlines())
    assert (len(lines), last) == (15, {"carried": 42})
    assert {"who", "pid", "what"} == set(lines[0])
