"""What any shell must do under attack and under load: hostile bytes, too much of everything, handlers that fail.

Time passes here by the heartbeats of a connection that is kept for it, never by sleeping.
"""

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from returns.result import Failure, Success

from ipcfold import IPC, ConnectionDropped, Limits, Message, ProtocolBroken, Unacknowledged
from tests.shells.faults import Child
from tests.shells.handlers import MEBIBYTE
from tests.shells.support import (
    CLOSE,
    CLOSE_OK,
    HEARTBEAT,
    NAME,
    PATIENCE,
    RECEIVED,
    START,
    START_OK,
    Running,
    Wire,
    fifo,
    flood,
    frame,
    peak_memory_since,
    running,
)

BEAT = "heartbeat=0.05"  # seconds


class HostilityContract:
    """Hostile clients cost the others nothing but their own share."""

    program = "tests.shells.serve"

    def test_who_says_nothing_is_ended_at_the_limit_and_the_log_says_why(self, directory: Path) -> None:
        with running(directory, "", "handshake=0.2", program=self.program) as server, Wire.to(directory) as silent:
            assert silent.read() == START
            assert silent.ended()
            assert "limits.handshake" in logged(server)

    def test_a_greeting_that_drips_in_is_ended_at_the_limit(self, directory: Path) -> None:
        with running(directory, "", "handshake=0.3", BEAT, program=self.program) as server:
            with Wire.talking(directory) as clock, Wire.to(directory) as dripping:
                assert drip(dripping, frame(START_OK) + frame("ping") * 99, clock) < len(frame(START_OK))
            assert "limits.handshake" in logged(server)

    def test_a_frame_that_drips_in_is_ended_at_the_limit(self, directory: Path) -> None:
        with running(directory, "", "frame=0.3", BEAT, program=self.program) as server:
            with Wire.talking(directory) as clock, Wire.talking(directory) as dripping:
                assert drip(dripping, frame("x" * 1000), clock) < 1000
            assert "limits.frame" in logged(server)

    def test_a_stream_of_frames_that_end_in_the_middle_of_a_read_is_not_ended(self, directory: Path) -> None:
        with running(directory, "", "frame=1.0", BEAT, program=self.program) as server, Wire.talking(directory) as client:
            clock = Wire.talking(directory)
            client.stream.sendall(frame("ping")[:5])
            for _ in range(40):  # twice the limit
                assert clock.read_any() == HEARTBEAT
                client.stream.sendall(frame("ping")[5:] + frame("ping")[:5])
                assert client.read(2) == f"{RECEIVED},pong"
            clock.close()
            assert server.result_of_stop()["carry"] == ["ping"] * 40

    def test_a_slow_handler_makes_nobody_late(self, directory: Path) -> None:
        """Neither a greeting nor half a frame: what came while the server looked away is read first."""
        gate = fifo(directory)
        options = ["handshake=1.0", "frame=1.0", BEAT]
        with running(directory, "", *options, program=self.program) as server, ExitStack() as stack:
            blocking, half, greeted = (stack.enter_context(wire(directory)) for wire in (Wire.talking, Wire.talking, Wire.to))
            large = frame("echo " + "x" * 3_000_000)
            blocking.write("ping", f"block {gate}")
            assert blocking.read(2) == f"{RECEIVED},pong"
            assert greeted.read() == START
            half.stream.settimeout(1.5)  # more than both limits
            with pytest.raises(TimeoutError):  # the server takes what its buffer holds
                half.stream.sendall(large)
            sent = accepted(half, large)
            greeted.write(START_OK, "ping")
            with Wire.to(directory) as late:
                late.write(START_OK, "ping")
                gate.write_bytes(b"")
                assert blocking.read(2) == f"{RECEIVED},released"
                assert greeted.read(2) == f"{RECEIVED},pong"
                assert late.read(3) == f"{START},{RECEIVED},pong"
            assert sent < len(large)
            assert half.read_any() == HEARTBEAT  # nobody was dropped
            assert "limits.handshake" not in (log := logged(server))
            assert "limits.frame" not in log

    @pytest.mark.parametrize("limit", [64 * 2**20, 0xFFFF_FFFF])
    def test_what_is_declared_costs_nothing_until_it_comes(self, directory: Path, limit: int) -> None:
        declared = frame("")[:12] + (limit).to_bytes(4)
        with running(directory, "", f"message={limit}", program=self.program) as server, Wire.talking(directory) as client:
            before = server.peak_memory()
            with crowd(directory, 100) as declaring:
                for wire in declaring:
                    wire.stream.sendall(declared + b"x" * 1000)
                client.write("ping")
                assert client.read(2) == f"{RECEIVED},pong"
                assert server.peak_memory() - before < 16 * 2**20

    def test_two_hundred_are_served_while_as_many_attack(self, directory: Path) -> None:
        attacks = [
            b"",
            frame(START_OK)[:9],
            frame(START_OK) + frame("half")[:9],
            frame(START_OK) + b"\0\0\0\0\0\0\0",
            b"GET / HTTP/1.1\r\n\r\n",
        ]
        options = ["handshake=1.0", "frame=1.0", "heartbeat=60"]
        with running(directory, "", *options, program=self.program) as server, crowd(directory, 200) as good, ExitStack() as stack:
            bad = [stack.enter_context(Wire.to(directory)) for _ in range(200)]
            for number, wire in enumerate(bad):
                wire.stream.sendall(attacks[number % len(attacks)])
            for _ in range(3):
                for wire in good:
                    wire.write("ping")
                for wire in good:
                    assert wire.read(2) == f"{RECEIVED},pong"
            assert all(wire.read() == START and wire.ended() for wire in bad)  # each at its limit
            for wire in good:
                wire.write("ping", CLOSE)
            assert all(wire.read(3) == f"{RECEIVED},pong,{CLOSE_OK}" for wire in good)
            result = server.result_of_stop()
            assert result["carry"] == ["ping"] * 800
            assert isinstance(result["log"], list)
            assert len([text for text in result["log"] if text.startswith("WARNING")]) == 200

    def test_random_bytes_end_no_server(self, directory: Path) -> None:
        with running(directory, "", "handshake=0.5", program=self.program) as server, Wire.talking(directory) as client:

            @settings(max_examples=50, suppress_health_check=[HealthCheck.too_slow])
            @given(st.binary(max_size=200) | st.binary(max_size=20).map(lambda data: frame(START_OK) + data))
            def attack(data: bytes) -> None:
                with Wire.to(directory) as hostile:
                    hostile.stream.sendall(data)
                client.write("ping")
                assert client.read(2) == f"{RECEIVED},pong"

            attack()
            client.close()
            carry = server.result_of_stop()["carry"]
            assert isinstance(carry, list)
            assert set(carry) == {"ping"}


class BackpressureContract:
    """Whoever writes more than the other end reads waits; memory stays under the limits on both ends."""

    program = "tests.shells.serve"

    def test_a_gibibyte_of_responses_to_a_slow_reader(self, directory: Path) -> None:
        with running(directory, program=self.program) as server, IPC(directory).get(NAME).unwrap() as process:
            before = server.peak_memory()
            own = peak_memory_since()
            assert process.send(Message.text("much 1000")) == Success(process)
            with Wire.talking(directory) as other:
                for number in range(1000):
                    assert process.wait() == Success(MEBIBYTE)
                    if number % 50 == 0:
                        other.write("ping")
                        assert other.read(2) == f"{RECEIVED},pong"
            assert server.peak_memory() - before < 16 * 2**20
            assert own() < 32 * 2**20

    def test_both_ends_writing_at_once_stay_under_the_limits(self, directory: Path) -> None:
        message = Message.text("echo " + "x" * 2**20)
        with running(directory, program=self.program) as server, IPC(directory).get(NAME).unwrap() as process:
            before = server.peak_memory()
            own = peak_memory_since()
            for _ in range(10):
                assert process.send(*[message] * 50) == Success(process)
                assert [process.wait().unwrap() for _ in range(50)] == [message] * 50
            assert server.peak_memory() - before < 520 * 2**20  # its carry is a log of all that came
            assert own() < 128 * 2**20

    def test_who_floods_and_never_reads_is_held_up_and_the_rest_is_not(self, directory: Path) -> None:
        with running(directory, program=self.program) as server, Wire.talking(directory) as other:
            before = server.peak_memory()

            def ping() -> None:
                other.write("ping")
                assert other.read(2) == f"{RECEIVED},pong"

            with crowd(directory, 20) as flooding:
                for wire in flooding:
                    flood(wire, frame("many 1000") * 50_000, ping)
                ping()
                assert server.peak_memory() - before < (20 * 4 + 16) * 2**20

    def test_a_message_over_the_server_s_limit_is_told_on_both_ends(self, directory: Path) -> None:
        small, large = Message.text("quiet"), Message.text("x" * 5000)
        with running(directory, "", "message=1000", program=self.program) as server:
            process = IPC(directory).get(NAME).unwrap()
            failed = process.send(small, small, large, small).failure()
            assert failed == Unacknowledged(2, 4, ConnectionDropped(NAME, server.pid, 5000))
            assert "5000 bytes" in str(failed)
            assert "limits.message" in str(failed)
            assert process.close() == Failure(ConnectionDropped(NAME, server.pid, 5000))
            result = server.result_of_stop()
            assert result["carry"] == ["quiet", "quiet"]  # exactly those acknowledged
            assert "a content of 5000 bytes is over the limit of 1000" in str(result["log"])

    def test_who_was_dropped_knows_what_is_folded_at_least(self, directory: Path) -> None:
        said = ["hold", "large 500000", *["quiet"] * 100, "close"]  # the socket has no room for the acknowledgements behind that response

        def send(_: object) -> object:
            return IPC(directory).get(NAME).unwrap().send(*map(Message.text, said)).failure()

        with running(directory, "", "frame=0.2", program=self.program, heard=True) as server, Child(send) as client:
            assert server.record().endswith("it read nothing of what waited for it for 0.2 s (limits.frame)")
            client.resume()
            told = client.result()
            acknowledged = int(told.split()[0])
            assert 0 < acknowledged < len(said)
            assert told == str(Unacknowledged(acknowledged, len(said), ConnectionDropped(NAME, server.pid, len("large 500000"))))
            assert server.stop() == said

    def test_a_response_over_the_client_s_limit_is_told_on_both_ends(self, directory: Path) -> None:
        with running(directory, program=self.program) as server:
            process = IPC(directory, limits=Limits(message=1000)).get(NAME).unwrap()
            failed = process.ask(Message.text("much 9")).failure()
            assert failed == ProtocolBroken(NAME, f"a content of {2**20} bytes is over the limit of 1000")
            with Wire.talking(directory) as other:  # its turn comes after the end of the first is seen
                other.write("ping")
                assert other.read(2) == f"{RECEIVED},pong"
            result = server.result_of_stop()
            assert result["carry"] == ["much 9", "ping"]
            assert "without reading" in str(result["log"])


class HandlerContract:
    """Whatever a handler does, the last good carry is in the result, and every client is told to close."""

    program = "tests.shells.serve"

    @pytest.mark.parametrize(
        ("fault", "said"),
        [
            pytest.param("raise", "KeyError", id="raises"),
            pytest.param("exit", "SystemExit(3)", id="calls sys.exit"),
            pytest.param("recurse", "RecursionError", id="recurses too deep"),
            pytest.param("nothing", "the handler returned NoneType, not a Continuation", id="returns no continuation"),
            pytest.param("async", "the handler returned coroutine, not a Continuation", id="is a coroutine"),
            pytest.param(
                "stale", "the handler returned a Continuation that is not of this client", id="returns one made for another client"
            ),
            pytest.param("riddle", "the handler returned Riddle, not a Continuation", id="returns what cannot be shown"),
            pytest.param("nested", "a Message of a MediaType and bytes is wanted, not list", id="responds with a list nested deeply"),
            pytest.param("words", "the outcome must be an Outcome, not str", id="has an outcome in words"),
            pytest.param("signal", "signal of the protocol", id="responds with a signal"),
            pytest.param("large 5000", "limit of 1000", id="responds with too much"),
        ],
    )
    def test_a_fault(self, directory: Path, fault: str, said: str) -> None:
        with running(directory, "", "message=1000", program=self.program) as server, ExitStack() as stack:
            other, client = (stack.enter_context(Wire.talking(directory)) for _ in range(2))
            other.write("keep")
            assert other.read(2) == f"{RECEIVED},kept"
            client.write("two")
            assert client.read() == RECEIVED
            client.write(fault, "never folded")
            for wire in (client, other):
                assert wire.read() == CLOSE
                wire.write(CLOSE_OK)
            result = server.result()
            assert (result["error"], result["carry"]) == ("HandlerFailed", ["keep", "two"])
            assert said in str(result["text"])

    def test_one_that_blocks_leaves_everything_in_order(self, directory: Path) -> None:
        gate = fifo(directory)
        with running(directory, "", BEAT, program=self.program) as server, ExitStack() as stack:
            other, client = (stack.enter_context(Wire.talking(directory)) for _ in range(2))
            client.write("ping", f"block {gate}", "ping")
            assert client.read(2) == f"{RECEIVED},pong"
            other.write("many 2", HEARTBEAT, "ping")
            other.stream.settimeout(0.5)
            with pytest.raises(TimeoutError):  # ten heartbeats' time: nobody hears a thing, not even heartbeats
                other.read()
            other.stream.settimeout(PATIENCE)
            gate.write_bytes(b"")
            assert client.read(4) == f"{RECEIVED},released,{RECEIVED},pong"
            assert other.read(5) == f"{RECEIVED},0,1,{RECEIVED},pong"
            assert [wire.read_any() for wire in (client, other)] == [HEARTBEAT] * 2
            assert sorted(server.stop()) == sorted(["ping", f"block {gate}", "many 2", "ping", "ping"])


def drip(wire: Wire, data: bytes, clock: Wire) -> int:
    """Write a byte each time the clock beats, until the other end has had enough; how many it took."""
    with wire.stream as stream:
        for number, byte in enumerate(data):
            assert clock.read_any() == HEARTBEAT
            try:
                stream.sendall(bytes([byte]))
            except (BrokenPipeError, ConnectionResetError):
                return number
    return len(data)


def accepted(wire: Wire, data: bytes) -> int:
    """How much of these bytes the kernel holds for the other end at most."""
    return min(len(data), 2 * wire.stream.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF))


@contextmanager
def crowd(directory: Path, count: int) -> Iterator[list[Wire]]:
    """So many clients that were greeted and accepted."""
    with ExitStack() as stack:
        yield [stack.enter_context(Wire.talking(directory)) for _ in range(count)]


def logged(server: Running) -> str:
    """What the server said in its log, once it has ended."""
    return str(server.result_of_stop().get("log"))
