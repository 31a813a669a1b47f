"""What any shell must do, over real sockets and with real processes.

A shell's test module names its server program and its way to connect, and inherits these tests. Server tests
speak to it by hand; client tests are spoken to by hand or by a server process.
"""

import os
import signal
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from returns.pipeline import flow
from returns.result import Failure, Success

from ipcfold import (
    IPC,
    ConnectError,
    ConnectionClosed,
    ConnectionLost,
    ConnectionRefused,
    Limits,
    Message,
    MessageTooLarge,
    Name,
    NoServer,
    Peer,
    PeerUntrusted,
    ProcessClosed,
    ProtocolBroken,
    ReservedMessage,
    TimedOut,
    Unacknowledged,
    UnreadExceeded,
    UsedAfterFork,
    pipeline,
)
from ipcfold.pointfree import ask, close, flat_map, send, wait
from tests.shells.faults import Child
from tests.shells.support import (
    CLOSE,
    CLOSE_OK,
    HEARTBEAT,
    NAME,
    PATIENCE,
    RECEIVED,
    START,
    START_OK,
    Wire,
    descriptors,
    fifo,
    flood,
    frame,
    listening,
    result_of,
    running,
    signals_every,
    started,
)


class ServerContract:
    """A server keeps the promises to whoever connects."""

    program = "tests.shells.serve"

    def test_many_clients_are_answered_and_the_carry_comes_back(self, directory: Path) -> None:
        with running(directory, program=self.program) as server:
            for _ in range(3):
                with Wire.talking(directory) as client:
                    client.write("ping")
                    assert client.read(2) == f"{RECEIVED},pong"
                    client.write(CLOSE)
                    assert client.read() == CLOSE_OK
                    assert client.ended()
            with Wire.talking(directory) as client:
                client.write("stop")
                assert client.read(2) == f"{RECEIVED},{CLOSE}"
                assert not (directory / "server.sock").exists()  # whoever was told finds the name gone
                client.write(CLOSE_OK)
                assert client.ended()
            assert server.carry() == ["ping", "ping", "ping", "stop"]

    def test_it_leaves_nothing_behind(self, directory: Path) -> None:
        with running(directory, program=self.program) as server:
            assert server.stop() == []
        assert list(directory.iterdir()) == []

    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
    def test_a_signal_ends_it_in_good_order(self, directory: Path, number: signal.Signals) -> None:
        with running(directory, program=self.program) as server, Wire.talking(directory) as client:
            client.write("quiet")
            assert client.read() == RECEIVED
            server.signal(number)
            assert client.read() == CLOSE
            client.write("late", CLOSE_OK)
            assert client.ended()
            assert server.carry() == ["quiet"]

    def test_signals_in_a_storm_end_it_once(self, directory: Path) -> None:
        with running(directory, program=self.program) as server, Wire.talking(directory) as client:
            client.write("quiet")
            assert client.read() == RECEIVED
            for _ in range(50):
                server.signal(signal.SIGTERM)
            assert client.read() == CLOSE
            client.write(CLOSE_OK)
            assert server.carry() == ["quiet"]

    def test_a_timeout_without_messages_is_a_success(self, directory: Path) -> None:
        with running(directory, "3.0", program=self.program) as server, Wire.talking(directory) as client:
            client.write("quiet", HEARTBEAT)
            assert client.read(2) == f"{RECEIVED},{CLOSE}"
            client.write(CLOSE_OK)
            assert server.carry() == ["quiet"]

    def test_who_does_not_confirm_holds_the_end_up_no_longer_than_the_drain(self, directory: Path) -> None:
        with running(directory, "", "drain=0.2", program=self.program) as server, Wire.talking(directory) as client:
            client.write("quiet")
            assert client.read() == RECEIVED
            assert server.stop() == ["quiet"]

    def test_a_killed_client_costs_nothing_but_its_connection(self, directory: Path) -> None:
        with running(directory, program=self.program) as server:

            def die(_: object) -> None:
                dying = Wire.talking(directory)
                dying.write("ping")
                dying.read(2)
                os.kill(os.getpid(), signal.SIGKILL)

            with Child(die) as child:
                assert child.ended() == (-signal.SIGKILL, "")
            with Wire.talking(directory) as client:
                client.write("ping")
                assert client.read(2) == f"{RECEIVED},pong"
            assert server.stop() == ["ping", "ping"]

    def test_what_a_client_said_before_it_went_is_folded(self, directory: Path) -> None:
        gate = fifo(directory)
        with running(directory, program=self.program) as server:
            with Wire.talking(directory) as leaving:
                leaving.write("one", "two", f"block {gate}")
            gate.write_bytes(b"")  # which waits until the handler is at it
            with Wire.talking(directory) as client:
                client.write("four")
                assert client.read() == RECEIVED
            assert server.stop() == ["one", "two", f"block {gate}", "four"]

    def test_who_ends_only_its_own_half_hears_the_rest(self, directory: Path) -> None:
        with running(directory, program=self.program) as server, Wire.talking(directory) as client:
            client.write("ping", "ping")
            client.stream.shutdown(socket.SHUT_WR)
            assert client.read(5) == f"{RECEIVED},pong,{RECEIVED},pong"
            assert server.stop() == ["ping", "ping"]

    @pytest.mark.parametrize(
        ("hostile", "ends"),
        [
            pytest.param(frame("half")[:9], False, id="half a frame"),
            pytest.param(frame("innmind/ipc:connection.unknown"), False, id="unknown signal"),
            pytest.param(frame("wrong")[:-1] + b"\x00", True, id="wrong end mark"),
            pytest.param(frame("type", "no media type"), True, id="no media type"),
            pytest.param(b"\x00\x0atext/plain\xff\xff\xff\xff", True, id="4 GiB declared"),
            pytest.param(b"GET / HTTP/1.1\r\n\r\n", False, id="another protocol"),
        ],
    )
    def test_one_hostile_client_is_noticed_by_no_other(self, directory: Path, hostile: bytes, ends: bool) -> None:  # noqa: FBT001 - a column of the table above
        with running(directory, program=self.program) as server, Wire.talking(directory) as client, Wire.talking(directory) as bad:
            client.write("ping")
            assert client.read(2) == f"{RECEIVED},pong"
            bad.stream.sendall(hostile)
            if ends:
                assert bad.ended()
            client.write("ping")
            assert client.read(2) == f"{RECEIVED},pong"
            unknown = ["innmind/ipc:connection.unknown"] if b"unknown" in hostile else []
            assert sorted(server.stop()) == sorted([*unknown, "ping", "ping"])

    def test_the_rest_of_half_a_frame_may_come_later(self, directory: Path) -> None:
        with running(directory, program=self.program) as server, Wire.talking(directory) as slow, Wire.talking(directory) as client:
            for byte in frame("ping"):
                slow.stream.sendall(bytes([byte]))
                client.write("quiet")
                assert client.read() == RECEIVED
            assert slow.read(2) == f"{RECEIVED},pong"
            assert server.stop().count("ping") == 1

    def test_what_comes_before_the_greeting_is_accepted_is_ignored(self, directory: Path) -> None:
        with running(directory, program=self.program) as server, Wire.to(directory) as client:
            client.write("ignored", CLOSE, START_OK, "ping")
            assert client.read(3) == f"{START},{RECEIVED},pong"
            assert server.stop() == ["ping"]

    def test_who_does_not_accept_the_greeting_is_dropped(self, directory: Path) -> None:
        with running(directory, "", "handshake=0.2", program=self.program) as server, Wire.to(directory) as client:
            assert client.read() == START
            assert client.ended()
            assert server.stop() == []

    def test_silence_is_filled_with_heartbeats(self, directory: Path) -> None:
        with running(directory, "", "heartbeat=0.05", program=self.program), Wire.to(directory) as client:
            assert client.read() == START
            client.write(START_OK)
            assert [client.read_any() for _ in range(3)] == [HEARTBEAT] * 3

    def test_responses_follow_their_acknowledgement_in_order(self, directory: Path) -> None:
        with running(directory, program=self.program), Wire.talking(directory) as client:
            client.write("many 3", "quiet", "echo me", "close", "never folded")
            assert client.read(9) == f"{RECEIVED},0,1,2,{RECEIVED},{RECEIVED},echo me,{RECEIVED},closing"
            assert client.read() == CLOSE

    def test_an_acknowledgement_does_not_wait_for_a_slow_handler(self, directory: Path) -> None:
        gate = fifo(directory)
        with running(directory, program=self.program), Wire.talking(directory) as client:
            client.write("ping", f"block {gate}", "ping")
            assert client.read(2) == f"{RECEIVED},pong"  # comes while the second is in the handler
            gate.write_bytes(b"")
            assert client.read(4) == f"{RECEIVED},released,{RECEIVED},pong"

    def test_an_acknowledgement_does_not_wait_for_a_slow_handler_after_many_quick_ones(self, directory: Path) -> None:
        gate = fifo(directory)
        with running(directory, program=self.program), Wire.talking(directory) as client:
            # As many as the socket has room for the acknowledgements of: they wait for a client that does not read in time.
            client.write(*["quiet"] * 150, "ping", f"block {gate}")
            assert client.read(152) == ",".join([*[RECEIVED] * 151, "pong"])
            gate.write_bytes(b"")
            assert client.read(2) == f"{RECEIVED},released"

    def test_an_acknowledgement_does_not_wait_for_a_slow_handler_after_a_silence(self, directory: Path) -> None:
        gate = fifo(directory)
        with running(directory, program=self.program), Wire.talking(directory) as client:
            for _ in range(2):
                client.write("ping", "ping", f"block {gate}", "ping")
                assert client.read(4) == f"{RECEIVED},pong,{RECEIVED},pong"
                gate.write_bytes(b"")
                assert client.read(4) == f"{RECEIVED},released,{RECEIVED},pong"
                assert client.read_any() == HEARTBEAT  # so long was it silent

    def test_a_second_signal_interrupts_a_stuck_handler(self, directory: Path) -> None:
        gate = fifo(directory)
        with running(directory, program=self.program) as server, Wire.talking(directory) as client:
            client.write("one", f"block {gate}")
            assert client.read() == RECEIVED
            with gate.open("wb"):  # opens once the handler has opened its end, which then reads until this is closed
                server.signal(signal.SIGTERM)
                server.signal(signal.SIGINT)
                while not client.heard(0.1):  # one that comes just before a system call begins does not wake it from that
                    server.signal(signal.SIGINT)
                assert client.read() == CLOSE  # and no acknowledgement
            client.write(CLOSE_OK)
            assert server.carry() == ["one"]

    @pytest.mark.parametrize("media_type", ["TEXT/plain", "text/PLAIN"])
    def test_a_signal_under_another_spelling_cannot_be_echoed(self, directory: Path, media_type: str) -> None:
        with running(directory, program="tests.shells.serve_recorded") as server, Wire.talking(directory) as client:
            client.stream.sendall(frame(HEARTBEAT, media_type))
            client.write("ping")
            assert client.read(2) == f"{RECEIVED},ping"
            server.signal(signal.SIGTERM)
            assert client.read() == CLOSE
            client.write(CLOSE_OK)
            assert server.result() == {"carry": 1}

    def test_a_client_that_pipelines_does_not_starve_another(self, directory: Path) -> None:
        gate = fifo(directory)
        with running(directory, program=self.program) as server, Wire.talking(directory) as busy, Wire.talking(directory) as client:
            busy.write(f"block {gate}", f"block {gate}", *["quiet"] * 5000)
            gate.write_bytes(b"")
            assert busy.read(2) == f"{RECEIVED},released"
            client.write("ping")  # its turn comes after the second block, and long before the thousands
            gate.write_bytes(b"")
            assert client.read(2) == f"{RECEIVED},pong"
            assert busy.read(5002) == ",".join([RECEIVED, "released", *[RECEIVED] * 5000])
            carry = server.stop()
            assert carry.index("ping") < 2500

    def test_a_client_that_never_reads_takes_bounded_memory(self, directory: Path) -> None:
        with running(directory, program=self.program) as server, Wire.talking(directory) as deaf, Wire.talking(directory) as client:
            before = server.peak_memory()

            def ping() -> None:
                client.write("ping")
                assert client.read(2) == f"{RECEIVED},pong"

            flood(deaf, frame("large 100000") * 100_000, ping)
            assert server.peak_memory() - before < 16 * 2**20

    def test_fifteen_hundred_clients_at_once_are_each_answered(self, directory: Path) -> None:
        with descriptors(3000), running(directory, program=self.program) as server:
            clients = [Wire.to(directory) for _ in range(1500)]
            for client in clients:
                client.write(START_OK, "ping")
            assert all(client.read(3) == f"{START},{RECEIVED},pong" for client in clients)
            for client in clients:
                client.close()
            assert server.stop() == ["ping"] * 1500

    def test_one_client_over_the_limit_is_turned_away(self, directory: Path) -> None:
        limited = running(directory, "", "connections=2", program=self.program)
        with limited, Wire.talking(directory) as first, Wire.talking(directory), Wire.to(directory) as third:
            assert third.ended()
            first.write("ping", CLOSE)
            assert first.read(3) == f"{RECEIVED},pong,{CLOSE_OK}"
            assert first.ended()
            with Wire.talking(directory) as fourth:
                fourth.write("ping")
                assert fourth.read(2) == f"{RECEIVED},pong"

    @pytest.mark.parametrize(("verb", "kind"), [("raise", "KeyError"), ("exit", "SystemExit")])
    def test_a_failing_handler_ends_it_with_the_last_good_carry(self, directory: Path, verb: str, kind: str) -> None:
        with running(directory, program=self.program) as server, Wire.talking(directory) as other, Wire.talking(directory) as client:
            other.write("one")
            assert other.read() == RECEIVED
            client.write("two", verb, "never folded")
            assert client.read(2) == f"{RECEIVED},{CLOSE}"
            assert other.read() == CLOSE
            for wire in (client, other):
                wire.write(CLOSE_OK)
            result = server.result()
            assert (result["error"], result["carry"]) == ("HandlerFailed", ["one", "two"])
            assert kind in str(result["text"])

    def test_an_interrupted_handler_is_a_shutdown(self, directory: Path) -> None:
        with running(directory, program=self.program) as server, Wire.talking(directory) as client:
            client.write("one", "interrupt")
            assert client.read(2) == f"{RECEIVED},{CLOSE}"
            client.write(CLOSE_OK)
            assert server.carry() == ["one"]

    def test_a_child_that_the_handler_forks_does_not_keep_a_dead_server_alive(self, directory: Path) -> None:
        gate = fifo(directory)
        with running(directory, program=self.program) as server, Wire.talking(directory) as client:
            client.write(f"leave {gate}")
            assert client.read(2) == f"{RECEIVED},left"
            with gate.open("wb"):  # the child lives until this is closed
                server.signal(signal.SIGKILL)
                server.process.wait()
                assert client.ended()
                assert IPC(directory).processes() == Success(frozenset())
                with running(directory, program=self.program) as next_one:
                    assert next_one.stop() == []

    def test_a_child_that_the_handler_forks_does_not_serve(self, directory: Path) -> None:
        with running(directory, program=self.program) as server, Wire.talking(directory) as client:
            client.write("fork")
            assert client.read(2) == f"{RECEIVED},0"  # the child came out of its server in good order
            client.write("ping")
            assert client.read(2) == f"{RECEIVED},pong"
            assert (directory / "server.sock").exists()
            assert server.stop() == ["fork", "ping"]

    def test_the_handler_knows_its_peer_by_the_kernel_s_word(self, directory: Path) -> None:
        with running(directory, program=self.program), Wire.talking(directory) as one, Wire.talking(directory) as two:
            for wire in (one, two):
                wire.write("whoami")
            answers = [wire.read(2).split(",")[1].split() for wire in (one, two)]
            assert all(answer[1:] == [str(os.getpid()), str(os.geteuid()), str(os.getegid())] for answer in answers)
            assert answers[0][0] != answers[1][0]


class OwnershipContract:
    """A name has one owner."""

    program = "tests.shells.serve"

    def test_the_second_server_says_who_holds_the_name(self, directory: Path) -> None:
        with running(directory, program=self.program) as server:
            second = result_of(started(directory, program=self.program))
            assert second["error"] == "NameTaken"
            assert second["pid"] == server.pid
            assert server.stop() == []

    def test_after_an_end_the_name_is_free(self, directory: Path) -> None:
        for _ in range(2):
            with running(directory, program=self.program) as server:
                assert server.stop() == []

    def test_whoever_sees_the_socket_may_end_the_server(self, directory: Path) -> None:
        for _ in range(10):
            process = started(directory, program=self.program)
            while not (directory / "server.sock").exists():
                pass
            process.terminate()
            assert result_of(process) == {"carry": []}

    def test_what_a_killed_server_left_is_taken_over(self, directory: Path) -> None:
        with running(directory, program=self.program) as server:
            server.signal(signal.SIGKILL)
            server.process.wait()
            assert (directory / "server.sock").exists()
            assert IPC(directory).processes().unwrap() == frozenset()
        with running(directory, program=self.program) as server:
            assert IPC(directory).processes().unwrap() == frozenset({NAME})
            assert server.stop() == []

    def test_a_live_server_of_another_make_is_not_robbed(self, directory: Path) -> None:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(directory / "server.sock"))
            listener.listen()

            def converse() -> None:
                with Wire(listener.accept()[0]) as client:
                    client.write(START)
                    assert client.read(2) == f"{START_OK},{CLOSE}"
                    client.write(CLOSE_OK)

            with beside(converse):
                result = result_of(started(directory, program=self.program))
            assert (result["error"], result["pid"]) == ("NameTaken", os.getpid())
            assert (directory / "server.sock").exists()

    def test_of_two_that_start_at_once_exactly_one_runs(self, directory: Path) -> None:
        for round_ in range(10):
            name = Name(f"round-{round_}")
            racers = [started(directory, name, program=self.program) for _ in range(2)]
            winner = IPC(directory).wait(name, PATIENCE).unwrap()
            (loser,) = [racer for racer in racers if racer.pid != winner.peer.pid]
            result = result_of(loser)
            assert (result["error"], result["pid"]) == ("NameTaken", winner.peer.pid)
            winner.close().unwrap()
            (running_one,) = [racer for racer in racers if racer.pid == winner.peer.pid]
            running_one.terminate()
            assert result_of(running_one) == {"carry": []}


class ClientContract:
    """A client gets a value for whatever happens, and never takes one thing for another."""

    program = "tests.shells.serve"

    def test_send_then_wait(self, directory: Path) -> None:
        with running(directory, program=self.program) as server:
            process = IPC(directory).get(NAME).unwrap()
            assert (process.name, process.peer.pid, process.peer.uid, process.closed) == (NAME, server.pid, os.geteuid(), False)
            assert process.send(Message.text("ping")) == Success(process)
            assert process.wait() == Success(Message.text("pong"))
            assert process.close() == Success(None)
            assert process.closed

    def test_a_pipeline(self, directory: Path) -> None:
        with running(directory, program=self.program):
            for verb in (flat_map(ask(Message.text("ping"))), flat_map(ask(Message.text("ping"), PATIENCE))):
                assert flow(NAME, IPC(directory).get, verb) == Success(Message.text("pong"))
            pinged = flow(Name.of("server"), flat_map(IPC(directory).wait), flat_map(send(Message.text("ping"))))
            assert flow(pinged, flat_map(wait())) == Success(Message.text("pong"))
            assert flow(pinged, flat_map(close())) == Success(None)
            chain = pipeline(Name.of("server")).flat_map(IPC(directory).wait).flat_map(send(Message.text("ping")))
            assert chain.flat_map(wait()).result == Success(Message.text("pong"))
            assert chain.flat_map(ask(Message.text("ping"), PATIENCE)).match(lambda message: message.content, str) == b"pong"
            assert chain.flat_map(close()).result == Success(None)

    def test_several_messages_in_one_send_then_their_responses(self, directory: Path) -> None:
        with running(directory, program=self.program) as server, IPC(directory).get(NAME).unwrap() as process:
            assert process.send(Message.text("echo one"), Message.text("echo two")) == Success(process)
            assert process.wait() == Success(Message.text("echo one"))
            assert process.wait() == Success(Message.text("echo two"))
            assert process.wait(0) == Failure(TimedOut(NAME, 0, "a response of"))
            assert process.send() == Success(process)
            process.close()
            assert server.stop() == ["echo one", "echo two"]

    def test_both_ends_writing_much_at_once_is_no_deadlock(self, directory: Path) -> None:
        much = [Message.text(f"echo {number} " + "x" * 300_000) for number in range(60)]
        with running(directory, program=self.program), IPC(directory).get(NAME).unwrap() as process:
            assert process.send(*much) == Success(process)
            assert [process.wait().unwrap() for _ in much] == much

    def test_a_large_message_goes_and_comes(self, directory: Path) -> None:
        large = Message.text("echo " + "x" * (20 * 2**20))
        with running(directory, program=self.program), IPC(directory).get(NAME).unwrap() as process:
            assert process.ask(large, PATIENCE) == Success(large)

    def test_get_fails_at_once_without_a_server(self, directory: Path) -> None:
        assert IPC(directory).get(NAME) == Failure(NoServer(NAME, directory / "server.sock"))

    def test_wait_finds_a_server_that_starts_later(self, directory: Path) -> None:
        starting = started(directory, program=self.program)
        process = IPC(directory).wait(NAME).unwrap()
        assert process.ask(Message.text("ping")) == Success(Message.text("pong"))
        process.close()
        starting.terminate()
        assert result_of(starting) == {"carry": ["ping"]}

    @pytest.mark.parametrize("timeout", [0.0, 0.05])
    def test_wait_gives_up_in_time(self, directory: Path, timeout: float) -> None:
        assert IPC(directory).wait(NAME, timeout) == Failure(TimedOut(NAME, timeout, "the server"))

    def test_wait_passes_over_what_a_killed_server_left(self, directory: Path) -> None:
        with running(directory, program=self.program) as server:
            server.signal(signal.SIGKILL)
            server.process.wait()
        assert IPC(directory).get(NAME) == Failure(NoServer(NAME, directory / "server.sock"))
        assert IPC(directory).wait(NAME, 0.05) == Failure(TimedOut(NAME, 0.05, "the server"))

    def test_a_late_response_is_never_taken_for_another(self, directory: Path) -> None:
        gate = fifo(directory)
        with running(directory, program=self.program), IPC(directory).get(NAME).unwrap() as process:
            assert process.ask(Message.text(f"block {gate}"), 0.05) == Failure(TimedOut(NAME, 0.05, "the response of"))
            gate.write_bytes(b"")
            assert process.ask(Message.text("echo two")) == Success(Message.text("echo two"))
            assert process.wait() == Success(Message.text("released"))

    def test_a_wait_that_gave_up_goes_on_later(self, directory: Path) -> None:
        gate = fifo(directory)
        with running(directory, program=self.program), IPC(directory).get(NAME).unwrap() as process:
            asked = process.ask(Message.text(f"block {gate}"), 0.05)
            assert isinstance(asked.failure(), TimedOut)
            assert isinstance(process.wait(0.05).failure(), TimedOut)
            gate.write_bytes(b"")
            assert process.send(Message.text("quiet")) == Success(process)
            assert process.wait() == Success(Message.text("released"))

    def test_a_server_that_stops_half_way_through_a_batch(self, directory: Path) -> None:
        batch = [Message.text(f"echo {number}") for number in range(10)]
        with running(directory, program=self.program) as server, IPC(directory).get(NAME).unwrap() as process:
            sent = process.send(*batch[:4], Message.text("stop"), *batch[4:])
            assert sent == Failure(Unacknowledged(5, 11, ConnectionClosed(NAME)))
            assert process.closed
            assert [process.wait().unwrap() for _ in range(4)] == batch[:4]
            assert process.wait() == Failure(ConnectionClosed(NAME))
            assert process.send(batch[0]) == Failure(Unacknowledged(0, 1, ConnectionClosed(NAME)))
            assert process.close() == Success(None)
            assert server.carry() == ["echo 0", "echo 1", "echo 2", "echo 3", "stop"]

    def test_a_server_that_is_killed(self, directory: Path) -> None:
        with running(directory, program=self.program) as server:
            process = IPC(directory).get(NAME).unwrap()
            assert process.send(Message.text("ping")) == Success(process)
            server.signal(signal.SIGKILL)
            server.process.wait()
            assert process.send(Message.text("ping")) == Failure(Unacknowledged(0, 1, ConnectionLost(NAME)))
            assert process.wait() == Success(Message.text("pong"))
            assert process.wait() == Failure(ConnectionLost(NAME))
            assert process.ask(Message.text("ping")) == Failure(Unacknowledged(0, 1, ConnectionLost(NAME)))
            assert process.close() == Failure(ConnectionLost(NAME))
            assert process.close() == Success(None)

    def test_an_idle_client_learns_of_the_end_with_its_next_word(self, directory: Path) -> None:
        with running(directory, "", "drain=0.05", program=self.program) as server:
            process = IPC(directory).get(NAME).unwrap()
            assert server.stop() == []
            assert not process.closed
            assert process.ask(Message.text("ping")) == Failure(Unacknowledged(0, 1, ConnectionClosed(NAME)))
            assert process.closed

    def test_what_may_not_be_sent_is_refused_whole(self, directory: Path) -> None:
        signal_ = Message.text("innmind/ipc:heartbeat")
        large = Message.text("x" * 11)
        with running(directory, program=self.program) as server, IPC(directory, limits=Limits(message=10)).get(NAME).unwrap() as process:
            assert process.send(Message.text("quiet"), signal_) == Failure(ReservedMessage(signal_))
            assert process.ask(signal_) == Failure(ReservedMessage(signal_))
            assert process.send(Message.text("quiet"), large) == Failure(MessageTooLarge(11, 10))
            assert process.send(Message.text("x" * 10)) == Success(process)
            process.close()
            assert server.stop() == ["x" * 10]

    def test_a_batch_with_something_that_is_no_message_sends_nothing(self, directory: Path) -> None:
        with running(directory, program=self.program) as server, IPC(directory).get(NAME).unwrap() as process:
            for wrong in ("text", Message.octets("text"), None):  # type: ignore[arg-type]  # what this test is about
                with pytest.raises(TypeError, match="Message"):
                    process.send(Message.text("ping"), wrong)  # type: ignore[arg-type]  # as above
            with pytest.raises(TypeError):
                process.ask(Message.text("ping"), "soon")  # type: ignore[arg-type]  # as above
            assert process.ask(Message.text("echo 1")) == Success(Message.text("echo 1"))
            process.close()
            assert server.stop() == ["echo 1"]

    def test_what_a_signal_s_handler_raises_is_raised_and_harms_nothing(self, directory: Path) -> None:
        struck = False

        def alarm(*_: object) -> None:
            nonlocal struck
            if not struck:
                struck = True
                raise TimeoutError("alarm")

        with running(directory, program=self.program), IPC(directory).get(NAME).unwrap() as process:
            with pytest.raises(TimeoutError, match="alarm"), signals_every(0.1, alarm):
                process.wait()
            assert process.ask(Message.text("ping")) == Success(Message.text("pong"))

    def test_ask_says_whether_its_message_was_folded(self, directory: Path) -> None:
        with running(directory, program=self.program), IPC(directory).get(NAME).unwrap() as process:
            late = process.ask(Message.text("quiet"), 1.0).failure()
            assert late == TimedOut(NAME, 1.0, "the response of", 1)
            assert "was folded" in str(late)

    def test_a_response_is_never_taken_for_one_to_a_message_that_was_not_sent(self, directory: Path) -> None:
        with running(directory, program=self.program) as server, IPC(directory).get(NAME).unwrap() as process:
            assert process.ask(Message.text("twice")) == Success(Message.text("1"))
            assert process.ask(Message.text("ping")) == Failure(Unacknowledged(0, 1, ConnectionClosed(NAME)))
            assert process.wait() == Success(Message.text("2"))
            assert process.ask(Message.text("ping")) == Failure(Unacknowledged(0, 1, ConnectionClosed(NAME)))
            assert server.stop() == ["twice"]

    def test_who_is_closed_still_gets_a_large_response(self, directory: Path) -> None:
        with running(directory, "", "drain=0.05", program=self.program), IPC(directory).get(NAME).unwrap() as process:
            assert process.send(Message.text("last 3000000")) == Success(process)
            with IPC(directory).get(NAME).unwrap() as other:  # the drain passes
                assert isinstance(other.wait(0.2).failure(), TimedOut)
            assert process.wait() == Success(Message.octets(b"x" * 3_000_000))
            assert process.wait() == Failure(ConnectionClosed(NAME))

    def test_the_default_timeout_of_sockets_is_not_ours(self, directory: Path) -> None:
        gate = fifo(directory)
        socket.setdefaulttimeout(0.05)
        try:
            with running(directory, program=self.program), IPC(directory).get(NAME).unwrap() as process:
                assert isinstance(process.ask(Message.text(f"block {gate}"), 0.2).failure(), TimedOut)
                gate.write_bytes(b"")
                assert process.send(Message.text("quiet")) == Success(process)
                assert process.wait() == Success(Message.text("released"))
        finally:
            socket.setdefaulttimeout(None)

    def test_a_closed_process(self, directory: Path) -> None:
        with running(directory, program=self.program):
            with IPC(directory).get(NAME).unwrap() as process:
                assert not process.closed
            assert process.closed
            closed = Failure(ProcessClosed(NAME))
            assert (process.send(Message.text("a")), process.wait(), process.ask(Message.text("a"))) == (closed, closed, closed)
            assert process.close() == Success(None)

    def test_a_process_used_after_a_fork(self, directory: Path) -> None:
        def use(_: object) -> object:
            with IPC(directory).get(NAME).unwrap() as process:
                child = os.fork()
                if child == 0:
                    forked = Failure(UsedAfterFork(NAME, os.getppid()))
                    said = (process.send(Message.text("a")), process.wait(), process.ask(Message.text("a")), process.close())
                    os._exit(0 if said == (forked,) * 4 and process.closed else 1)
                return os.waitpid(child, 0)[1], process.ask(Message.text("ping"))

        with running(directory, program=self.program) as server, Child(use) as user:
            assert user.result() == str((0, Success(Message.text("pong"))))
            assert server.stop() == ["ping"]

    def test_responses_that_nobody_waits_for_are_bounded(self, directory: Path) -> None:
        with running(directory, program=self.program):
            process = IPC(directory, limits=Limits(unread=10_000)).get(NAME).unwrap()
            sent = process.send(*[Message.text("large 1000")] * 100).failure()
            assert isinstance(sent, Unacknowledged)
            assert sent.reason == UnreadExceeded(NAME, 10_000)
            assert 0 < sent.acknowledged < 100
            assert process.wait() == Success(Message.octets(b"x" * 1000))
            assert process.close() == Failure(UnreadExceeded(NAME, 10_000))

    def test_whom_not_to_trust(self, directory: Path) -> None:
        def nobody(peer: Peer) -> bool:
            return False

        def unsure(peer: Peer) -> bool:
            raise KeyError(peer)

        with running(directory, program=self.program) as server:
            for trust in (nobody, unsure):
                refused = IPC(directory, trust=trust).get(NAME).failure()
                assert refused == PeerUntrusted(NAME, Peer(0, server.pid, os.geteuid(), os.getegid()))
            assert IPC(directory, trust=lambda peer: peer.pid == server.pid).get(NAME).unwrap().close() == Success(None)

    def test_names_that_somebody_listens_under(self, directory: Path) -> None:
        ipc = IPC(directory)
        assert ipc.processes() == Success(frozenset())
        with running(directory, program=self.program) as server, running(directory, name=Name("other"), program=self.program):
            (directory / "file.sock").touch()
            (directory / "no name.sock").touch()
            (directory / "link.sock").symlink_to(directory / "server.sock")
            with socket.socket(socket.AF_UNIX) as stale:
                stale.bind(str(directory / "stale.sock"))
            assert ipc.processes() == Success(frozenset({NAME, Name("other")}))
            assert ipc.exists(NAME) == Success(True)
            for name in ("file", "link", "stale", "nobody"):
                assert ipc.exists(Name(name)) == Success(False)
            assert server.stop() == []
            assert ipc.processes() == Success(frozenset({Name("other")}))


class SpokenToContract:
    """A client, spoken to by hand: each test is a server that says the wrong thing, or the right one late."""

    def test_waiting_for_a_server_that_stays_full_says_so(self, directory: Path) -> None:
        with running(directory, "", "connections=1"), Wire.talking(directory):
            for timeout in (0.5, 0.7, 0.9):
                assert IPC(directory).wait(NAME, timeout) == Failure(ConnectionRefused(NAME))

    @pytest.mark.parametrize(
        ("said", "error"),
        [
            pytest.param([], ConnectionRefused(NAME), id="ended"),
            pytest.param([CLOSE], ConnectionRefused(NAME), id="closed"),
        ],
    )
    def test_who_is_not_greeted_is_refused(self, directory: Path, said: list[str], error: ConnectError) -> None:
        def serve(wire: Wire) -> None:
            wire.write(*said)

        with spoken(directory, serve):
            assert IPC(directory).get(NAME) == Failure(error)

    def test_who_is_not_greeted_in_time_gives_up(self, directory: Path) -> None:
        def serve(wire: Wire) -> None:
            wire.write("too early")
            assert wire.ended()

        with spoken(directory, serve):
            ipc = IPC(directory, limits=Limits(handshake=0.1))
            assert ipc.get(NAME) == Failure(TimedOut(NAME, 0.1, "the greeting of"))

    def test_a_greeting_that_is_no_frame(self, directory: Path) -> None:
        def serve(wire: Wire) -> None:
            wire.stream.sendall(b"\0\0\0\0\0\0\0\0")

        with spoken(directory, serve):
            assert isinstance(IPC(directory).get(NAME).failure(), ProtocolBroken)

    def test_wait_tries_again_after_a_refusal(self, directory: Path) -> None:
        with listening(directory) as listener:

            def serve() -> None:
                Wire(listener.accept()[0]).close()
                with Wire(listener.accept()[0]) as wire:
                    wire.write(START)
                    assert wire.read(2) == f"{START_OK},{CLOSE}"
                    wire.write(CLOSE_OK)

            with beside(serve):
                assert IPC(directory).wait(NAME, PATIENCE).unwrap().close() == Success(None)

    def test_a_waiting_client_fills_the_silence(self, directory: Path) -> None:
        def serve(wire: Wire) -> None:
            greet(wire)
            assert [wire.read_any() for _ in range(3)] == [HEARTBEAT] * 3
            wire.write("response")
            assert wire.read() == CLOSE
            wire.write(CLOSE_OK)

        for timeout in (None, 10.0):
            with spoken(directory, serve), IPC(directory, heartbeat=0.02).get(NAME).unwrap() as process:
                assert process.wait(timeout) == Success(Message.text("response"))

    @pytest.mark.parametrize(
        ("said", "acknowledged", "kind"),
        [
            pytest.param([RECEIVED, RECEIVED], 2, ConnectionLost, id="lost"),
            pytest.param([RECEIVED, CLOSE], 1, ConnectionClosed, id="closed"),
            pytest.param([RECEIVED, "response", HEARTBEAT, CLOSE], 1, ConnectionClosed, id="closed after a response"),
        ],
    )
    def test_how_many_were_acknowledged(self, directory: Path, said: list[str], acknowledged: int, kind: type[object]) -> None:
        def serve(wire: Wire) -> None:
            greet(wire)
            assert wire.read(3) == "1,2,3"
            wire.write(*said)

        with spoken(directory, serve):
            failed = IPC(directory).get(NAME).unwrap().send(*map(Message.text, "123")).failure()
            assert isinstance(failed, Unacknowledged)
            assert (failed.acknowledged, failed.sent, type(failed.reason)) == (acknowledged, 3, kind)

    def test_too_many_acknowledgements_are_no_protocol(self, directory: Path) -> None:
        def serve(wire: Wire) -> None:
            greet(wire)
            wire.write(RECEIVED)
            assert wire.ended()

        with spoken(directory, serve):
            process = IPC(directory).get(NAME).unwrap()
            assert isinstance(process.wait().failure(), ProtocolBroken)
            assert isinstance(process.close().failure(), ProtocolBroken)

    def test_a_response_larger_than_the_limit_is_no_protocol(self, directory: Path) -> None:
        def serve(wire: Wire) -> None:
            greet(wire)
            wire.write("x" * 11)
            assert wire.ended()

        with spoken(directory, serve):
            process = IPC(directory, limits=Limits(message=10)).get(NAME).unwrap()
            assert isinstance(process.wait().failure(), ProtocolBroken)

    def test_a_message_acknowledged_but_not_responded_to(self, directory: Path) -> None:
        def serve(wire: Wire) -> None:
            greet(wire)
            assert wire.read() == "question"
            wire.write(RECEIVED, CLOSE)
            assert wire.read() == CLOSE_OK

        with spoken(directory, serve):
            process = IPC(directory).get(NAME).unwrap()
            assert process.ask(Message.text("question")) == Failure(ConnectionClosed(NAME))

    def test_both_ends_closing_at_once(self, directory: Path) -> None:
        def serve(wire: Wire) -> None:
            greet(wire)
            assert wire.read() == CLOSE
            wire.write(CLOSE)
            assert wire.read() == CLOSE_OK

        with spoken(directory, serve):
            assert IPC(directory).get(NAME).unwrap().close() == Success(None)

    def test_closing_waits_no_longer_than_the_drain(self, directory: Path) -> None:
        def serve(wire: Wire) -> None:
            greet(wire)
            assert wire.read(2) == f"{CLOSE}"

        with spoken(directory, serve):
            process = IPC(directory, limits=Limits(drain=0.05)).get(NAME).unwrap()
            assert process.close() == Failure(TimedOut(NAME, 0.05, "the confirmation to close of"))
            assert process.closed

    def test_timeouts_hold_in_a_storm_of_signals(self, directory: Path) -> None:
        def serve(wire: Wire) -> None:
            greet(wire)
            wire.read()

        storm = signals_every(0.005, lambda _, __: None)
        with storm, spoken(directory, serve), IPC(directory, limits=Limits(drain=0.05)).get(NAME).unwrap() as process:
            assert isinstance(process.wait(0.1).failure(), TimedOut)


def greet(wire: Wire) -> None:
    wire.write(START)
    assert wire.read() == START_OK


@contextmanager
def beside(run: Callable[[], None]) -> Iterator[None]:
    """Run it in a thread meanwhile; its failure is the test's."""
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(run)
        yield
        future.result(PATIENCE)


@contextmanager
def spoken(directory: Path, serve: Callable[[Wire], None]) -> Iterator[None]:
    """A server by hand for one client."""

    def accept() -> None:
        with Wire(listener.accept()[0]) as wire:
            serve(wire)

    with listening(directory) as listener, beside(accept):
        yield
