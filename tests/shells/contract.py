"""What any shell must do, over real sockets and with real processes.

A shell's test module names its server program and its way to connect, and inherits these tests. Server tests
speak to it by hand; client tests are spoken to by hand or by a server process.
"""

import os
import signal
import socket
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from returns.pipeline import flow
from returns.result import Failure, Success

from ipcfold import (
    IPC,
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
    Process,
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
from tests.shells.children import Child
from tests.shells.support import (
    NAME,
    PATIENCE,
    PING,
    PONG,
    SERVE,
    ServerProcess,
    beside,
    descriptors,
    leave_socket,
    running,
    signals_every,
)
from tests.shells.wire import CLOSE, CLOSE_OK, HEARTBEAT, RECEIVED, START, START_OK, Wire, flood, frame, listening, many_clients, spoken


class Contract:
    """What the suites of a shell have in common."""

    program = SERVE
    ipc = IPC

    def running(self, directory: Path, *options: str, name: Name = NAME, heard: bool = False) -> AbstractContextManager[ServerProcess]:
        return running(directory, *options, name=name, program=self.program, heard=heard)


class ServerContract(Contract):
    """A server keeps the promises to whoever connects."""

    def test_many_clients_are_answered_and_the_carry_comes_back(self, directory: Path, server: ServerProcess) -> None:
        for _ in range(3):
            with Wire.talking(directory) as client:
                client.ping()
                client.write(CLOSE).expect(CLOSE_OK).expect_end()
        with Wire.talking(directory) as client:
            client.write("stop").expect(RECEIVED, CLOSE)
            assert not (directory / "server.sock").exists()  # whoever was told finds the name gone
            client.write(CLOSE_OK).expect_end()
        assert server.carry() == ["ping", "ping", "ping", "stop"]

    def test_a_server_leaves_no_file_behind_and_its_name_free(self, directory: Path) -> None:
        for _ in range(2):
            with self.running(directory) as server:
                assert server.stop() == []
            assert list(directory.iterdir()) == []

    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
    def test_a_signal_ends_a_server_in_good_order(self, server: ServerProcess, client: Wire, number: signal.Signals) -> None:
        client.write("quiet").expect(RECEIVED)
        server.signal(number)
        client.expect(CLOSE).write("late", CLOSE_OK).expect_end()
        assert server.carry() == ["quiet"]

    def test_many_signals_end_a_server_once(self, server: ServerProcess, client: Wire) -> None:
        client.write("quiet").expect(RECEIVED)
        for _ in range(50):
            server.signal(signal.SIGTERM)
        client.expect(CLOSE).write(CLOSE_OK)
        assert server.carry() == ["quiet"]

    def test_a_server_that_gets_no_message_in_time_ends_with_its_carry(self, directory: Path) -> None:
        with self.running(directory, "timeout=3.0") as server, Wire.talking(directory) as client:
            client.write("quiet", HEARTBEAT).expect(RECEIVED, CLOSE).write(CLOSE_OK)
            assert server.carry() == ["quiet"]

    def test_a_client_that_does_not_confirm_delays_the_end_no_longer_than_the_drain(self, directory: Path) -> None:
        with self.running(directory, "drain=0.2") as server, Wire.talking(directory) as client:
            client.write("quiet").expect(RECEIVED)
            assert server.stop() == ["quiet"]

    def test_a_killed_client_costs_nothing_but_its_connection(self, directory: Path, server: ServerProcess) -> None:
        def die(_: object) -> None:
            Wire.talking(directory).ping()
            os.kill(os.getpid(), signal.SIGKILL)

        with Child(die) as child:
            assert child.ended() == (-signal.SIGKILL, "")
        with Wire.talking(directory) as client:
            client.ping()
        assert server.stop() == ["ping", "ping"]

    def test_a_message_is_folded_though_its_client_has_left(self, directory: Path, server: ServerProcess, gate: Path) -> None:
        with Wire.talking(directory) as leaving:
            leaving.write("one", "two", f"block {gate}")
        gate.write_bytes(b"")  # which waits until the handler is at it
        with Wire.talking(directory) as client:
            client.write("four").expect(RECEIVED)
        assert server.stop() == ["one", "two", f"block {gate}", "four"]

    def test_a_client_that_ends_only_its_own_half_hears_the_responses(self, server: ServerProcess, client: Wire) -> None:
        client.write("ping", "ping")
        client.stream.shutdown(socket.SHUT_WR)
        client.expect(RECEIVED, "pong", RECEIVED, "pong").expect_end()
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
    def test_a_hostile_client_disturbs_no_other(self, directory: Path, hostile: bytes, ends: bool) -> None:  # noqa: FBT001 - a column of the table above
        with self.running(directory) as server, Wire.talking(directory) as client, Wire.talking(directory) as bad:
            client.ping()
            bad.stream.sendall(hostile)
            if ends:
                bad.expect_end()
            unknown = ["innmind/ipc:connection.unknown"] if b"unknown" in hostile else []
            if unknown:
                bad.expect(RECEIVED)  # it is a message, like any other
            client.ping()
            assert sorted(server.stop()) == sorted([*unknown, "ping", "ping"])

    def test_the_rest_of_half_a_frame_may_come_later(self, directory: Path, server: ServerProcess, client: Wire) -> None:
        with Wire.talking(directory) as slow:
            for byte in frame("ping"):
                slow.stream.sendall(bytes([byte]))
                client.write("quiet").expect(RECEIVED)
            slow.expect(RECEIVED, "pong")
            assert server.stop().count("ping") == 1

    def test_a_message_before_the_greeting_is_accepted_is_ignored(self, directory: Path, server: ServerProcess) -> None:
        with Wire.to(directory) as client:
            client.write("ignored", CLOSE, START_OK, "ping").expect(START, RECEIVED, "pong")
            assert server.stop() == ["ping"]

    def test_a_server_fills_silence_with_heartbeats(self, directory: Path) -> None:
        with self.running(directory, "heartbeat=0.05"), Wire.to(directory) as client:
            client.expect(START).write(START_OK).expect_heartbeats(3)

    def test_responses_follow_their_acknowledgement_in_order(self, client: Wire) -> None:
        client.write("many 3", "quiet", "echo me", "close", "never folded")
        client.expect(RECEIVED, "0", "1", "2", RECEIVED, RECEIVED, "echo me", RECEIVED, "closing", CLOSE)

    def test_an_acknowledgement_does_not_wait_for_a_slow_handler(self, client: Wire, gate: Path) -> None:
        client.write("ping", f"block {gate}", "ping").expect(RECEIVED, "pong")  # comes while the second is in the handler
        gate.write_bytes(b"")
        client.expect(RECEIVED, "released", RECEIVED, "pong")

    def test_an_acknowledgement_does_not_wait_for_a_slow_handler_after_many_quick_ones(self, client: Wire, gate: Path) -> None:
        # As many as the socket has room for the acknowledgements of: they wait for a client that does not read in time.
        client.write(*["quiet"] * 150, "ping", f"block {gate}")
        client.expect(*[RECEIVED] * 151, "pong")
        gate.write_bytes(b"")
        client.expect(RECEIVED, "released")

    def test_an_acknowledgement_does_not_wait_for_a_slow_handler_after_a_silence(self, client: Wire, gate: Path) -> None:
        for _ in range(2):
            client.write("ping", "ping", f"block {gate}", "ping").expect(RECEIVED, "pong", RECEIVED, "pong")
            gate.write_bytes(b"")
            client.expect(RECEIVED, "released", RECEIVED, "pong")
            client.expect_heartbeats(1)  # so long was it silent

    def test_a_second_signal_interrupts_a_stuck_handler(self, server: ServerProcess, client: Wire, gate: Path) -> None:
        client.write("one", f"block {gate}").expect(RECEIVED)
        with gate.open("wb"):  # opens once the handler has opened its end, which then reads until this is closed
            server.signal(signal.SIGTERM)
            server.signal(signal.SIGINT)
            while not client.heard(0.1):  # one that comes just before a system call begins does not wake it from that
                server.signal(signal.SIGINT)
            client.expect(CLOSE)  # and no acknowledgement
        client.write(CLOSE_OK)
        assert server.carry() == ["one"]

    @pytest.mark.parametrize("media_type", ["TEXT/plain", "text/PLAIN"])
    def test_a_signal_under_another_spelling_cannot_be_echoed(self, directory: Path, media_type: str) -> None:
        with running(directory, program="tests.shells.serve_recorded") as server, Wire.talking(directory) as client:
            client.stream.sendall(frame(HEARTBEAT, media_type))
            client.write("ping").expect(RECEIVED, "ping")
            server.signal(signal.SIGTERM)
            client.expect(CLOSE).write(CLOSE_OK)
            assert server.result() == {"carry": 1}

    def test_a_client_that_pipelines_does_not_starve_another(self, gate: Path, server: ServerProcess, client: Wire) -> None:
        with Wire.talking(gate.parent) as busy:
            busy.write(f"block {gate}", f"block {gate}", *["quiet"] * 5000)
            gate.write_bytes(b"")
            busy.expect(RECEIVED, "released")
            client.write("ping")  # its turn comes after the second block, and long before the thousands
            gate.write_bytes(b"")
            client.expect(RECEIVED, "pong")
            busy.expect(RECEIVED, "released", *[RECEIVED] * 5000)
            assert server.stop().index("ping") < 2500

    def test_a_client_that_never_reads_takes_bounded_memory(self, directory: Path, server: ServerProcess, client: Wire) -> None:
        with Wire.talking(directory) as deaf:
            before = server.peak_memory()
            flood(deaf, frame("large 100000") * 100_000, client.ping)
            assert server.peak_memory() - before < 16 * 2**20

    def test_a_server_answers_fifteen_hundred_clients_at_once(self, directory: Path) -> None:
        with descriptors(3000), self.running(directory) as server:
            clients = [Wire.to(directory).write(START_OK, "ping") for _ in range(1500)]
            for client in clients:
                client.expect(START, RECEIVED, "pong").close()
            assert server.stop() == ["ping"] * 1500

    def test_a_server_refuses_a_client_over_its_limit(self, directory: Path) -> None:
        limited = self.running(directory, "connections=2")
        with limited, Wire.talking(directory) as first, Wire.talking(directory), Wire.to(directory) as third:
            third.expect_end()
            first.write("ping", CLOSE).expect(RECEIVED, "pong", CLOSE_OK).expect_end()
            with Wire.talking(directory) as fourth:
                fourth.ping()

    def test_a_keyboard_interrupt_in_the_handler_ends_the_server_in_good_order(self, server: ServerProcess, client: Wire) -> None:
        client.write("one", "interrupt").expect(RECEIVED, CLOSE).write(CLOSE_OK)
        assert server.carry() == ["one"]

    def test_a_child_that_the_handler_forks_does_not_keep_a_dead_server_alive(self, directory: Path, gate: Path) -> None:
        with self.running(directory) as server, Wire.talking(directory) as client:
            client.write(f"leave {gate}").expect(RECEIVED, "left")
            with gate.open("wb"):  # the child lives until this is closed
                server.kill()
                client.expect_end()
                assert self.ipc(directory).processes() == Success(frozenset())
                with self.running(directory) as next_one:
                    assert next_one.stop() == []

    def test_a_child_that_the_handler_forks_does_not_serve(self, directory: Path, server: ServerProcess, client: Wire) -> None:
        client.write("fork").expect(RECEIVED, "0")  # the child came out of its server in good order
        client.ping()
        assert (directory / "server.sock").exists()
        assert server.stop() == ["fork", "ping"]

    def test_the_handler_gets_the_peer_credentials_of_the_kernel(self, directory: Path, server: ServerProcess) -> None:
        with many_clients(directory, 2) as clients:
            answers = [wire.write("whoami").read(2).split(",")[1].split() for wire in clients]
            assert all(answer[1:] == [str(os.getpid()), str(os.geteuid()), str(os.getegid())] for answer in answers)
            assert answers[0][0] != answers[1][0]


class OwnershipContract(Contract):
    """A name has one owner."""

    def test_a_second_server_says_which_process_holds_the_name(self, server: ServerProcess) -> None:
        server.expect_name_taken()
        assert server.stop() == []

    def test_a_server_can_be_ended_as_soon_as_its_socket_exists(self, directory: Path) -> None:
        for _ in range(10):
            server = ServerProcess(directory, program=self.program)
            while not (directory / "server.sock").exists():
                pass
            assert server.result_of_stop() == {"carry": []}

    def test_a_server_takes_over_the_socket_of_a_killed_one(self, directory: Path, server: ServerProcess) -> None:
        server.kill()
        assert (directory / "server.sock").exists()
        assert self.ipc(directory).processes().unwrap() == frozenset()
        with self.running(directory) as second:
            assert self.ipc(directory).processes().unwrap() == frozenset({NAME})
            assert second.stop() == []

    def test_a_server_takes_no_name_from_a_live_server_without_a_lock(self, directory: Path) -> None:
        with spoken(directory, lambda wire: wire.greet().expect(CLOSE).write(CLOSE_OK)):
            result = ServerProcess(directory, program=self.program).result()
            assert (result["error"], result["pid"]) == ("NameTaken", os.getpid())
            assert (directory / "server.sock").exists()

    def test_one_of_two_servers_that_start_at_once_gets_the_name(self, directory: Path) -> None:
        for round_ in range(10):
            name = Name(f"round-{round_}")
            racers = [ServerProcess(directory, name=name, program=self.program) for _ in range(2)]
            process = self.ipc(directory).wait(name, PATIENCE).unwrap()
            winner, loser = sorted(racers, key=lambda racer: racer.pid != process.peer.pid)
            result = loser.result()
            assert (result["error"], result["pid"]) == ("NameTaken", winner.pid)
            process.close().unwrap()
            assert winner.result_of_stop() == {"carry": []}


class ClientContract(Contract):
    """A client gets a value for whatever happens, and never takes one thing for another."""

    def test_a_client_sends_then_waits_for_the_response(self, directory: Path, server: ServerProcess) -> None:
        process = self.ipc(directory).get(NAME).unwrap()
        assert (process.name, process.peer.pid, process.peer.uid, process.closed) == (NAME, server.pid, os.geteuid(), False)
        assert process.send(PING) == Success(process)
        assert process.wait() == Success(PONG)
        assert process.close() == Success(None)
        assert process.closed

    def test_the_verbs_compose_in_flows_and_pipelines(self, directory: Path, server: ServerProcess) -> None:
        for verb in (flat_map(ask(PING)), flat_map(ask(PING, PATIENCE))):
            assert flow(NAME, self.ipc(directory).get, verb) == Success(PONG)
        pinged = flow(Name.of("server"), flat_map(self.ipc(directory).wait), flat_map(send(PING)))
        assert flow(pinged, flat_map(wait())) == Success(PONG)
        assert flow(pinged, flat_map(close())) == Success(None)
        chain = pipeline(Name.of("server")).flat_map(self.ipc(directory).wait).flat_map(send(PING))
        assert chain.flat_map(wait()).result == Success(PONG)
        assert chain.flat_map(ask(PING, PATIENCE)).match(lambda message: message.content, str) == b"pong"
        assert chain.flat_map(close()).result == Success(None)

    def test_one_send_takes_several_messages(self, server: ServerProcess, process: Process) -> None:
        assert process.send(Message.text("echo one"), Message.text("echo two")) == Success(process)
        assert process.wait() == Success(Message.text("echo one"))
        assert process.wait() == Success(Message.text("echo two"))
        assert process.wait(0) == Failure(TimedOut(NAME, 0, "a response of"))
        assert process.send() == Success(process)
        process.close()
        assert server.stop() == ["echo one", "echo two"]

    def test_two_ends_that_write_much_at_once_do_not_deadlock(self, process: Process) -> None:
        much = [Message.text(f"echo {number} " + "x" * 300_000) for number in range(60)]
        assert process.send(*much) == Success(process)
        assert [process.wait().unwrap() for _ in much] == much

    def test_a_client_sends_and_receives_a_large_message(self, process: Process) -> None:
        large = Message.text("echo " + "x" * (20 * 2**20))
        assert process.ask(large, PATIENCE) == Success(large)

    def test_get_fails_at_once_without_a_server(self, directory: Path) -> None:
        assert self.ipc(directory).get(NAME) == Failure(NoServer(NAME, directory / "server.sock"))

    def test_wait_finds_a_server_that_starts_later(self, directory: Path) -> None:
        starting = ServerProcess(directory, program=self.program)
        with self.ipc(directory).wait(NAME).unwrap() as process:
            assert process.ask(PING) == Success(PONG)
        assert starting.result_of_stop() == {"carry": ["ping"]}

    @pytest.mark.parametrize("timeout", [0.0, 0.05])
    def test_wait_gives_up_in_time(self, directory: Path, timeout: float) -> None:
        assert self.ipc(directory).wait(NAME, timeout) == Failure(TimedOut(NAME, timeout, "the server"))

    def test_wait_ignores_the_socket_of_a_killed_server(self, directory: Path, server: ServerProcess) -> None:
        server.kill()
        assert self.ipc(directory).get(NAME) == Failure(NoServer(NAME, directory / "server.sock"))
        assert self.ipc(directory).wait(NAME, 0.05) == Failure(TimedOut(NAME, 0.05, "the server"))

    def test_a_late_response_is_never_taken_for_another(self, process: Process, gate: Path) -> None:
        assert process.ask(Message.text(f"block {gate}"), 0.05) == Failure(TimedOut(NAME, 0.05, "the response of"))
        gate.write_bytes(b"")
        assert process.ask(Message.text("echo two")) == Success(Message.text("echo two"))
        assert process.send(Message.text("echo three")) == Success(process)
        assert process.wait() == Success(Message.text("echo three"))  # the late response is dropped

    def test_a_client_can_wait_again_after_a_timeout(self, process: Process, gate: Path) -> None:
        asked = process.ask(Message.text(f"block {gate}"), 0.05)
        assert isinstance(asked.failure(), TimedOut)
        assert isinstance(process.wait(0.05).failure(), TimedOut)
        gate.write_bytes(b"")
        assert process.send(Message.text("ping")) == Success(process)
        assert process.wait() == Success(PONG)

    def test_send_says_how_much_of_a_batch_a_stopping_server_acknowledged(self, server: ServerProcess, process: Process) -> None:
        batch = [Message.text(f"echo {number}") for number in range(10)]
        sent = process.send(*batch[:4], Message.text("stop"), *batch[4:])
        assert sent == Failure(Unacknowledged(5, 11, ConnectionClosed(NAME)))
        assert process.closed
        assert [process.wait().unwrap() for _ in range(4)] == batch[:4]
        assert process.wait() == Failure(ConnectionClosed(NAME))
        assert process.send(batch[0]) == Failure(Unacknowledged(0, 1, ConnectionClosed(NAME)))
        assert process.close() == Success(None)
        assert server.carry() == ["echo 0", "echo 1", "echo 2", "echo 3", "stop"]

    def test_every_verb_says_that_a_killed_server_is_lost(self, directory: Path, server: ServerProcess) -> None:
        process = self.ipc(directory).get(NAME).unwrap()
        assert process.send(PING) == Success(process)
        server.kill()
        assert process.send(PING) == Failure(Unacknowledged(0, 1, ConnectionLost(NAME)))
        assert process.wait() == Success(PONG)
        assert process.wait() == Failure(ConnectionLost(NAME))
        assert process.ask(PING) == Failure(Unacknowledged(0, 1, ConnectionLost(NAME)))
        assert process.close() == Failure(ConnectionLost(NAME))
        assert process.close() == Success(None)

    def test_an_idle_client_learns_with_its_next_verb_that_the_server_has_ended(self, directory: Path) -> None:
        with self.running(directory, "drain=0.05") as server:
            process = self.ipc(directory).get(NAME).unwrap()
            assert server.stop() == []
            assert not process.closed
            assert process.ask(PING) == Failure(Unacknowledged(0, 1, ConnectionClosed(NAME)))
            assert process.closed

    def test_a_batch_with_a_message_that_may_not_be_sent_is_refused_whole(self, directory: Path, server: ServerProcess) -> None:
        signal_ = Message.text("innmind/ipc:heartbeat")
        large = Message.text("x" * 11)
        with self.ipc(directory, limits=Limits(message=10)).get(NAME).unwrap() as process:
            assert process.send(Message.text("quiet"), signal_) == Failure(ReservedMessage(signal_))
            assert process.ask(signal_) == Failure(ReservedMessage(signal_))
            assert process.send(Message.text("quiet"), large) == Failure(MessageTooLarge(11, 10))
            assert process.send(Message.text("x" * 10)) == Success(process)
            process.close()
            assert server.stop() == ["x" * 10]

    def test_a_batch_with_something_that_is_no_message_sends_nothing(self, server: ServerProcess, process: Process) -> None:
        for wrong in ("text", Message.octets("text"), None):  # type: ignore[arg-type]  # what this test is about
            with pytest.raises(TypeError, match="Message"):
                process.send(PING, wrong)  # type: ignore[arg-type]  # as above
        with pytest.raises(TypeError):
            process.ask(PING, "soon")  # type: ignore[arg-type]  # as above
        assert process.ask(Message.text("echo 1")) == Success(Message.text("echo 1"))
        process.close()
        assert server.stop() == ["echo 1"]

    def test_an_exception_from_a_signal_handler_leaves_the_connection_usable(self, process: Process) -> None:
        struck = False

        def alarm(*_: object) -> None:
            nonlocal struck
            if not struck:
                struck = True
                raise TimeoutError("alarm")

        with pytest.raises(TimeoutError, match="alarm"), signals_every(0.1, alarm):
            process.wait()
        assert process.ask(PING) == Success(PONG)

    def test_ask_says_whether_its_message_was_folded(self, process: Process) -> None:
        late = process.ask(Message.text("quiet"), 1.0).failure()
        assert late == TimedOut(NAME, 1.0, "the response of", 1)
        assert "was folded" in str(late)

    def test_a_response_is_never_taken_for_one_to_a_message_that_was_not_sent(self, server: ServerProcess, process: Process) -> None:
        assert process.ask(Message.text("twice")) == Success(Message.text("1"))
        assert process.ask(PING) == Failure(Unacknowledged(0, 1, ConnectionClosed(NAME)))
        assert process.wait() == Success(Message.text("2"))
        assert process.ask(PING) == Failure(Unacknowledged(0, 1, ConnectionClosed(NAME)))
        assert server.stop() == ["twice"]

    def test_a_client_that_the_server_closes_still_gets_a_large_response(self, directory: Path) -> None:
        with self.running(directory, "drain=0.05"), self.ipc(directory).get(NAME).unwrap() as process:
            assert process.send(Message.text("last 3000000")) == Success(process)
            with self.ipc(directory).get(NAME).unwrap() as other:  # the drain passes
                assert isinstance(other.wait(0.2).failure(), TimedOut)
            assert process.wait() == Success(Message.octets(b"x" * 3_000_000))
            assert process.wait() == Failure(ConnectionClosed(NAME))

    def test_a_connection_ignores_the_default_timeout_of_sockets(self, directory: Path, gate: Path) -> None:
        socket.setdefaulttimeout(0.05)
        try:
            with self.running(directory), self.ipc(directory).get(NAME).unwrap() as process:
                assert isinstance(process.ask(Message.text(f"block {gate}"), 0.2).failure(), TimedOut)
                gate.write_bytes(b"")
                assert process.send(PING) == Success(process)
                assert process.wait() == Success(PONG)
        finally:
            socket.setdefaulttimeout(None)

    def test_every_verb_says_that_the_process_is_closed(self, directory: Path, server: ServerProcess) -> None:
        with self.ipc(directory).get(NAME).unwrap() as process:
            assert not process.closed
        assert process.closed
        closed = Failure(ProcessClosed(NAME))
        assert (process.send(Message.text("a")), process.wait(), process.ask(Message.text("a"))) == (closed, closed, closed)
        assert process.close() == Success(None)

    def test_every_verb_says_that_the_process_belongs_to_another_process(self, directory: Path, server: ServerProcess) -> None:
        def use(_: object) -> object:
            with self.ipc(directory).get(NAME).unwrap() as process:
                child = os.fork()
                if child == 0:
                    forked = Failure(UsedAfterFork(NAME, os.getppid()))
                    said = (process.send(Message.text("a")), process.wait(), process.ask(Message.text("a")), process.close())
                    os._exit(0 if said == (forked,) * 4 and process.closed else 1)
                return os.waitpid(child, 0)[1], process.ask(PING)

        with Child(use) as user:
            assert user.result() == str((0, Success(PONG)))
            assert server.stop() == ["ping"]

    def test_unread_responses_are_bounded(self, directory: Path, server: ServerProcess) -> None:
        process = self.ipc(directory, limits=Limits(unread=10_000)).get(NAME).unwrap()
        sent = process.send(*[Message.text("large 1000")] * 100).failure()
        assert isinstance(sent, Unacknowledged)
        assert sent.reason == UnreadExceeded(NAME, 10_000)
        assert 0 < sent.acknowledged < 100
        assert process.wait() == Success(Message.octets(b"x" * 1000))
        assert process.close() == Failure(UnreadExceeded(NAME, 10_000))

    def test_a_client_refuses_a_server_that_it_does_not_trust(self, directory: Path, server: ServerProcess) -> None:
        def unsure(peer: Peer) -> bool:
            raise KeyError(peer)

        for trust in (lambda _: False, unsure):
            refused = self.ipc(directory, trust=trust).get(NAME).failure()
            assert refused == PeerUntrusted(NAME, Peer(0, server.pid, os.geteuid(), os.getegid()))
        assert self.ipc(directory, trust=lambda peer: peer.pid == server.pid).get(NAME).unwrap().close() == Success(None)
        assert server.stop() == []

    def test_processes_are_the_names_of_live_servers(self, directory: Path) -> None:
        ipc = self.ipc(directory)
        assert ipc.processes() == Success(frozenset())
        with self.running(directory) as server, self.running(directory, name=Name("other")):
            (directory / "file.sock").touch()
            (directory / "no name.sock").touch()
            (directory / "link.sock").symlink_to(directory / "server.sock")
            leave_socket(directory / "stale.sock")
            assert ipc.processes() == Success(frozenset({NAME, Name("other")}))
            assert ipc.exists(NAME) == Success(True)
            for name in ("file", "link", "stale", "nobody"):
                assert ipc.exists(Name(name)) == Success(False)
            assert server.stop() == []
            assert ipc.processes() == Success(frozenset({Name("other")}))


class SpokenToContract(Contract):
    """A client, spoken to by hand: each test is a server that says the wrong thing, or the right one late."""

    def test_wait_says_that_a_full_server_refused_the_connection(self, directory: Path) -> None:
        with running(directory, "connections=1"), Wire.talking(directory):
            for timeout in (0.5, 0.7, 0.9):
                assert self.ipc(directory).wait(NAME, timeout) == Failure(ConnectionRefused(NAME))

    @pytest.mark.parametrize("said", [pytest.param([], id="ended"), pytest.param([CLOSE], id="closed")])
    def test_a_client_that_gets_no_greeting_is_refused(self, directory: Path, said: list[str]) -> None:
        with spoken(directory, lambda wire: wire.write(*said)):
            assert self.ipc(directory).get(NAME) == Failure(ConnectionRefused(NAME))

    def test_a_client_waits_for_the_greeting_no_longer_than_its_limit(self, directory: Path) -> None:
        with spoken(directory, lambda wire: wire.write("too early").expect_end()):
            ipc = self.ipc(directory, limits=Limits(handshake=0.1))
            assert ipc.get(NAME) == Failure(TimedOut(NAME, 0.1, "the greeting of"))

    def test_a_greeting_that_is_no_frame_breaks_the_protocol(self, directory: Path) -> None:
        with spoken(directory, lambda wire: wire.stream.sendall(b"\0\0\0\0\0\0\0\0")):
            assert isinstance(self.ipc(directory).get(NAME).failure(), ProtocolBroken)

    def test_wait_tries_again_after_a_refusal(self, directory: Path) -> None:
        with listening(directory) as listener:

            def serve() -> None:
                Wire(listener.accept()[0]).close()
                with Wire(listener.accept()[0]) as wire:
                    wire.greet().expect(CLOSE).write(CLOSE_OK)

            with beside(serve):
                assert self.ipc(directory).wait(NAME, PATIENCE).unwrap().close() == Success(None)

    @pytest.mark.parametrize("timeout", [None, 10.0])
    def test_a_waiting_client_fills_silence_with_heartbeats(self, directory: Path, timeout: float | None) -> None:
        def serve(wire: Wire) -> None:
            wire.greet().expect_heartbeats(3).write("response").expect(CLOSE).write(CLOSE_OK)

        with spoken(directory, serve), self.ipc(directory, heartbeat=0.02).get(NAME).unwrap() as process:
            assert process.wait(timeout) == Success(Message.text("response"))

    @pytest.mark.parametrize(
        ("said", "acknowledged", "kind"),
        [
            pytest.param([RECEIVED, RECEIVED], 2, ConnectionLost, id="lost"),
            pytest.param([RECEIVED, CLOSE], 1, ConnectionClosed, id="closed"),
            pytest.param([RECEIVED, "response", HEARTBEAT, CLOSE], 1, ConnectionClosed, id="closed after a response"),
        ],
    )
    def test_send_says_how_many_messages_were_acknowledged(
        self, directory: Path, said: list[str], acknowledged: int, kind: type[object]
    ) -> None:
        with spoken(directory, lambda wire: wire.greet().expect("1", "2", "3").write(*said)):
            failed = self.ipc(directory).get(NAME).unwrap().send(*map(Message.text, "123")).failure()
            assert isinstance(failed, Unacknowledged)
            assert (failed.acknowledged, failed.sent, type(failed.reason)) == (acknowledged, 3, kind)

    def test_too_many_acknowledgements_break_the_protocol(self, directory: Path) -> None:
        with spoken(directory, lambda wire: wire.greet().write(RECEIVED).expect_end()):
            process = self.ipc(directory).get(NAME).unwrap()
            assert isinstance(process.wait().failure(), ProtocolBroken)
            assert isinstance(process.close().failure(), ProtocolBroken)

    def test_a_response_larger_than_the_limit_breaks_the_protocol(self, directory: Path) -> None:
        with spoken(directory, lambda wire: wire.greet().write("x" * 11).expect_end()):
            process = self.ipc(directory, limits=Limits(message=10)).get(NAME).unwrap()
            assert isinstance(process.wait().failure(), ProtocolBroken)

    def test_ask_says_that_the_server_closed_without_a_response(self, directory: Path) -> None:
        with spoken(directory, lambda wire: wire.greet().expect("question").write(RECEIVED, CLOSE).expect(CLOSE_OK)):
            process = self.ipc(directory).get(NAME).unwrap()
            assert process.ask(Message.text("question")) == Failure(ConnectionClosed(NAME))

    def test_both_ends_can_close_at_once(self, directory: Path) -> None:
        with spoken(directory, lambda wire: wire.greet().expect(CLOSE).write(CLOSE).expect(CLOSE_OK)):
            assert self.ipc(directory).get(NAME).unwrap().close() == Success(None)

    def test_closing_waits_no_longer_than_the_drain(self, directory: Path) -> None:
        with spoken(directory, lambda wire: wire.greet().expect(CLOSE).expect_end()):
            process = self.ipc(directory, limits=Limits(drain=0.05)).get(NAME).unwrap()
            assert process.close() == Failure(TimedOut(NAME, 0.05, "the confirmation to close of"))
            assert process.closed

    def test_a_timeout_holds_while_many_signals_come(self, directory: Path) -> None:
        storm, silent = signals_every(0.005, lambda _, __: None), spoken(directory, lambda wire: wire.greet().read())
        with storm, silent, self.ipc(directory, limits=Limits(drain=0.05)).get(NAME).unwrap() as process:
            assert isinstance(process.wait(0.1).failure(), TimedOut)
