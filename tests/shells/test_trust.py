"""Who may talk: with a second user, foreign directories and pids that come back, all of them real."""

import contextlib
import os
import re
import signal
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from returns.result import Failure, Success

from ipcfold import IPC, Continuation, Limits, Message, Name, Peer
from ipcfold.errors import ConnectionRefused, DirectoryUnusable, NameTaken, PeerUntrusted, SystemFailure, UsedAfterFork
from tests.shells.children import NOBODY, Channel, Child, anybody, as_nobody, need_pids, needs_root, reborn, serving_the_log
from tests.shells.handlers import EMPTY, log
from tests.shells.support import NAME, PATIENCE, PING, PONG, ServerProcess, running
from tests.shells.test_address import USES, idle
from tests.shells.wire import CLOSE, CLOSE_OK, RECEIVED, START, START_OK, Wire

OTHER = 4711  # a user and a group that are neither root nor nobody
FULL = "its user has 3 already (limits.connections_per_user)"


def either(peer: Peer) -> bool:
    return peer.uid in (0, NOBODY)


def opened(directory: Path) -> None:
    """Let other users reach a socket whose server trusts them no more for that."""
    directory.chmod(0o711)
    (directory / "server.sock").chmod(0o666)


def turned_away(pid: int, user: int = NOBODY, why: str = "it is not trusted (trust)") -> str:
    return f"WARNING server turned process {pid} of user {user} away: {why}"


def refusals(server: Child, count: int) -> set[str]:
    """The first records of refused clients, once the server has logged or counted so many refusals."""
    first = set[str]()
    while count > 0:
        record = server.hear()
        more = re.fullmatch(r"WARNING server: (\d+) more clients of user \d+ turned away within a second", record)
        if more is None:
            first.add(record)
        count -= 1 if more is None else int(more[1])
    assert count == 0
    return first


@needs_root
def test_a_server_refuses_a_foreign_user_before_it_reads_a_word(directory: Path) -> None:
    def whole_conversation(line: Channel) -> str:
        with Wire.to(directory) as wire:
            wire.write(START_OK, "foreign", "stop")
            line.say("written")
            return repr(wire.read())

    with running(directory, heard=True) as server, Wire.talking(directory) as own:
        opened(directory)
        server.signal(signal.SIGSTOP)  # so that everything is there to be read when it looks at the connection
        os.waitpid(server.pid, os.WUNTRACED)
        with Child(whole_conversation, user=NOBODY) as foreign:
            assert foreign.hear() == "written"
            server.signal(signal.SIGCONT)
            assert foreign.hear() == "''"
            assert server.record() == turned_away(foreign.pid)
        own.write("ping", CLOSE).expect(RECEIVED, "pong", CLOSE_OK)
        assert server.stop() == ["ping"]


@needs_root
def test_a_client_of_a_foreign_user_is_refused_and_refuses_the_directory(directory: Path) -> None:
    with running(directory, heard=True) as server:
        opened(directory)
        assert as_nobody(lambda: IPC(directory, trust=either).get(NAME)) == str(Failure(ConnectionRefused(NAME)))
        assert f"of user {NOBODY} away: it is not trusted" in server.record()
        assert "belongs to user 0" in as_nobody(lambda: IPC(directory).get(NAME).failure())
        assert server.stop() == []


@needs_root
def test_a_client_says_nothing_to_a_foreign_server(directory: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(directory / "server.sock"))

        def serve(line: Channel, descriptor: int) -> str:
            listener = socket.socket(fileno=descriptor)
            listener.settimeout(PATIENCE)
            listener.listen()  # the credentials of a listening socket are those of whoever calls this
            line.say("listens")
            heard = ""
            for _ in range(4):
                with Wire(listener.accept()[0]) as wire:
                    with contextlib.suppress(BrokenPipeError):  # it may have gone already
                        wire.write(START)
                    heard += wire.read()
            return repr(heard)

        with Child(serve, user=NOBODY, descriptors=[listener.fileno()]) as foreign:
            assert foreign.hear() == "listens"
            ipc, untrusted = IPC(directory), PeerUntrusted(NAME, Peer(0, foreign.pid, NOBODY, NOBODY))
            assert ipc.get(NAME) == Failure(untrusted)
            assert ipc.wait(NAME, PATIENCE) == Failure(untrusted)
            assert ipc.exists(NAME) == Success(False)
            assert ipc.listen(NAME)(EMPTY, log) == Failure(NameTaken(NAME, directory / "server.sock", foreign.pid))
            assert foreign.hear() == "''"


@needs_root
def test_root_is_trusted_by_everybody_and_trusts_only_itself(directory: Path) -> None:
    os.chown(directory, NOBODY, NOBODY)
    with Child(serving_the_log(directory), user=NOBODY) as server:
        with IPC(directory, trust=either).wait(NAME, PATIENCE).unwrap() as process:
            assert process.peer.uid == NOBODY
            assert process.ask(PING) == Success(PONG)
        assert "belongs to user 65534" in str(IPC(directory).get(NAME).failure())
        assert isinstance(IPC(directory, trust=lambda peer: peer.uid == 0).get(NAME).failure(), PeerUntrusted)
        assert server.stop() == str(Success(("ping",)))
    with Child(serving_the_log(directory, either)) as server:  # of root, where nobody has a directory
        IPC(directory, trust=either).wait(NAME, PATIENCE).unwrap().close()
        assert as_nobody(lambda: IPC(directory).get(NAME).unwrap().ask(PING)) == str(Success(PONG))
        assert server.stop() == str(Success(("ping",)))


@needs_root
@pytest.mark.parametrize("mode", [0o700, 0o755, 0o777, 0o1777])
def test_no_other_user_can_use_a_directory_of_root(directory: Path, mode: int) -> None:
    directory.chmod(0o711)
    (directory / "root's").mkdir()
    (directory / "root's").chmod(mode)
    (directory / "link").symlink_to(directory / "root's")

    def refusals(path: Path) -> str:
        errors = [use(IPC(path)).failure() for use in USES.values()]
        assert all(isinstance(error, DirectoryUnusable) for error in errors)
        (text,) = {str(error) for error in errors}
        return text

    assert as_nobody(lambda: refusals(directory / "root's")).endswith(f"belongs to user 0, not to {NOBODY}; use one of your own")
    assert as_nobody(lambda: refusals(directory / "link")).endswith("name the directory itself")
    directory.chmod(0o700)
    hidden = as_nobody(lambda: refusals(directory / "root's"))
    assert hidden.endswith("Permission denied; name a directory that this user can reach")


@needs_root
def test_a_trusted_user_may_connect_and_do_nothing_else(directory: Path) -> None:
    directory.chmod(0o755)
    ipc, socket_, lock = IPC(directory, trust=either), directory / "server.sock", directory / "server.lock"

    def converse() -> str:
        with ipc.get(NAME).unwrap() as process:
            answer = process.ask(Message.text("whoami")).unwrap().content.decode()
        connection, who = answer.split(" ", 1)
        assert int(connection) > 0
        assert who == f"{os.getpid()} {NOBODY} {NOBODY}"
        return f"{ipc.exists(NAME)} {ipc.processes()}"

    def harm() -> str:
        harms: list[Callable[[], object]] = [
            socket_.unlink,
            lock.unlink,
            lambda: socket_.rename(directory / "mine.sock"),
            lambda: lock.rename(socket_),
            (directory / "mine").touch,
            lock.read_bytes,
            lambda: socket_.chmod(0o600),
        ]
        for each in harms:
            with pytest.raises(PermissionError):
                each()
        return " ".join(str(ipc.listen(name)(EMPTY, log)) for name in (NAME, Name("mine")))

    with Child(serving_the_log(directory, either)) as server:
        ipc.wait(NAME, PATIENCE).unwrap().close()
        assert as_nobody(converse) == f"{Success(True)} {Success(frozenset({NAME}))}"
        denied = [Failure(SystemFailure("make the lock file", directory / f"{name}.lock", "Permission denied")) for name in (NAME, "mine")]
        assert as_nobody(harm) == " ".join(map(str, denied))
        assert sorted(path.name for path in directory.iterdir()) == ["server.lock", "server.sock"]
        assert server.stop() == str(Success(("whoami",)))


@needs_root
@pytest.mark.parametrize("refused", ["uid", "gid", "pid", "who makes it raise"])
def test_trust_decides_for_each_peer(directory: Path, refused: str) -> None:
    directory.chmod(0o755)

    def ask(line: Channel) -> str:
        line.hear()
        return str(IPC(directory, trust=anybody).get(NAME).map(lambda process: process.ask(PING).unwrap()))

    with (
        Child(ask, user=NOBODY) as good,
        Child(ask, user=OTHER if refused == "uid" else NOBODY, group=OTHER if refused == "gid" else NOBODY) as bad,
    ):
        unwanted = bad.pid
        verdicts: dict[str, Callable[[Peer], bool]] = {
            "uid": lambda peer: peer.uid != OTHER,
            "gid": lambda peer: peer.gid != OTHER,
            "pid": lambda peer: peer.pid != unwanted,
            "who makes it raise": lambda peer: peer.pid != unwanted or bool(1 // 0),
        }
        with Child(serving_the_log(directory, verdicts[refused])) as server:
            IPC(directory, trust=anybody).wait(NAME, PATIENCE).unwrap().close()
            for child, answer in ((bad, Failure(ConnectionRefused(NAME))), (good, Success(PONG))):
                child.say("go")
                assert child.hear() == str(answer)
            assert server.hear() == turned_away(bad.pid, OTHER if refused == "uid" else NOBODY)
            assert server.stop() == str(Success(("ping",)))


@needs_root
def test_one_user_cannot_take_all_connections(directory: Path) -> None:
    directory.chmod(0o755)

    def connect(count: int) -> list[Wire]:
        return [Wire.to(directory) for _ in range(count)]

    def greeted(wires: list[Wire]) -> str:
        return ",".join(wire.read() or "away" for wire in wires)

    def connect_and_leave(line: Channel) -> str:
        wires = connect(5)
        line.say(greeted(wires))
        line.hear()
        for wire in wires[:2]:
            wire.write(START_OK, CLOSE).expect(CLOSE_OK).expect_end()
        wires += connect(3)
        return greeted(wires[5:])

    with Child(serving_the_log(directory, anybody, Limits(connections_per_user=3))) as server:
        IPC(directory, trust=anybody).wait(NAME, PATIENCE).unwrap().close()
        with Child(connect_and_leave, user=NOBODY) as nobody, Child(connect_and_leave, user=OTHER) as other:
            for child in (nobody, other):  # the one's connections do not count as the other's
                assert child.hear() == f"{START},{START},{START},away,away"
            assert refusals(server, 4) == {turned_away(child.pid, user, FULL) for child, user in ((nobody, NOBODY), (other, OTHER))}
            own = connect(10)
            assert greeted(own) == ",".join([START] * 10)
            for wire in own:
                wire.close()
            for child in (nobody, other):
                child.say("go on")
                assert child.hear() == f"{START},{START},away"  # two left
                refusals(server, 1)
        with Child(lambda _: greeted(connect(3)), user=NOBODY) as later:  # whoever was killed has left, too
            assert later.hear() == ",".join([START] * 3)
        assert server.stop() == str(Success(EMPTY))


def test_a_client_with_the_pid_of_a_dead_one_inherits_nothing_of_it(directory: Path, server: ServerProcess, gate: Path) -> None:
    need_pids()

    def die(_: Channel) -> str:
        wire = Wire.talking(directory)
        wire.write("whoami")
        answer = wire.read(2)
        wire.write("echo mine", f"block {gate}", "echo late").expect(RECEIVED, "echo mine")
        return answer  # and dies with two messages that nobody has answered

    def converse(line: Channel) -> str:
        with Wire.to(directory) as wire:
            wire.write(START_OK, "whoami", "many 2", CLOSE)
            line.say("written")
            return f"{wire.read(7)} {wire.ended()}"

    with Child(die) as dying:
        assert dying.hear() == f"{RECEIVED},2 {dying.pid} {os.geteuid()} {os.getegid()}"
    with reborn(dying.pid, converse) as reused:
        assert reused.hear() == "written"
        gate.write_bytes(b"")  # the handler's answer to the dead one comes while the other waits for its own
        whoami = f"3 {dying.pid} {os.geteuid()} {os.getegid()}"  # the number of the connection is what makes it another peer
        assert reused.hear() == f"{START},{RECEIVED},{whoami},{RECEIVED},0,1,{CLOSE_OK} True"
    assert sorted(server.stop()) == sorted(["whoami", "echo mine", f"block {gate}", "echo late", "whoami", "many 2"])


def test_a_connection_belongs_to_a_process_and_not_to_its_pid(directory: Path, server: ServerProcess) -> None:
    need_pids()

    def make(line: Channel) -> str:
        process, maker = IPC(directory).get(NAME).unwrap(), os.getpid()
        process.send(Message.text("mine")).unwrap()

        def use(_: Channel) -> str:
            return " ".join({str(use()) for use in (lambda: process.send(PING), lambda: process.ask(PING), process.wait, process.close)})

        if os.fork() != 0:
            os._exit(0)
        line.hear()  # until the maker of the connection is gone
        with reborn(maker, use) as child:
            return child.hear()

    with Child(make) as maker:
        maker.gone()
        maker.say("go on")  # to the child that it left behind
        assert maker.hear() == str(Failure(UsedAfterFork(NAME, maker.pid)))
        assert server.stop() == ["mine"]


def test_a_name_belongs_to_a_process_and_not_to_its_pid(directory: Path) -> None:
    need_pids()

    def serve(line: Channel) -> str:
        owner = os.getpid()

        def fork(message: Message, continuation: Continuation[int], carry: int) -> Continuation[int]:
            if os.fork() == 0:
                line.hear()  # until the owner of the name is gone
                with reborn(owner, lambda _: f"{os.getpid()} {IPC(directory).listen(NAME, 0.01)(7, idle)}") as child:
                    line.say(child.hear())
                os._exit(0)
            return continuation.continue_(carry)

        return str(IPC(directory).listen(NAME)(0, fork))

    with Child(serve) as owner:
        with IPC(directory).wait(NAME, PATIENCE).unwrap() as process:
            assert process.send(PING) == Success(process)
            os.kill(owner.pid, signal.SIGKILL)
            owner.gone()
        owner.say("go on")
        assert owner.hear() == f"{owner.pid} {Success(7)}"
    assert list(directory.iterdir()) == []
