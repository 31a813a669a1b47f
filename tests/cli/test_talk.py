"""`ask` and `send`: content arrives and comes back byte for byte, within the time given, and readable in a terminal."""

import base64
import json
import signal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ipcfold import Limits, Message, MessageTooLarge
from ipcfold.cli.content import text, told
from ipcfold.cli.parameters import Source
from ipcfold.cli.status import Status
from tests.cli.support import complaint, fails, in_terminal, ipcfold, printed, started
from tests.shells.support import NAME, PATIENCE, ServerProcess, running

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
    assert json.loads(done.stdout) == {"media_type": "application/json; q=1", "content": "[]"}


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


def test_ask_waits_for_a_server_as_long_as_it_may(directory: Path) -> None:
    fails(directory, "ask", str(NAME), "ping", "--wait", "0.1", status=Status.TIMED_OUT, says="did not come within 0.1 s")
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
