"""A name has one owner, whatever happens to those who want it, and whenever.

Servers are killed and paused before each line of the library that they run, so these tests do not wait for the bad
moment: they try every one. Only the races in the end leave it to the system who comes when.
"""

import fcntl
import os
import shutil
import signal
import sys
from contextlib import suppress
from itertools import count, groupby
from pathlib import Path
from types import FrameType

import pytest
from returns.maybe import Some
from returns.result import Failure, Result, Success

from ipcfold import IPC, ConnectionRefused, Continuation, Limits, ListenError, Message, NameTaken, NoServer, cases
from ipcfold.blocking.loop import Loop
from ipcfold.local.claim import holder_of
from tests.shells.children import Child, Fault, released_at_once
from tests.shells.handlers import EMPTY, log
from tests.shells.support import NAME, PATIENCE, PING, PONG, ServerProcess, leave_socket
from tests.shells.wire import Wire, listening

LOCK, SOCKET = "server.lock", "server.sock"
PUBLISHING = "publish"  # the function that a server enters once the name is its own
SERVING = "_turns"  # and the one that it enters once its socket is there


def respond(message: Message, continuation: Continuation[int], carry: int) -> Continuation[int]:
    return continuation.respond(carry + 1, PONG)


def served(directory: Path, carry: int = 0) -> Result[int, ListenError[int]]:
    """A server's whole life, as short as can be, and of the same lines each time."""
    return IPC(directory).listen(NAME, 0.0)(carry, respond)


def serving_child(directory: Path, fault: Fault) -> Child:
    """A server that lives until it is told to end."""
    return Child(lambda _: IPC(directory).listen(NAME, PATIENCE)(0, respond), fault)


def killed(directory: Path, line: int) -> str:
    """Where a server was killed: just before that line of its life; "" if its life has no more lines."""
    with Child(lambda _: served(directory), Fault(signal.SIGKILL, line)) as child:
        code, said = child.ended()
    if code == -signal.SIGKILL:
        return said.removesuffix("\n")
    assert (code, said) == (0, str(Success(0)))
    return ""


def left(directory: Path) -> frozenset[str]:
    return frozenset(os.listdir(directory))


def taken(directory: Path, pid: int) -> Failure[NameTaken]:
    return Failure(NameTaken(NAME, directory / SOCKET, pid))


def answers(directory: Path) -> int:
    """The process that answers under the name."""
    with IPC(directory).get(NAME).unwrap() as process:
        assert process.ask(PING, PATIENCE) == Success(PONG)
        return process.peer.pid


def keep(directory: Path, copy: Path) -> None:
    """Keep what a killed server left: its very sockets, as nobody can make a copy of them, and copies of its files."""
    copy.mkdir()
    for path in directory.iterdir():
        (os.link if path.is_socket() else shutil.copy2)(path, copy / path.name)


def test_a_server_killed_at_any_step_over_anything_left_leaves_the_name_free(directory: Path, tmp_path: Path) -> None:
    """What a start finds is what kills left, so from each such state on, the next kill is tried at every step, until no state is new."""
    states: dict[frozenset[str], Path] = {frozenset(): tmp_path / "nothing"}
    keep(directory, states[frozenset()])
    functions = set[str]()
    for before in (found := [*states]):
        for line in count(1):
            keep(states[before], directory / "left")
            for path in (directory / "left").iterdir():
                path.rename(directory / path.name)
            (directory / "left").rmdir()
            assert left(directory) == before
            place = killed(directory, line)
            if not place:  # it came to its end, whatever it found
                assert left(directory) == frozenset()
                break
            functions.add(place.split()[1])
            after, at = left(directory), f"killed at {place}, with {set(before)} there"
            if after not in states:
                states[after] = tmp_path / str(len(states))
                keep(directory, states[after])
                found.append(after)
            assert IPC(directory).processes() == Success(frozenset()), at
            assert IPC(directory).exists(NAME) == Success(False), at
            assert IPC(directory).get(NAME) == Failure(NoServer(NAME, directory / SOCKET)), at
            assert left(directory) == after, at
            assert served(directory, 7) == Success(7), at
            assert left(directory) == frozenset(), at
            if before and place.endswith(SERVING):  # from here on it is as with nothing there, which was tried first
                assert after == {LOCK, SOCKET}, at
                break
    assert functions >= {"of", "publish", "serve", "_turns", "withdraw", "release", "connected"}
    assert set(found) == {frozenset(), *map(frozenset, ({LOCK}, {LOCK, SOCKET}))}


def test_a_contender_killed_at_any_step_leaves_a_live_server_alone(directory: Path, server: ServerProcess) -> None:
    functions = list[str]()
    before = os.lstat(directory / SOCKET)
    for line in count(1):
        with Child(lambda _: served(directory), Fault(signal.SIGKILL, line)) as contender:
            code, place = contender.ended()
        assert os.path.samestat(os.lstat(directory / SOCKET), before), place
        assert left(directory) == {LOCK, SOCKET}, place
        assert answers(directory) == server.pid, place
        if code != -signal.SIGKILL:
            assert (code, place) == (0, str(taken(directory, server.pid)))
            break
        functions.append(place.split()[1])
    assert set(functions) >= {"of", "_holder"}
    assert server.stop() == ["ping"] * (len(functions) + 1)
    assert left(directory) == frozenset()


def test_a_contender_killed_at_any_step_leaves_a_live_server_without_a_lock_alone(directory: Path) -> None:
    """One of another make, and a stuck one: it says nothing to whoever connects."""
    impatient = IPC(directory, limits=Limits(handshake=0.001))
    functions = set[str]()
    with listening(directory) as listener:
        listener.listen(4096)  # nobody is accepted, and whoever was killed stays in the backlog
        before = os.lstat(directory / SOCKET)
        for line in count(1):
            with Child(lambda _: impatient.listen(NAME, 0.0)(0, respond), Fault(signal.SIGKILL, line)) as contender:
                code, place = contender.ended()
            assert os.path.samestat(os.lstat(directory / SOCKET), before), place
            assert left(directory) <= {LOCK, SOCKET}, place
            Wire.to(directory).close()
            if code != -signal.SIGKILL:
                assert (code, place.rpartition("\n")[2]) == (0, str(taken(directory, os.getpid())))
                break
            functions.add(place.split()[1])
        assert functions >= {"of", "probe", "connected", "run", "release"}
        assert left(directory) == {SOCKET}


def test_a_signal_s_handler_that_looks_and_forks_at_any_step_takes_no_name_away(directory: Path) -> None:
    """It looks who is there while its process does so, or takes or gives a name: it neither waits for itself nor drops the lock."""

    def look_and_fork(_: int, __: FrameType | None) -> None:
        IPC(directory).exists(NAME).unwrap()
        if (child := os.fork()) == 0:
            os._exit(0)
        os.waitpid(child, 0)

    def locked(frame: FrameType, event: str, _: object) -> None:
        """Whether the server has the lock is what only another process can see."""
        if frame.f_code is Loop.serve.__code__ and event == "call":
            server = os.getpid()
            if (child := os.fork()) == 0:
                os._exit(holder_of(directory / SOCKET) != Some(server))
            assert os.waitpid(child, 0)[1] == 0

    def live(_: object) -> object:
        signal.signal(signal.SIGUSR1, look_and_fork)
        sys.setprofile(locked)
        assert IPC(directory).exists(NAME) == Success(False)
        return served(directory)

    functions = set[str]()
    for line in count(1):
        leave_socket(directory / SOCKET)  # so that looking means to look at the lock
        with Child(live, Fault(signal.SIGUSR1, line)) as child:
            code, said = child.ended()
        *places, result = said.splitlines()
        assert (code, result) == (0, str(Success(0))), said
        assert left(directory) == frozenset(), said
        if not places:
            break
        functions.add(places[0].split()[1])
    assert functions >= {"exists", "listener", "of", "_is_held", "publish", "withdraw", "release"}


def test_a_signal_s_handler_that_looks_while_its_process_does_gets_an_answer(directory: Path, server: ServerProcess) -> None:
    ipc, answers = IPC(directory), set[str]()

    def look(_: object) -> object:
        looked = list[object]()
        signal.signal(signal.SIGUSR1, lambda _, __: looked.append(ipc.exists(NAME)))
        return ipc.exists(NAME), looked

    for line in count(1):
        with Child(look, Fault(signal.SIGUSR1, line)) as child:
            code, said = child.ended()
        *places, answer = said.splitlines()
        assert code == 0, said
        if not places:
            break
        answers.add(answer)
    assert answers == {str((Success(True), [Success(True)]))}
    assert server.stop() == []


def test_two_servers_own_a_name_one_after_the_other_wherever_the_first_pauses(directory: Path) -> None:
    owners = list[str]()
    for line in count(1):
        with Child(lambda _: served(directory), Fault(signal.SIGSTOP, line)) as first:
            if not first.paused():
                break
            place = first.hear()
            with serving_child(directory, Fault(signal.SIGSTOP, entering=SERVING)) as second:
                if second.paused():
                    mine = os.lstat(directory / SOCKET)
                    first.resume()
                    result = first.result()
                    assert result in (str(Success(0)), str(taken(directory, second.pid))), place
                    owners.append("first, then second" if result == str(Success(0)) else "second only")
                    assert os.path.samestat(os.lstat(directory / SOCKET), mine), place
                    assert left(directory) == {LOCK, SOCKET}, place
                    second.resume()
                    assert answers(directory) == second.pid, place
                    second.signal(signal.SIGTERM)
                    assert second.result() == str(Success(1)), place
                else:
                    owners.append("first only")
                    if SOCKET in left(directory):
                        with suppress(ConnectionRefusedError):  # it is bound, and does not listen yet
                            Wire.to(directory).close()
                    assert second.result() == str(taken(directory, first.pid)), place
                    first.resume()
                    assert first.result() == str(Success(0)), place
        assert left(directory) == frozenset(), place
    # Once it has the lock, and not before, and until it lets go, the first excludes the second.
    assert [owner for owner, _ in groupby(owners)] == ["second only", "first only", "first, then second"]


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL], ids=["ends", "is killed"])
def test_a_contender_gets_the_name_or_an_error_wherever_the_owner_ends(directory: Path, end: signal.Signals) -> None:
    """The contender gets the name or is told who had it; with the name, it excludes everybody."""
    outcomes = set[str]()
    for line in count(1):
        with serving_child(directory, Fault(signal.SIGSTOP, entering=SERVING)) as owner:
            assert owner.paused()
            owner.resume()
            with serving_child(directory, Fault(signal.SIGSTOP, line, PUBLISHING)) as contender:
                if not contender.paused():
                    assert contender.result() == str(taken(directory, owner.pid))
                    break
                place = contender.hear()
                owner.signal(end)
                assert owner.ended()[0] == (0 if end == signal.SIGTERM else -end), place
                contender.resume()
                if contender.paused():
                    outcomes.add("owns")
                    assert served(directory) == taken(directory, contender.pid), place
                    contender.resume()
                    with IPC(directory).wait(NAME, PATIENCE).unwrap() as process:
                        assert process.ask(PING, PATIENCE) == Success(PONG), place
                    contender.signal(signal.SIGTERM)
                    assert contender.result() == str(Success(1)), place
                else:
                    outcomes.add("was told")
                    assert contender.result() == str(taken(directory, owner.pid)), place
                    assert served(directory) == Success(0), place
        assert left(directory) == frozenset(), place
    assert outcomes == {"owns", "was told"}


def test_a_server_can_start_while_its_predecessor_dies(directory: Path) -> None:
    """The kernel drops a dying process's lock before it closes its socket; between the two it closes all files that were opened later."""

    def open_many(message: Message, continuation: Continuation[int], carry: int) -> Continuation[int]:
        for _ in range(500):
            os.open(os.devnull, os.O_RDONLY)
        return respond(message, continuation, carry)

    for _ in range(100):
        with Child(lambda _: IPC(directory).listen(NAME)(0, open_many)) as owner:
            with IPC(directory).wait(NAME, PATIENCE).unwrap() as process:
                process.send(PING).unwrap()
            owner.signal(signal.SIGKILL)
            while (result := served(directory)) == taken(directory, owner.pid):
                pass
            assert result == Success(0)
        assert left(directory) == frozenset()


def test_one_of_twenty_servers_that_start_at_once_gets_the_name(directory: Path) -> None:
    """Every other owner is killed, so that the next twenty find what it left."""
    for round_ in range(100):
        with released_at_once(20, lambda: IPC(directory).listen(NAME)(EMPTY, log)) as racers:
            with IPC(directory).wait(NAME, PATIENCE).unwrap() as process:
                assert process.ask(PING, PATIENCE) == Success(PONG)
                pid = process.peer.pid
            (owner,) = [racer for racer in racers if racer.pid == pid]
            told = [racer.result() for racer in racers if racer is not owner]
            assert told == [str(taken(directory, pid))] * 19, f"in round {round_}"
            if round_ % 2 == 0:
                owner.signal(signal.SIGTERM)
                assert owner.result() == str(Success(("ping",))), f"in round {round_}"
                assert left(directory) == frozenset(), f"in round {round_}"
            else:
                owner.signal(signal.SIGKILL)
                assert owner.ended() == (-signal.SIGKILL, ""), f"in round {round_}"
                assert left(directory) == {LOCK, SOCKET}, f"in round {round_}"
    assert served(directory) == Success(0)
    assert left(directory) == frozenset()


def test_a_name_never_has_two_owners_while_servers_come_and_go(directory: Path, tmp_path: Path) -> None:
    """Only one owner can hold a lock on another file, from before a server shows its socket until it has withdrawn it."""
    over, met = tmp_path / "over", tmp_path / "met"

    def come_and_go() -> int:
        owned = refused = 0
        with (tmp_path / "owned").open("w") as owned_file:

            def watch(frame: FrameType, event: str, _: object) -> None:
                if frame.f_code is Loop.serve.__code__ and event in ("call", "return"):
                    # Raises if somebody else has it, which ends this racer.
                    fcntl.flock(owned_file, fcntl.LOCK_EX | fcntl.LOCK_NB if event == "call" else fcntl.LOCK_UN)

            sys.setprofile(watch)
            while owned < 50 or not met.exists():
                match cases(IPC(directory).listen(NAME, 0.001 * (owned % 2))(owned, respond)):
                    case Success():
                        owned += 1
                    case Failure(NameTaken(pid=pid)) if pid:
                        refused += 1
                    case Failure(error):
                        raise AssertionError(str(error))
            sys.setprofile(None)
        return refused

    def connect() -> int:
        """Keep the owners busy: they end while somebody connects, and must ask that one to close."""
        reached = 0
        while not over.exists():
            match cases(IPC(directory).get(NAME)):
                case Success(process):
                    reached += 1
                    met.touch()
                    process.send(PING)
                    process.close()
                case Failure(NoServer() | ConnectionRefused()):
                    pass
                case Failure(error):
                    raise AssertionError(str(error))
        return reached

    with Child(lambda _: connect()) as client, released_at_once(6, come_and_go) as racers:
        refused = [int(racer.result()) for racer in racers]
        over.touch()
        reached = int(client.result())
    assert sum(refused) > 0, "there was no race"
    assert reached > 0, "no owner ever had a client"
    assert left(directory) == frozenset()
