"""Every error has one exit status and one line, and the page on the command says which."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import pytest

from ipcfold import ConnectionRefused, DirectoryUnusable, HandlerFailed, Message, NoServer, PeerUntrusted
from ipcfold.cli.output import complain
from ipcfold.cli.status import Absent, Complaint, Misused, Status, Undecoded, sentence, status_of
from tests.cli.support import ECHO, echoing, fails, ipcfold
from tests.environment import ROOT
from tests.shells.support import NAME, PATIENCE, ServerProcess, running
from tests.shells.wire import RECEIVED, Wire, spoken
from tests.test_errors import EXAMPLES

PAGE = ROOT / "docs" / "how-to" / "command-line.md"
OWN: list[Complaint] = [
    Misused("missing command"),
    Absent(NAME, Path("/run/server.sock"), 0.5),
    Undecoded(Message.text("the message does not decode")),
]
ERRORS: list[Complaint] = [*OWN, *(error for error, _ in EXAMPLES)]  # type: ignore[list-item]  # each is one of them
CLASSES = {getattr(member, "__origin__", member) for member in get_args(Complaint)}


def test_there_is_an_example_of_every_error() -> None:
    assert {type(error) for error in ERRORS} == CLASSES


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_every_error_has_a_status_and_one_line(error: Complaint, capsys: pytest.CaptureFixture[str]) -> None:
    assert status_of(error) not in (Status.DONE, Status.INCOMPLETE, Status.INTERRUPTED, Status.UNHEARD, Status.TERMINATED)
    complain(sentence(error))
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("ipcfold: ")
    assert "IPC(" not in line  # there is none in a shell
    if not isinstance(error, NoServer | HandlerFailed | ConnectionRefused | PeerUntrusted | DirectoryUnusable):
        assert line == f"ipcfold: {error}"


def test_the_page_says_which_status_each_error_has() -> None:
    rows = re.findall(r"^\| (\d+) \| (.*?) \| (.*?) \|$", PAGE.read_text(), re.MULTILINE)
    assert [(int(number), meaning) for number, meaning, _ in rows] == [(int(status), status.meaning) for status in Status]
    told = {(name, int(number)) for number, _, names in rows for name in re.findall(r"`(\w+)`", names)}
    assert told == {(type(error).__name__, int(status_of(error))) for error in ERRORS if error not in OWN}


def test_an_error_is_one_line_whatever_is_in_it(capsys: pytest.CaptureFixture[str]) -> None:
    complain("a\n\tb\x1b[31m\r\u2028 \udc80")
    assert capsys.readouterr().err == "ipcfold: a\\n\tb\\x1b[31m\\r\\u2028 \\udc80\n"


def test_a_failing_handler_is_told_with_its_place() -> None:
    def handler() -> None:
        raise KeyError("a\nb")

    with pytest.raises(KeyError) as raised:
        handler()
    text = sentence(HandlerFailed(1, Message.text("x"), raised.value))
    assert text.startswith(f"the handler failed with KeyError('a\\nb') at {__file__}:")
    assert "\n" not in text
    assert sentence(HandlerFailed(1, Message.text("x"), TypeError("no"))).startswith(
        "the handler failed with TypeError('no'): fix it, and start again with --carry"
    )


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (Status.MISUSED, ("ask", "no name", "x")),
        (Status.MISUSED, ("ask", "echo", "x", "--type", "txt")),
        (Status.MISUSED, ("ask", "echo", "x", "--trust", "no such user")),
        (Status.MISUSED, ("list", "--trust", "4294967296")),
        (Status.MISUSED, ("send", "echo", "innmind/ipc:heartbeat")),
        (Status.MISUSED, ("ask", "echo", "x", "--timeout", "-1")),
        (Status.MISUSED, ("ask", "echo", "x", "--wait", "nan")),
        (Status.MISUSED, ("ask", "echo", "x", "--file", "y")),
        (Status.MISUSED, ("bench", "echo", "x", "--size", "3")),
        (Status.MISUSED, ("bench", "echo", "--count", "0")),
        (Status.MISUSED, ("bench", "echo", "--size", "-1")),
        (Status.NO_SERVER, ("ask", "nobody", "x")),
        (Status.NO_SERVER, ("ping", "nobody")),
        (Status.NO_SERVER, ("bench", "nobody")),
        (Status.TIMED_OUT, ("send", "nobody", "x", "--wait", "0")),
        (Status.NAME_TAKEN, ("listen", "echo", "tests.cli.handlers:echo")),
        (Status.DIRECTORY, ("list", "--directory", "/nowhere")),
        (Status.DIRECTORY, ("--directory", "/nowhere", "watch")),
        (Status.DIRECTORY, ("ask", "x" * 300, "x")),
        (Status.TOO_LARGE, ("bench", "echo", "--size", str(2**26 + 1))),
        (Status.TOO_LARGE, ("send", "echo", "--file", "/dev/zero")),
        (Status.SYSTEM, ("ask", "echo", "--file", "/nowhere/content")),
        (Status.SYSTEM, ("ask", "echo", "--file", "/")),
    ],
    ids=lambda words: "-".join(words)[:40] if isinstance(words, tuple) else words.name,
)
def test_an_error_before_anything_is_sent_has_its_status(echo: Path, status: Status, words: tuple[str, ...]) -> None:
    fails(echo, *words, status=status)


@pytest.mark.parametrize(
    ("status", "content"), [(Status.CLOSED, "stop"), (Status.UNACKNOWLEDGED, "raise"), (Status.UNACKNOWLEDGED, "signal")], ids=str
)
def test_an_error_of_the_server_has_its_status(directory: Path, server: ServerProcess, status: Status, content: str) -> None:
    fails(directory, "ask", str(NAME), content, status=status)


def test_a_full_server_has_its_status(directory: Path) -> None:
    with running(directory, "connections=1"), Wire.talking(directory):
        fails(directory, "ask", str(NAME), "ping", status=Status.REFUSED, says="limits.connections")


@pytest.mark.parametrize(
    ("status", "talk"),
    [
        (Status.LOST, lambda wire: wire.greet().expect("ping").write(RECEIVED)),
        (Status.BROKEN, lambda wire: (wire.stream.sendall(b"\0" * 100), wire.expect_end())),
    ],
    ids=["lost", "broken"],
)
def test_an_error_of_another_implementation_has_its_status(directory: Path, status: Status, talk: Callable[[Wire], object]) -> None:
    with spoken(directory, talk):
        fails(directory, "ask", str(NAME), "ping", status=status)


def test_a_dropped_message_has_its_status(directory: Path) -> None:
    with running(directory, "message=100"):
        fails(directory, "ask", str(NAME), "x" * 101, status=Status.UNACKNOWLEDGED, says="limits.message")


def test_a_handler_that_fails_leaves_the_last_good_carry(directory: Path) -> None:
    with echoing(directory, "--carry", "{'a': (1, None)}", "--json", handler="tests.cli.handlers:keep") as server:
        assert ipcfold(directory, "send", str(ECHO), "raise").returncode == Status.UNACKNOWLEDGED
        output, errors = server.communicate(timeout=PATIENCE)
    assert (server.returncode, output) == (Status.HANDLER_FAILED, b'{"a": [1, null]}\n')
    (line,) = errors.decode().splitlines()
    assert "KeyError('a\\nb')" in line
