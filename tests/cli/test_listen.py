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
from tests.cli.support import COMMAND, ECHO, ROOT, complaint, echoing, environment, ipcfold, terminal
from tests.shells.support import PATIENCE, Wire

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(st.text(), inner),
)


@given(VALUES)
def test_a_python_literal_is_what_it_says(value: object) -> None:
    assert literal(repr(value)).unwrap() == value


@given(st.recursive(st.none() | st.booleans() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
def test_json_is_what_it_says(value: object) -> None:
    assert literal(json.dumps(value)).unwrap() == value


@given(st.text())
def test_no_text_makes_it_raise(text: str) -> None:
    assert isinstance(literal(text), Result)


@pytest.mark.parametrize("text", ["hello", "", "[", "f()", "(" * 10_000, "[" * 100_000, "1" * 10_000, "{[]: 1}"])
def test_what_is_no_literal(text: str) -> None:
    assert "is neither a Python literal nor JSON" in str(literal(text).failure())


@pytest.mark.parametrize(
    "path", ["", "module", ":f", "module:", "tests.cli.handlers:none", "tests.none:f", "tests.cli.handlers:NUMBER", "a b:c"]
)
def test_what_is_no_handler(path: str) -> None:
    assert imported(path).failure()


@pytest.mark.parametrize("path", ["tests.cli.handlers:echo", "tests.cli.handlers:counter", "tests.cli.handlers:loose"])
def test_what_is_a_handler(path: str) -> None:
    assert callable(imported(path).unwrap())


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("counter.py:count", "names a file: name its module, as in counter:count"),
        ("src/counter.py", "names a file: name its module, as in counter:HANDLER"),
        (".handlers:echo", "is not MODULE:HANDLER"),
        ("tests.none:f", "there is no module 'tests.none'; check its name"),
        ("tests.cli.handlers:ecco", "has no 'ecco'; its functions are echo, five, keep"),
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
def test_what_to_do_about_a_handler_that_is_none(path: str, told: str) -> None:
    assert told in str(imported(path).failure())


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("def f(", "its module has a syntax error at "),
        ("raise SystemExit(3)", "importing its module raised SystemExit(3) at "),
        ("import nothing_of_that_name", "importing its module raised ModuleNotFoundError("),
        ("1 / 0", "raised ZeroDivisionError('division by zero') at "),
        ("from tests.cli.handlers import MuteError\nraise MuteError", "raised <a MuteError, of which repr raises SystemExit> at "),
        ("from tests.cli.handlers import Silent\nf = Silent()", None),
        ("def __getattr__(name): raise SystemExit(name)", "getting it raised SystemExit('f')"),
        ("raise ValueError('\\x1b[31m\\n')", "raised ValueError('\\x1b[31m\\n') at "),
    ],
)
def test_a_module_that_cannot_be_imported(directory: Path, source: str, told: str | None) -> None:
    (directory / "broken.py").write_text(source)
    done = ipcfold(directory, "listen", "name", "broken:f", PYTHONPATH=str(directory))
    line = complaint(done)
    assert done.returncode == Status.MISUSED
    if told is None:
        assert "broken:f is <a Silent, of which repr raises ValueError>, which cannot be called" in line
    else:
        assert "broken:f cannot be imported" in line
        assert told in line


def test_ctrl_c_while_the_handler_is_imported(directory: Path) -> None:
    (directory / "slow.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGINT)\n")
    done = ipcfold(directory, "listen", "name", "slow:f", PYTHONPATH=str(directory))
    assert (done.returncode, done.stdout, done.stderr) == (Status.INTERRUPTED, b"", b"")


def test_a_handler_of_the_working_directory(directory: Path) -> None:
    script = Path(sys.executable).with_name("ipcfold")
    assert script.exists()  # which, unlike `python -m`, does not look there by itself
    (directory / "mine.py").write_text("def handler(message, continuation, carry):\n    return continuation.stop(carry + 1)\n")
    with subprocess.Popen(
        [script, "listen", "mine", "mine:handler", "--carry", "41", "--directory", directory], cwd=directory, stdout=-1
    ) as server:
        assert ipcfold(directory, "send", "mine", "x", "--wait", str(PATIENCE)).returncode == 0
        assert server.communicate(timeout=PATIENCE)[0] == b"42\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_it_with_the_carry(directory: Path, number: signal.Signals) -> None:
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
def test_how_the_carry_is_shown(directory: Path, content: str, plain: str, machine: str | None) -> None:
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
        done = subprocess.run(
            [*COMMAND, *words], stdout=full, stderr=subprocess.PIPE, env=environment(directory), cwd=ROOT, timeout=PATIENCE, check=False
        )
    carry, reason = done.stderr.decode().splitlines()
    assert (done.returncode, carry) == (Status.SYSTEM, "ipcfold: the last carry is 'only once'")
    assert reason.startswith("ipcfold: could not write to the standard output: ")


def test_an_error_of_the_handler_that_cannot_be_shown(directory: Path) -> None:
    with echoing(directory, "--carry", "[1]", handler="tests.cli.handlers:keep") as server:
        assert ipcfold(directory, "send", str(ECHO), "mute").returncode == Status.UNACKNOWLEDGED
        output, errors = server.communicate(timeout=PATIENCE)
    assert (server.returncode, output) == (Status.HANDLER_FAILED, b"[1]\n")
    assert b"the handler failed with <a MuteError, of which repr raises SystemExit> at /" in errors


def test_a_log_that_nobody_reads_stops_nothing(directory: Path) -> None:
    with echoing(directory) as server:
        for _ in range(1000):  # each is logged, and a pipe has room for some five hundred
            with Wire.to(directory, ECHO) as wire:
                wire.stream.sendall(b"\xff" * 8)
        assert ipcfold(directory, "ask", "echo", "still there").stdout == b"still there"
        server.send_signal(signal.SIGTERM)
        assert server.stdout is not None
        assert server.stdout.read() == b"1\n"
        assert server.wait(PATIENCE) == 0


def test_records_that_the_log_has_no_room_for_are_counted() -> None:
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


def test_it_stops_when_nothing_comes(directory: Path) -> None:
    done = ipcfold(directory, "listen", "echo", "tests.cli.handlers:echo", "--timeout", "0.05", "--carry", "7")
    assert (done.returncode, done.stdout, done.stderr) == (0, b"7\n", b"")


def test_in_a_terminal_it_says_how_to_end_it(directory: Path) -> None:
    with terminal(directory, "listen", "echo", "tests.cli.handlers:echo") as shown:
        shown.until("echo: Ctrl-C ends this server\n")
        IPC(directory).wait(ECHO, PATIENCE).unwrap().close()
        shown.interrupt()
        assert shown.end() == (0, "echo: Ctrl-C ends this server\n\nNone\n")


def test_what_the_server_logs_is_told(directory: Path) -> None:
    with echoing(directory) as server:
        (directory / "echo.lock").unlink()
        assert server.stderr is not None
        assert server.stderr.readline().startswith(b"ipcfold: echo serves on, but its lock")
