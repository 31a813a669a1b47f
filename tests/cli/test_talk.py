"""`ask` and `send`: content arrives and comes back byte for byte, within the time given, and readable in a terminal."""

import base64
import json
import os
import signal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ipcfold import Limits, Message, MessageTooLarge
from ipcfold.cli.content import json_line, text, told
from ipcfold.cli.parameters import Source
from ipcfold.cli.status import Status
from tests.cli.support import complaint, echoing, in_terminal, ipcfold, started
from tests.shells.support import NAME, PATIENCE, fifo, listening, running

LIMIT = Limits().message


@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(content=st.binary(max_size=4096).filter(lambda octets: not octets.startswith(b"innmind/ipc:")))  # signals are reserved
def test_what_is_piped_in_comes_back_byte_for_byte(echo: Path, content: bytes) -> None:
    done = ipcfold(echo, "ask", "echo", stdin=content)
    assert (done.returncode, done.stdout, done.stderr) == (0, content, b"")


@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(content=st.binary(max_size=200).map(lambda octets: octets.replace(b"\0", b"").removeprefix(b"innmind/ipc:")))
def test_an_argument_comes_back_byte_for_byte_and_as_json(echo: Path, content: bytes) -> None:
    done = ipcfold(echo, "ask", "echo", "--json", "--", content)
    assert (done.returncode, done.stderr) == (0, b"")
    answer = json.loads(done.stdout)
    if text(content) is None:
        assert answer == {"media_type": "application/octet-stream", "base64": base64.b64encode(content).decode()}
    else:
        assert answer == {"media_type": "text/plain", "content": content.decode()}


@pytest.mark.parametrize("how", [("--file", "FILE"), ("--stdin",), ("-",)])
def test_a_content_from_a_file_or_the_standard_input(echo: Path, tmp_path: Path, how: tuple[str, ...]) -> None:
    content = bytes(range(256)) * 4096
    (tmp_path / "content").write_bytes(content)
    options = [str(tmp_path / "content") if word == "FILE" else word for word in how]
    done = ipcfold(echo, "ask", "echo", *options, "--type", "image/png; a=b", stdin=b"" if how[0] == "--file" else content)
    assert (done.returncode, done.stdout, done.stderr) == (0, content, b"")


def test_the_media_type_that_is_given_arrives(echo: Path) -> None:
    done = ipcfold(echo, "ask", "echo", "[]", "--type", "Application/JSON; q=1", "--json")
    assert json.loads(done.stdout) == {"media_type": "application/json; q=1", "content": []}


@pytest.mark.parametrize(
    ("short", "long"),
    [
        ("json", "application/json"),
        ("text", "text/plain"),
        ("octets", "application/octet-stream"),
        ("msgpack", "application/vnd.msgpack"),
        ("cbor", "application/cbor"),
    ],
)
def test_the_short_names_of_media_types(short: str, long: str) -> None:
    assert told("[]", Source(media_type=short), LIMIT).unwrap() == Message.of(long, b"[]").unwrap()
    assert "or use a short name: json, text" in str(told("[]", Source(media_type=short.upper()), LIMIT).failure())


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(value=JSON, indent=st.sampled_from([None, 1, "\t"]), only_ascii=st.sampled_from([False, True]))
def test_json_becomes_a_line_of_ascii_with_the_same_value(value: object, indent: int | str | None, only_ascii: object) -> None:
    line = json_line(json.dumps(value, indent=indent, ensure_ascii=bool(only_ascii)))
    assert line is not None
    assert line.isascii()
    assert line.isprintable()
    assert json.loads(line) == value


@given(st.text() | st.sampled_from(["NaN", "[Infinity]", "\ufeff[]", "[" * 100_000, "1" * 5000, "01", "[1,]", '{"a": 1, "a": 2}', "1e999"]))
def test_what_json_has_is_kept_and_the_rest_is_no_json(text: str) -> None:
    line = json_line(text)
    if text in ("1" * 5000, '{"a": 1, "a": 2}', "1e999"):
        assert line == text
    elif text.startswith(("NaN", "[I", "\ufeff", "[[", "01", "[1,")):
        assert line is None


@pytest.mark.parametrize(
    ("content", "media_type", "shown"),
    [
        ('{"a": [1, null]}', "application/json", {"content": {"a": [1, None]}}),
        ('{"a": [1, null]}', "application/hal+json", {"content": {"a": [1, None]}}),
        ('{"a": [1, null]}', "application/notjson", {"content": '{"a": [1, null]}'}),
        ('{"a": [1, null]}', "text/plain", {"content": '{"a": [1, null]}'}),
        ("[", "application/json", {"content": "["}),
        ("NaN", "application/json", {"content": "NaN"}),
        ("", "application/json", {"content": ""}),
        (b"\xff", "application/json", {"base64": "/w=="}),
    ],
)
def test_the_schema_of_a_response_as_json(echo: Path, content: str | bytes, media_type: str, shown: dict[str, object]) -> None:
    done = ipcfold(echo, "ask", "echo", content, "--type", media_type, "--json")
    assert (done.returncode, json.loads(done.stdout)) == (0, {"media_type": media_type, **shown})


@pytest.mark.parametrize("options", [(), ("--json",)], ids=str)
def test_a_typed_server_that_cannot_decode_the_message(directory: Path, options: tuple[str, ...]) -> None:
    with echoing(directory, "--carry", "0", handler="tests.cli.handlers:add"):
        right = ipcfold(directory, "ask", "echo", "2", "--type", "json")
        assert (right.returncode, right.stdout, right.stderr) == (0, b"2", b"")
        wrong = ipcfold(directory, "ask", "echo", "2", *options)
        assert (wrong.returncode, b"the message does not decode as application/json" in wrong.stdout) == (Status.UNDECODED, True)
        assert wrong.stderr.startswith(b"ipcfold: the server did not take the message")
        assert ipcfold(directory, "bench", "echo", "x", "--verb", "ask", "--count", "2").returncode == Status.UNDECODED


@given(octets=st.binary(), size=st.integers(0, 40))
def test_no_more_is_read_than_a_message_may_have(tmp_path_factory: pytest.TempPathFactory, octets: bytes, size: int) -> None:
    path = tmp_path_factory.getbasetemp() / "content"
    path.write_bytes(octets)
    message = told(None, Source(file=path), size)
    if len(octets) > size:
        assert message.failure() == MessageTooLarge(len(octets), size)
    else:
        expected = Message.octets(octets) if text(octets) is None else Message.text(octets.decode())
        assert message.unwrap() == expected


def test_a_file_without_an_end_is_not_read_to_it() -> None:
    assert told(None, Source(file=Path("/dev/zero")), 100).failure() == MessageTooLarge(101, 100)


def test_sending_is_silent_where_nobody_watches(echo: Path) -> None:
    done = ipcfold(echo, "send", "echo", "hi")
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert json.loads(ipcfold(echo, "send", "echo", "hi", "--json").stdout) == {"acknowledged": 1}
    assert in_terminal(echo, "send", "echo", "hi") == (0, "acknowledged\n")


def test_send_succeeds_once_the_message_is_folded(directory: Path) -> None:
    with running(directory) as server:
        assert ipcfold(directory, "send", str(NAME), "quietly").returncode == 0
        assert ipcfold(directory, "ask", str(NAME), "ping").stdout == b"pong"
        assert server.stop() == ["quietly", "ping"]


@pytest.mark.parametrize(("verb", "said"), [("send", "acknowledgement"), ("ask", "response")])
def test_the_timeout_is_for_all_of_it(directory: Path, verb: str, said: str) -> None:
    with running(directory) as server:
        path = fifo(directory)
        late = ipcfold(directory, verb, str(NAME), f"block {path}", "--timeout", "2")
        assert (late.returncode, complaint(late)) == (
            Status.TIMED_OUT,
            f"ipcfold: the {said} of 'server' did not come within 2 s: allow more time, or look at what that server does",
        )
        full = ipcfold(directory, verb, str(NAME), "ping", "--timeout", "0.3", "--wait", str(PATIENCE))  # the server is at its handler
        assert full.returncode == Status.TIMED_OUT
        assert "within 0.3 s" in complaint(full)
        os.close(os.open(path, os.O_WRONLY))
        assert server.stop() == [f"block {path}"]


def test_waiting_for_a_server(directory: Path) -> None:
    for options in (("--wait", "0.1"), ("--wait", "0"), ("--wait", str(PATIENCE), "--timeout", "0.1")):
        late = ipcfold(directory, "ask", str(NAME), "ping", *options)
        assert (late.returncode, f"s: nobody listens at {directory / 'server.sock'}" in complaint(late)) == (Status.TIMED_OUT, True)
    with listening(directory):
        late = ipcfold(directory, "ask", str(NAME), "ping", "--wait", "0.1")  # which greets nobody
        assert (late.returncode, "look at what that server does" in complaint(late)) == (Status.TIMED_OUT, True)
    waiting = started(directory, "ask", str(NAME), "ping", "--wait", str(PATIENCE))
    with running(directory):
        assert waiting.communicate(timeout=PATIENCE) == (b"pong", b"")
        assert waiting.returncode == 0


def test_a_response_in_a_terminal_can_be_read_and_commands_nothing(echo: Path) -> None:
    assert in_terminal(echo, "ask", "echo", "plain") == (0, "plain\n")
    assert in_terminal(echo, "ask", "echo", "a\x1b[31mb\x9b1mc\td\ne\n") == (0, "a\\x1b[31mb\\x9b1mc\td\ne\n")
    status, shown = in_terminal(echo, "ask", "echo", '{"a": [1, "\x9b[bold]é"]}', "--type", "application/hal+json")
    assert (status, shown) == (0, '{\n  "a": [\n    1,\n    "\\x9b[bold]é"\n  ]\n}\n')
    assert in_terminal(echo, "ask", "echo", "{", "--type", "application/json") == (0, "{\n")
    status, shown = in_terminal(echo, "ask", "echo", "--file", "/proc/self/auxv")
    assert (status, "the response is binary: application/octet-stream" in shown) == (0, True)


def test_a_terminal_that_can_only_print_lines_gets_no_control_characters(echo: Path) -> None:
    for options in ((), ("--type", "json")):
        assert in_terminal(echo, "ask", "echo", "a\x1b[31mb\rc\n", *options, TERM="dumb") == (0, "a\\x1b[31mb\\rc\n")
    status, shown = in_terminal(echo, "ask", "echo", "--file", "/proc/self/auxv", TERM="dumb")
    assert (status, "the response is binary" in shown) == (0, True)
    _, shown = in_terminal(echo, "ask", "echo", "--file", "/\x1b[31m", TERM="dumb")
    assert "could not read /\\x1b[31m" in shown


def test_numbers_that_python_writes_in_another_way_are_shown_as_they_are(echo: Path) -> None:
    for content in ("[1.10]", "[1e999]", "[0.30000000000000004441]"):
        assert in_terminal(echo, "ask", "echo", content, "--type", "json") == (0, f"{content}\n")


@pytest.mark.parametrize("variables", [{"PYTHONIOENCODING": "ascii"}, {"LC_ALL": "C", "PYTHONIOENCODING": "", "PYTHONUTF8": "0"}])
def test_a_response_that_the_encoding_does_not_have_is_escaped(echo: Path, variables: dict[str, str]) -> None:
    assert in_terminal(echo, "ask", "echo", "\u00e9\u6f22", **variables) == (0, "\\xe9\\u6f22\n")
    assert in_terminal(echo, "ask", "echo", '["\u00e9"]', "--type", "json", **variables) == (0, '[\n  "\\xe9"\n]\n')
    assert ipcfold(echo, "ask", "echo", "\u00e9", stdin=b"", **variables).stdout == "\u00e9".encode()


def test_without_content_in_a_terminal(echo: Path) -> None:
    status, shown = in_terminal(echo, "ask", "echo")
    assert (status, "there is no content: give it as an argument" in shown) == (Status.MISUSED, True)


def test_ctrl_c_ends_it_without_a_word(directory: Path) -> None:
    with running(directory) as server:
        asking = started(directory, "ask", str(NAME), f"block {fifo(directory)}")
        opened = os.open(directory / "fifo", os.O_WRONLY)  # which waits until the handler is at it
        asking.send_signal(signal.SIGINT)
        assert asking.communicate(timeout=PATIENCE) == (b"", b"")
        assert asking.returncode == Status.INTERRUPTED
        os.close(opened)
        assert server.stop()
