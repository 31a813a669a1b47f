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
from ipcfold.cli.importing import imported, literal
from ipcfold.cli.status import Status
from tests.cli.support import ECHO, Terminal, echoing, fails, ipcfold, printed
from tests.shells.support import PATIENCE
from tests.shells.wire import Wire

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


@pytest.mark.parametrize("path", ["tests.cli.handlers:echo", "tests.cli.handlers:counter", "tests.cli.handlers:loose"])
def test_a_handler_may_be_a_function_an_object_or_without_a_signature(path: str) -> None:
    assert callable(imported(path).unwrap())


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("counter.py:count", "names a file: name its module, as in counter:count"),
        ("src/counter.py", "names a file: name its module, as in counter:HANDLER"),
        (".handlers:echo", "is not MODULE:HANDLER"),
        ("tests.none:f", "there is no module 'tests.none'; check its name"),
        ("tests.cli.handlers:ecco", "has no 'ecco'; its functions are echo, count, five, keep"),
        ("tests.cli.handlers:echo.x.y", "has no 'echo.x.y'"),
        ("tests.cli.handlers:Silent.f", "has no 'Silent.f'"),
        ("tests.cli.handlers:NUMBER", "is 3, which cannot be called: name a function"),
        (
            "tests.cli.handlers:too_few",
            "message: ipcfold.message.Message, carry: int) -> int, but a handler is called with message, contin",
        ),
        ("tests.cli.handlers:too_many", "(missing a required argument: 'more'): give it these three parameters"),
        ("tests.cli.handlers:named", "(too many positional arguments): give it these three parameters"),
        ("tests.cli.handlers:later", "is async or a generator: name a plain function"),
        ("tests.cli.handlers:counter.later", "is async or a generator: name a plain function"),
        ("tests.cli.handlers:bits", "is async or a generator: name a plain function"),
    ],
)
def test_the_error_of_a_handler_says_what_to_do(path: str, told: str) -> None:
    assert told in str(imported(path).failure())


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("def f(", "cannot be imported: its module has a syntax error at "),
        ("raise SystemExit(3)", "cannot be imported: importing its module raised SystemExit(3) at "),
        ("import nothing_of_that_name", "cannot be imported: importing its module raised ModuleNotFoundError("),
        ("1 / 0", "cannot be imported: importing its module raised ZeroDivisionError('division by zero') at "),
        (
            "from tests.cli.handlers import MuteError\nraise MuteError",
            "cannot be imported: importing its module raised <a MuteError, of which repr raises SystemExit> at ",
        ),
        (
            "from tests.cli.handlers import Silent\nf = Silent()",
            "is <a Silent, of which repr raises ValueError>, which cannot be called",
        ),
        ("def __getattr__(name): raise SystemExit(name)", "cannot be imported: getting it raised SystemExit('f')"),
        ("raise ValueError('\\x1b[31m\\n')", "cannot be imported: importing its module raised ValueError('\\x1b[31m\\n') at "),
    ],
)
def test_a_module_that_cannot_be_imported_is_an_error(directory: Path, source: str, told: str) -> None:
    (directory / "broken.py").write_text(source)
    fails(directory, "listen", "name", "broken:f", PYTHONPATH=str(directory), status=Status.MISUSED, says=f"broken:f {told}")


def test_ctrl_c_ends_listen_silently_while_it_imports_the_handler(directory: Path) -> None:
    (directory / "slow.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGINT)\n")
    done = ipcfold(directory, "listen", "name", "slow:f", PYTHONPATH=str(directory))
    assert (done.returncode, done.stdout, done.stderr) == (Status.INTERRUPTED, b"", b"")


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
        ("number", "1" + "0" * 5000, "1" + "0" * 5000),
        ("hollow", "{'a': 1}", None),
        ("characters", "'\u00e9\\ud800\u6f22'", '"\\u00e9\\ud800\\u6f22"'),
    ],
)
def test_listen_prints_the_carry(directory: Path, content: str, plain: str, machine: str | None) -> None:
    for options, shown in (((), plain), (("--json",), machine or json.dumps(plain))):
        with echoing(directory, "--carry", "{'a': (1, None)}", *options, handler="tests.cli.handlers:keep") as server:
            IPC(directory).get(ECHO).unwrap().send(Message.text(content)).unwrap()
            assert server.communicate(timeout=PATIENCE) == (f"{shown}\n".encode(), b"")
            assert server.returncode == 0


@pytest.mark.parametrize("variables", [{"PYTHONIOENCODING": "ascii"}, {"LC_ALL": "C", "PYTHONIOENCODING": "", "PYTHONUTF8": "0"}])
def test_a_carry_that_the_encoding_does_not_have_is_escaped(directory: Path, variables: dict[str, str]) -> None:
    with echoing(directory, handler="tests.cli.handlers:keep", others=variables) as server:
        IPC(directory).get(ECHO).unwrap().send(Message.text("characters")).unwrap()
        assert server.communicate(timeout=PATIENCE) == (b"'\\xe9\\ud800\\u6f22'\n", b"")
        assert server.returncode == 0


def test_a_carry_that_the_output_has_no_room_for_is_an_error_with_it(directory: Path) -> None:
    words = ("listen", "echo", "tests.cli.handlers:echo", "--timeout", "0.05", "--carry", "'only once'")
    with Path("/dev/full").open("wb") as full:
        done = ipcfold(directory, *words, stdout=full)
    carry, reason = done.stderr.decode().splitlines()
    assert (done.returncode, carry) == (Status.SYSTEM, "ipcfold: the last carry is 'only once'")
    assert reason.startswith("ipcfold: could not write to the standard output: ")


def test_listen_reports_an_error_of_the_handler_whose_repr_raises(directory: Path) -> None:
    with echoing(directory, "--carry", "[1]", handler="tests.cli.handlers:keep") as server:
        assert ipcfold(directory, "send", str(ECHO), "mute").returncode == Status.UNACKNOWLEDGED
        output, errors = server.communicate(timeout=PATIENCE)
    assert (server.returncode, output) == (Status.HANDLER_FAILED, b"[1]\n")
    assert b"the handler failed with <a MuteError, of which repr raises SystemExit> at /" in errors


def test_a_log_that_nobody_reads_does_not_stop_the_server(directory: Path) -> None:
    with echoing(directory) as server:
        for _ in range(1000):  # each is logged, and a pipe has room for some five hundred
            with Wire.to(directory, ECHO) as wire:
                wire.stream.sendall(b"\xff" * 8)
        assert printed(directory, "ask", "echo", "still there") == b"still there"
        server.send_signal(signal.SIGTERM)
        assert server.stdout is not None
        assert server.stdout.read() == b"1\n"
        assert server.wait(PATIENCE) == 0


def test_the_log_counts_the_lines_that_it_drops() -> None:
    program = """if True:
        import logging, sys
        from ipcfold.cli.log import logged
        with logged():
            for number in range(5000):
                logging.warning("\\x1b[31m %d %s", number, "x" * 100)
            print("flooded", flush=True)
            sys.stdin.read()
    """
    with subprocess.Popen([sys.executable, "-c", program], stdin=-1, stdout=-1, stderr=-1, text=True) as flooding:
        assert flooding.stdout is not None
        assert flooding.stdout.readline() == "flooded\n"
        lines = flooding.communicate(timeout=PATIENCE)[1].splitlines()
    dropped = [int(line.split()[1]) for line in lines if "lines of the log were dropped" in line]
    assert len(lines) - len(dropped) + sum(dropped) == 5000
    assert sum(dropped) > 1000
    assert lines[0].startswith("ipcfold: \\x1b[31m 0 x")


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
        assert server.stderr.readline().startswith(b"ipcfold: echo serves on, and has put back")
