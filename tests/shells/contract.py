"""What any shell must do, over real sockets and with real processes.

A shell's test module names its server program and its way to connect, and inherits these tests. Server tests
speak to it by hand; client tests are spoken to by hand or by a server process.
"""

import os
import signal
import socket
import threading
from pathlib import Path

import pytest

from ipcfold import IPC, Name
from tests.shells.support import (
    CLOSE,
    CLOSE_OK,
    HEARTBEAT,
    NAME,
    RECEIVED,
    START,
    START_OK,
    Running,
    Wire,
    fifo,
    frame,
    result_of,
    running,
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
        with running(directory, "0.3", program=self.program) as server, Wire.talking(directory) as client:
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
            child = os.fork()
            if child == 0:
                dying = Wire.talking(directory)
                dying.write("ping")
                dying.read(2)
                os.kill(os.getpid(), signal.SIGKILL)
            os.waitpid(child, 0)
            with Wire.talking(directory) as client:
                client.write("ping")
                assert client.read(2) == f"{RECEIVED},pong"
            assert server.stop() == ["ping", "ping"]

    def test_what_a_client_said_before_it_went_is_folded(self, directory: Path) -> None:
        with running(directory, program=self.program) as server:
            with Wire.talking(directory) as leaving:
                leaving.write("one", "two", "three")
            with Wire.talking(directory) as client:
                client.write("four")
                assert client.read() == RECEIVED
            assert server.stop() == ["one", "two", "three", "four"]

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
    def test_one_hostile_client_is_noticed_by_no_other(self, directory: Path, hostile: bytes, ends: bool) -> None:  # noqa: FBT001
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

    def test_a_client_that_pipelines_does_not_starve_another(self, directory: Path) -> None:
        gate = fifo(directory)
        with running(directory, program=self.program), Wire.talking(directory) as busy, Wire.talking(directory) as client:
            busy.write(f"block {gate}", f"block {gate}", *["quiet"] * 1000)
            gate.write_bytes(b"")
            assert busy.read(2) == f"{RECEIVED},released"
            client.write("ping")  # its turn comes after the second block, and before the thousand
            gate.write_bytes(b"")
            assert client.read(2) == f"{RECEIVED},pong"
            assert busy.read(1002) == ",".join([RECEIVED, "released", *[RECEIVED] * 1000])

    def test_a_client_that_never_reads_takes_bounded_memory(self, directory: Path) -> None:
        with running(directory, program=self.program) as server, Wire.talking(directory) as deaf, Wire.talking(directory) as client:
            before = server.peak_memory()
            deaf.stream.settimeout(0.2)
            with pytest.raises(TimeoutError):
                while True:  # until the server reads no more of it
                    deaf.stream.sendall(frame("large 100000") * 100)
            for _ in range(20):
                client.write("ping")
                assert client.read(2) == f"{RECEIVED},pong"
            assert server.peak_memory() - before < 16 * 2**20

    def test_fifteen_hundred_clients_at_once_are_each_answered(self, directory: Path) -> None:
        with running(directory, program=self.program) as server:
            clients = [Wire.to(directory) for _ in range(1500)]
            for client in clients:
                client.write(START_OK, "ping")
            assert all(client.read(3) == f"{START},{RECEIVED},pong" for client in clients)
            for client in clients:
                client.close()
            assert server.stop() == ["ping"] * 1500

    def test_one_client_over_the_limit_is_turned_away(self, directory: Path) -> None:
        with running(directory, "", "connections=2", program=self.program):
            with Wire.talking(directory) as first, Wire.talking(directory), Wire.to(directory) as third:
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

            thread = threading.Thread(target=converse)
            thread.start()
            result = result_of(started(directory, program=self.program))
            thread.join()
            assert (result["error"], result["pid"]) == ("NameTaken", os.getpid())
            assert (directory / "server.sock").exists()

    def test_of_two_that_start_at_once_exactly_one_runs(self, directory: Path) -> None:
        for round_ in range(50):
            name = Name(f"round-{round_}")
            racers = [started(directory, name, program=self.program) for _ in range(2)]
            winner = IPC(directory).wait(name, 20).unwrap()
            (loser,) = [racer for racer in racers if racer.pid != winner.peer.pid]
            result = result_of(loser)
            assert (result["error"], result["pid"]) == ("NameTaken", winner.peer.pid)
            winner.close().unwrap()
            (running_one,) = [racer for racer in racers if racer.pid == winner.peer.pid]
            running_one.terminate()
            assert result_of(running_one) == {"carry": []}


__all__ = ["OwnershipContract", "Running", "ServerContract"]
