"""`listen`: a handler from a module, a carry from the arguments, and the carry at the end."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from returns.result import Result

from ipcfold import IPC, Message
from ipcfold.cli.listen import imported, literal
from ipcfold.cli.status import Status
from tests.cli.support import ECHO, Terminal, echoing, fails, ipcfold, printed
from tests.shells.support import PATIENCE

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(st.text(), inner),
)


@given(VALUES)
def test_a_python_literal_is_what_it_says(value: object) -> None:
    assert literal(repr(value)).unwrap() == value


@given(st.recursive(st.none() | st.booleans() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
def test_a_json_text_is_what_it_says(value: object) -> None:
    assert literal(json.dumps(value)).unwrap() == value


@given(st.text())
def test_no_text_makes_the_parser_of_literals_raise(text: str) -> None:
    assert isinstance(literal(text), Result)


@pytest.mark.parametrize("text", ["hello", "", "[", "f()", "(" * 10_000, "[" * 100_000, "1" * 10_000, "{[]: 1}"])
def test_a_text_that_is_no_literal_is_an_error(text: str) -> None:
    assert "is neither a Python literal nor JSON" in str(literal(text).failure())


@pytest.mark.parametrize(
    "path", ["", "module", ":f", "module:", "tests.cli.handlers:none", "tests.none:f", "tests.cli.handlers:NUMBER", "a b:c"]
)
def test_a_path_that_names_no_handler_is_an_error(path: str) -> None:
    assert imported(path).failure()


@pytest.mark.parametrize("source", ["def f(", "raise SystemExit(3)", "import nothing_of_that_name", "1 / 0"])
def test_a_module_that_cannot_be_imported_is_an_error(directory: Path, source: str) -> None:
    (directory / "broken.py").write_text(source)
    fails(directory, "listen", "name", "broken:f", PYTHONPATH=str(directory), status=Status.MISUSED, says="broken:f cannot be imported")


def test_listen_finds_a_handler_in_the_working_directory(directory: Path) -> None:
    script = Path(sys.executable).with_name("ipcfold")
    assert script.exists()  # which, unlike `python -m`, does not look there by itself
    (directory / "mine.py").write_text("def handler(message, continuation, carry):\n    return continuation.stop(carry + 1)\n")
    with subprocess.Popen(
        [script, "listen", "mine", "mine:handler", "--carry", "41", "--directory", directory], cwd=directory, stdout=-1
    ) as server:
        assert ipcfold(directory, "send", "mine", "x", "--wait", str(PATIENCE)).returncode == 0
        assert server.communicate(timeout=PATIENCE)[0] == b"42\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_listen_with_the_carry(directory: Path, number: signal.Signals) -> None:
    with echoing(directory) as server:
        assert ipcfold(directory, "send", "echo", "one").returncode == 0
        server.send_signal(number)
        assert server.communicate(timeout=PATIENCE) == (b"1\n", b"")
        assert server.returncode == 0


@pytest.mark.parametrize(
    ("content", "plain", "machine"),
    [
        ("set", "{1}", '"{1}"'),
        ("path", "[PosixPath('/'), b'\\x00', nan]", "\"[PosixPath('/'), b'\\\\x00', nan]\""),
        ("silent", "<a Silent, of which repr raises ValueError>", None),
        ("whole", "{'a': (1, None)}", '{"a": [1, null]}'),
    ],
)
def test_listen_prints_the_carry(directory: Path, content: str, plain: str, machine: str | None) -> None:
    for options, shown in (((), plain), (("--json",), machine or json.dumps(plain))):
        with echoing(directory, "--carry", "{'a': (1, None)}", *options, handler="tests.cli.handlers:keep") as server:
            IPC(directory).get(ECHO).unwrap().send(Message.text(content)).unwrap()
            assert server.communicate(timeout=PATIENCE) == (f"{shown}\n".encode(), b"")
            assert server.returncode == 0


def test_listen_ends_when_no_message_comes_in_time(directory: Path) -> None:
    assert printed(directory, "listen", "echo", "tests.cli.handlers:echo", "--timeout", "0.05", "--carry", "7") == b"7\n"


def test_listen_says_in_a_terminal_how_to_end_it(directory: Path) -> None:
    with Terminal(directory, "listen", "echo", "tests.cli.handlers:echo") as shown:
        shown.until("echo: Ctrl-C ends this server\n")
        IPC(directory).wait(ECHO, PATIENCE).unwrap().close()
        shown.interrupt()
        assert shown.end() == (0, "echo: Ctrl-C ends this server\n\nNone\n")


def test_listen_prints_the_log_of_its_server(directory: Path) -> None:
    with echoing(directory) as server:
        (directory / "echo.lock").unlink()
        assert server.stderr is not None
        assert server.stderr.readline().startswith(b"ipcfold: echo serves on, but its lock")
