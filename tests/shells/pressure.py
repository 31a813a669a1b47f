"""What any shell must do under attack and under load: hostile bytes, too much of everything, handlers that fail.

Time passes here by the heartbeats of a connection that is kept for it, never by sleeping.
"""

import re
import socket
from contextlib import ExitStack
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from returns.result import Failure, Success

from ipcfold import ConnectionDropped, Limits, Message, Process, ProtocolBroken, Unacknowledged
from tests.shells.children import Child
from tests.shells.contract import Contract
from tests.shells.handlers import MEBIBYTE
from tests.shells.support import NAME, PATIENCE, ServerProcess, peak_memory_since
from tests.shells.wire import CLOSE, CLOSE_OK, HEARTBEAT, RECEIVED, START, START_OK, Wire, flood, frame, many_clients

BEAT = "heartbeat=0.05"  # seconds


class HostilityContract(Contract):
    """Hostile clients cost the others nothing but their own share."""

    def test_a_silent_client_is_dropped_at_the_limit_and_the_log_says_why(self, directory: Path) -> None:
        with self.running(directory, "handshake=0.2") as server, Wire.to(directory) as silent:
            silent.expect(START).expect_end()
            result = server.result_of_stop()
            assert result["carry"] == []
            assert "limits.handshake" in str(result["log"])

    def test_a_client_that_accepts_byte_by_byte_is_dropped_at_the_limit(self, directory: Path) -> None:
        with self.running(directory, "handshake=0.3", BEAT) as server:
            with Wire.talking(directory) as clock, Wire.to(directory) as dripping:
                assert drip(dripping, frame(START_OK) + frame("ping") * 99, clock) < len(frame(START_OK))
            assert "limits.handshake" in logged(server)

    def test_a_client_that_sends_a_frame_byte_by_byte_is_dropped_at_the_limit(self, directory: Path) -> None:
        with self.running(directory, "frame=0.3", BEAT) as server:
            with Wire.talking(directory) as clock, Wire.talking(directory) as dripping:
                assert drip(dripping, frame("x" * 1000), clock) < 1000
            assert "limits.frame" in logged(server)

    def test_a_client_whose_frames_end_in_the_middle_of_reads_is_not_dropped(self, directory: Path) -> None:
        with self.running(directory, "frame=1.0", BEAT) as server, Wire.talking(directory) as client:
            clock = Wire.talking(directory)
            client.stream.sendall(frame("ping")[:5])
            for _ in range(40):  # twice the limit
                clock.expect_heartbeats(1)
                client.stream.sendall(frame("ping")[5:] + frame("ping")[:5])
                client.expect(RECEIVED, "pong")
            clock.close()
            assert server.stop() == ["ping"] * 40

    def test_a_slow_handler_makes_no_client_exceed_a_limit(self, directory: Path, gate: Path) -> None:
        """Neither a greeting nor half a frame: what came while the server looked away is read first."""
        options = ["handshake=1.0", "frame=1.0", BEAT]
        with self.running(directory, *options) as server, many_clients(directory, 2) as (blocking, half), Wire.to(directory) as greeted:
            large = frame("echo " + "x" * 3_000_000)
            blocking.write("ping", f"block {gate}").expect(RECEIVED, "pong")
            greeted.expect(START)
            half.stream.settimeout(1.5)  # more than both limits
            with pytest.raises(TimeoutError):  # the server takes what its buffer holds
                half.stream.sendall(large)
            sent = accepted(half, large)
            greeted.write(START_OK, "ping")
            with Wire.to(directory) as late:
                late.write(START_OK, "ping")
                gate.write_bytes(b"")
                blocking.expect(RECEIVED, "released")
                greeted.expect(RECEIVED, "pong")
                late.expect(START, RECEIVED, "pong")
            assert sent < len(large)
            half.stream.settimeout(PATIENCE)
            half.expect_heartbeats(1)  # nobody was dropped
            assert "limits.handshake" not in (log := logged(server))
            assert "limits.frame" not in log

    @pytest.mark.parametrize("limit", [64 * 2**20, 0xFFFF_FFFF])
    def test_a_declared_length_takes_no_memory_before_the_content_comes(self, directory: Path, limit: int) -> None:
        declared = frame("")[:12] + (limit).to_bytes(4)
        with self.running(directory, f"message={limit}") as server, Wire.talking(directory) as client:
            before = server.peak_memory()
            with many_clients(directory, 100) as declaring:
                for wire in declaring:
                    wire.stream.sendall(declared + b"x" * 1000)
                client.ping()
                assert server.peak_memory() - before < 16 * 2**20

    def test_a_server_serves_two_hundred_clients_while_as_many_attack(self, directory: Path) -> None:
        accepts = frame(START_OK)
        attacks = [b"", accepts[:9], accepts + frame("half")[:9], accepts + b"\0\0\0\0\0\0\0", b"GET / HTTP/1.1\r\n\r\n"]
        limited = self.running(directory, "handshake=1.0", "frame=1.0", "heartbeat=60")
        with limited as server, many_clients(directory, 200) as good, ExitStack() as stack:
            bad = [stack.enter_context(Wire.to(directory)) for _ in range(200)]
            for number, wire in enumerate(bad):
                wire.stream.sendall(attacks[number % len(attacks)])
            for _ in range(3):
                for wire in good:
                    wire.write("ping")
                for wire in good:
                    wire.expect(RECEIVED, "pong")
            assert all(wire.read() == START and wire.ended() for wire in bad)  # each at its limit
            for wire in good:
                wire.write("ping", CLOSE)
            assert all(wire.read(3) == f"{RECEIVED},pong,{CLOSE_OK}" for wire in good)
            result = server.result_of_stop()
            assert result["carry"] == ["ping"] * 800
            counted = [re.fullmatch(r"WARNING server: (\d+) more clients dropped within a second", text) for text in result["log"]]
            assert sum(1 if count is None else int(count[1]) for count in counted) == 200

    def test_random_bytes_end_no_server(self, directory: Path) -> None:
        with self.running(directory, "handshake=0.5") as server, Wire.talking(directory) as client:

            @settings(max_examples=50, suppress_health_check=[HealthCheck.too_slow])
            @given(st.binary(max_size=200) | st.binary(max_size=20).map(lambda data: frame(START_OK) + data))
            def attack(data: bytes) -> None:
                with Wire.to(directory) as hostile:
                    hostile.stream.sendall(data)
                client.ping()

            attack()
            client.close()
            assert set(server.stop()) == {"ping"}


class BackpressureContract(Contract):
    """Whoever writes more than the other end reads waits; memory stays under the limits on both ends."""

    def test_a_gibibyte_of_responses_to_a_slow_client_stays_under_the_limits(
        self, directory: Path, server: ServerProcess, process: Process
    ) -> None:
        before = server.peak_memory()
        own = peak_memory_since()
        assert process.send(Message.text("much 1000")) == Success(process)
        with Wire.talking(directory) as other:
            for number in range(1000):
                assert process.wait() == Success(MEBIBYTE)
                if number % 50 == 0:
                    other.ping()
        assert server.peak_memory() - before < 16 * 2**20
        assert own() < 32 * 2**20

    def test_both_ends_writing_at_once_stay_under_the_limits(self, server: ServerProcess, process: Process) -> None:
        message = Message.text("echo " + "x" * 2**20)
        before = server.peak_memory()
        own = peak_memory_since()
        for _ in range(10):
            assert process.send(*[message] * 50) == Success(process)
            assert [process.wait().unwrap() for _ in range(50)] == [message] * 50
        assert server.peak_memory() - before < 520 * 2**20  # its carry is a log of all that came
        assert own() < 128 * 2**20

    def test_clients_that_write_and_never_read_delay_no_other(self, directory: Path, server: ServerProcess, client: Wire) -> None:
        before = server.peak_memory()
        with many_clients(directory, 20) as flooding:
            for wire in flooding:
                flood(wire, frame("many 1000") * 50_000, client.ping)
            client.ping()
            assert server.peak_memory() - before < (20 * 4 + 16) * 2**20

    def test_a_message_over_the_server_s_limit_is_told_on_both_ends(self, directory: Path) -> None:
        small, large = Message.text("quiet"), Message.text("x" * 5000)
        with self.running(directory, "message=1000") as server:
            process = self.ipc(directory).get(NAME).unwrap()
            failed = process.send(small, small, large, small).failure()
            assert failed == Unacknowledged(2, 4, ConnectionDropped(NAME, server.pid, 5000))
            assert "5000 bytes" in str(failed)
            assert "limits.message" in str(failed)
            assert process.close() == Failure(ConnectionDropped(NAME, server.pid, 5000))
            result = server.result_of_stop()
            assert result["carry"] == ["quiet", "quiet"]  # exactly those acknowledged
            assert "a content of 5000 bytes is over the limit of 1000" in str(result["log"])

    def test_a_dropped_client_knows_how_many_messages_are_folded_at_least(self, directory: Path) -> None:
        said = ["hold", "large 500000", *["quiet"] * 100, "close"]  # the socket has no room for the acknowledgements behind that response

        def send(_: object) -> object:
            return self.ipc(directory).get(NAME).unwrap().send(*map(Message.text, said)).failure()

        with self.running(directory, "frame=0.2", heard=True) as server, Child(send) as client:
            assert server.record().endswith("it read nothing of what waited for it for 0.2 s (limits.frame)")
            client.resume()
            told = client.result()
            acknowledged = int(told.split()[0])
            assert 0 < acknowledged < len(said)
            assert told == str(Unacknowledged(acknowledged, len(said), ConnectionDropped(NAME, server.pid, len("large 500000"))))
            assert server.stop() == said

    def test_a_response_over_the_client_s_limit_is_told_on_both_ends(self, directory: Path, server: ServerProcess) -> None:
        process = self.ipc(directory, limits=Limits(message=1000)).get(NAME).unwrap()
        failed = process.ask(Message.text("much 9")).failure()
        assert failed == ProtocolBroken(NAME, f"a content of {2**20} bytes is over the limit of 1000")
        with Wire.talking(directory) as other:  # its turn comes after the end of the first is seen
            other.ping()
        result = server.result_of_stop()
        assert result["carry"] == ["much 9", "ping"]
        assert "without reading" in str(result["log"])


class HandlerContract(Contract):
    """Whatever a handler does, the last good carry is in the result, and every client is told to close."""

    @pytest.mark.parametrize(
        ("fault", "said"),
        [
            pytest.param("raise", "KeyError", id="raises"),
            pytest.param("exit", "SystemExit(3)", id="calls sys.exit"),
            pytest.param("recurse", "RecursionError", id="recurses too deep"),
            pytest.param("nothing", "the handler returned NoneType, not a Continuation", id="returns no continuation"),
            pytest.param("async", "not a Continuation", id="is a coroutine of nothing"),
            pytest.param(
                "stale", "the handler returned a Continuation that is not of this client", id="returns one made for another client"
            ),
            pytest.param("unprintable", "the handler returned Unprintable, not a Continuation", id="returns what cannot be shown"),
            pytest.param("nested", "a Message of a MediaType and bytes is wanted, not list", id="responds with a list nested deeply"),
            pytest.param("words", "the outcome must be an Outcome, not str", id="has an outcome in words"),
            pytest.param("signal", "signal of the protocol", id="responds with a signal"),
            pytest.param("large 5000", "limit of 1000", id="responds with too much"),
        ],
    )
    def test_a_handler_that_fails_ends_the_server_with_the_last_good_carry(self, directory: Path, fault: str, said: str) -> None:
        with self.running(directory, "message=1000") as server, many_clients(directory, 2) as (other, client):
            other.write("keep").expect(RECEIVED, "kept")
            client.write("two").expect(RECEIVED).write(fault, "never folded")
            for wire in (client, other):
                wire.expect(CLOSE).write(CLOSE_OK)
            result = server.result()
            assert (result["error"], result["carry"]) == ("HandlerFailed", ["keep", "two"])
            assert said in str(result["text"])

    def test_a_handler_that_blocks_changes_no_order(self, directory: Path, gate: Path) -> None:
        with self.running(directory, BEAT) as server, many_clients(directory, 2) as (other, client):
            client.write("ping", f"block {gate}", "ping").expect(RECEIVED, "pong")
            other.write("many 2", HEARTBEAT, "ping")
            other.stream.settimeout(0.5)
            with pytest.raises(TimeoutError):  # ten heartbeats' time: nobody hears a thing, not even heartbeats
                other.read()
            other.stream.settimeout(PATIENCE)
            gate.write_bytes(b"")
            client.expect(RECEIVED, "released", RECEIVED, "pong")
            other.expect(RECEIVED, "0", "1", RECEIVED, "pong")
            for wire in (client, other):
                wire.expect_heartbeats(1)
            assert sorted(server.stop()) == sorted(["ping", f"block {gate}", "many 2", "ping", "ping"])


def drip(wire: Wire, data: bytes, clock: Wire) -> int:
    """Write a byte each time the clock beats, until the other end has had enough; how many it took."""
    with wire.stream as stream:
        for number, byte in enumerate(data):
            clock.expect_heartbeats(1)
            try:
                stream.sendall(bytes([byte]))
            except (BrokenPipeError, ConnectionResetError):
                return number
    return len(data)


def accepted(wire: Wire, data: bytes) -> int:
    """How much of these bytes the kernel holds for the other end at most."""
    return min(len(data), 2 * wire.stream.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF))


def logged(server: ServerProcess) -> str:
    """What the server said in its log, once it has ended."""
    return str(server.result_of_stop().get("log"))
