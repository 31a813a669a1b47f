"""`ask` and `send`: content arrives and comes back byte for byte, within the time given, and readable in a terminal."""

import base64
import json
import signal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ipcfold import Limits, Message, MessageTooLarge
from ipcfold.cli.content import json_line, text, told
from ipcfold.cli.parameters import Source
from ipcfold.cli.status import Status
from tests.cli.support import complaint, echoing, fails, in_terminal, ipcfold, printed, started
from tests.shells.support import NAME, PATIENCE, ServerProcess, running
from tests.shells.wire import listening

LIMIT = Limits().message


@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(content=st.binary(max_size=4096).filter(lambda octets: not octets.startswith(b"innmind/ipc:")))  # signals are reserved
def test_a_content_from_a_pipe_comes_back_byte_for_byte(echo: Path, content: bytes) -> None:
    assert printed(echo, "ask", "echo", stdin=content) == content


@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(content=st.binary(max_size=200).map(lambda octets: octets.replace(b"\0", b"").removeprefix(b"innmind/ipc:")))
def test_an_argument_comes_back_byte_for_byte_and_as_json(echo: Path, content: bytes) -> None:
    answer = json.loads(printed(echo, "ask", "echo", "--json", "--", content))
    if text(content) is None:
        assert answer == {"media_type": "application/octet-stream", "base64": base64.b64encode(content).decode()}
    else:
        assert answer == {"media_type": "text/plain", "content": content.decode()}


@pytest.mark.parametrize("how", [("--file", "FILE"), ("--stdin",), ("-",)])
def test_ask_takes_the_content_from_a_file_or_the_standard_input(echo: Path, tmp_path: Path, how: tuple[str, ...]) -> None:
    content = bytes(range(256)) * 4096
    (tmp_path / "content").write_bytes(content)
    options = [str(tmp_path / "content") if word == "FILE" else word for word in how]
    assert printed(echo, "ask", "echo", *options, "--type", "image/png; a=b", stdin=b"" if how[0] == "--file" else content) == content


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
def test_a_media_type_has_a_short_name(short: str, long: str) -> None:
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
def test_json_line_keeps_json_and_refuses_the_rest(text: str) -> None:
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
def test_ask_prints_a_response_as_json_by_its_media_type(
    echo: Path, content: str | bytes, media_type: str, shown: dict[str, object]
) -> None:
    assert json.loads(printed(echo, "ask", "echo", content, "--type", media_type, "--json")) == {"media_type": media_type, **shown}


@pytest.mark.parametrize("options", [(), ("--json",)], ids=str)
def test_a_message_that_a_typed_server_cannot_decode_has_its_status(directory: Path, options: tuple[str, ...]) -> None:
    with echoing(directory, "--carry", "0", handler="tests.cli.handlers:add"):
        assert printed(directory, "ask", "echo", "2", "--type", "json") == b"2"
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
    assert printed(echo, "send", "echo", "hi") == b""
    assert json.loads(ipcfold(echo, "send", "echo", "hi", "--json").stdout) == {"acknowledged": 1}
    assert in_terminal(echo, "send", "echo", "hi") == (0, "acknowledged\n")


def test_send_succeeds_once_the_message_is_folded(directory: Path, server: ServerProcess) -> None:
    assert ipcfold(directory, "send", str(NAME), "quietly").returncode == 0
    assert ipcfold(directory, "ask", str(NAME), "ping").stdout == b"pong"
    assert server.stop() == ["quietly", "ping"]


@pytest.mark.parametrize(("verb", "said"), [("send", "acknowledgement"), ("ask", "response")])
def test_the_timeout_is_for_the_whole_command(directory: Path, server: ServerProcess, gate: Path, verb: str, said: str) -> None:
    late = ipcfold(directory, verb, str(NAME), f"block {gate}", "--timeout", "2")
    assert late.returncode == Status.TIMED_OUT
    told = f"ipcfold: the {said} of 'server' did not come within 2 s: allow more time, or look at what that server does"
    assert complaint(late) == told
    fails(
        directory, verb, str(NAME), "ping", "--timeout", "0.3", "--wait", str(PATIENCE), status=Status.TIMED_OUT, says="within 0.3 s"
    )  # the server is at its handler
    gate.write_bytes(b"")
    assert server.stop() == [f"block {gate}"]


@pytest.mark.parametrize("options", [("--wait", "0.1"), ("--wait", "0"), ("--wait", str(PATIENCE), "--timeout", "0.1")], ids=" ".join)
def test_ask_says_at_which_path_nobody_listens(directory: Path, options: tuple[str, ...]) -> None:
    says = f"did not come within {float(options[-1]):g} s: nobody listens at {directory / 'server.sock'}"
    fails(directory, "ask", str(NAME), "ping", *options, status=Status.TIMED_OUT, says=says)


def test_ask_says_that_a_server_greets_nobody(directory: Path) -> None:
    with listening(directory):
        fails(directory, "ask", str(NAME), "ping", "--wait", "0.1", status=Status.TIMED_OUT, says="look at what that server does")


def test_ask_waits_for_a_server_as_long_as_it_may(directory: Path) -> None:
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


def test_a_terminal_shows_the_digits_of_a_number_as_they_are(echo: Path) -> None:
    for content in ("[1.10]", "[1e999]", "[0.30000000000000004441]"):
        assert in_terminal(echo, "ask", "echo", content, "--type", "json") == (0, f"{content}\n")


@pytest.mark.parametrize("variables", [{"PYTHONIOENCODING": "ascii"}, {"LC_ALL": "C", "PYTHONIOENCODING": "", "PYTHONUTF8": "0"}])
def test_a_response_that_the_encoding_does_not_have_is_escaped(echo: Path, variables: dict[str, str]) -> None:
    assert in_terminal(echo, "ask", "echo", "\u00e9\u6f22", **variables) == (0, "\\xe9\\u6f22\n")
    assert in_terminal(echo, "ask", "echo", '["\u00e9"]', "--type", "json", **variables) == (0, '[\n  "\\xe9"\n]\n')
    assert printed(echo, "ask", "echo", "\u00e9", stdin=b"", **variables) == "\u00e9".encode()


def test_ask_without_content_in_a_terminal_is_an_error(echo: Path) -> None:
    status, shown = in_terminal(echo, "ask", "echo")
    assert (status, "there is no content: give it as an argument" in shown) == (Status.MISUSED, True)


def test_ctrl_c_ends_ask_silently(directory: Path, server: ServerProcess, gate: Path) -> None:
    asking = started(directory, "ask", str(NAME), f"block {gate}")
    with gate.open("wb"):  # opens once the handler is at it
        asking.send_signal(signal.SIGINT)
        assert asking.communicate(timeout=PATIENCE) == (b"", b"")
        assert asking.returncode == Status.INTERRUPTED
    assert server.stop()
