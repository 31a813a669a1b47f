"""Signals, threads, forks and the end of the interpreter: nothing is lost, doubled or mixed up by them."""

import json
import pickle
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from multiprocessing import get_context
from pathlib import Path
from types import FrameType

import pytest
from returns.result import Failure, Result, Success

from ipcfold import IPC, Continuation, Message, Process, cases
from ipcfold.errors import ConnectionClosed, ConnectionRefused, InUse, NoServer, SendError, TimedOut, Unacknowledged
from tests.environment import PLAIN, ROOT
from tests.shells.children import Child, Fault
from tests.shells.handlers import EMPTY, log
from tests.shells.support import (
    NAME,
    PATIENCE,
    PING,
    PONG,
    ServerProcess,
    beside,
    handled,
    in_python,
    python,
    running,
    sent,
    signals_every,
    wakeup_descriptor,
)


def test_many_signals_while_reading_and_writing_lose_no_message(directory: Path, server: ServerProcess) -> None:
    seen = list[int]()
    batch = [Message.text(f"echo {number} " + "x" * (number * 997 % 50_000)) for number in range(300)]
    with signals_every(0.0005, lambda number, _: seen.append(number)):
        with IPC(directory).get(NAME).unwrap() as process:
            rounds = 0
            while len(seen) < 100:  # however fast it is: a storm it must be
                rounds += 1
                assert process.send(*batch) == Success(process)
                assert [process.wait().unwrap() for _ in batch] == batch
                assert [process.ask(message).unwrap() for message in batch[:50]] == batch[:50]
        assert server.stop() == [message.content.decode() for message in [*batch, *batch[:50]] * rounds]


def test_a_deadline_holds_while_many_signals_come(directory: Path) -> None:
    """Each of which begins a read anew, and with it the time that the kernel gives it; and the server is silent."""
    silent = running(directory, "heartbeat=100")
    with silent, IPC(directory, heartbeat=0.1).get(NAME).unwrap() as process, signals_every(0.01, lambda _, __: None):
        assert process.ask(Message.text("quiet"), 2.0) == Failure(TimedOut(NAME, 2.0, "the response of", 1))


def test_signal_handlers_that_raise_make_no_message_come_twice_or_out_of_order(directory: Path, server: ServerProcess) -> None:
    """An exception may strike at any step: then the connection goes on as if it had not, or says that it was interrupted."""
    outcomes = interrupted("storm", directory)
    folded = [" ".join(content.split()[:2]) for content in server.stop()]
    assert all(outcomes.values()), outcomes
    assert len(folded) == len(set(folded))
    certain = [f"echo {number}" for number in outcomes["success"]]
    assert [content for content in folded if content in set(certain)] == certain


def test_every_verb_says_that_the_connection_was_interrupted(directory: Path, server: ServerProcess) -> None:
    """Found by raising at one line after the other of asking, until it is through."""
    outcomes = interrupted("lines", directory, {**PLAIN, "IPCFOLD_PURE": "1"})  # code in C has no lines
    echoes = [content for content in server.stop() if content != "ping"]
    assert len(outcomes["survived"]) > 3
    assert len(outcomes["interrupted"]) > 20
    assert len(echoes) == len(set(echoes))


def interrupted(how: str, directory: Path, environment: Mapping[str, str] = PLAIN) -> dict[str, list[int]]:
    """What became of each attempt, in a process of its own: exceptions must not strike in the tools that run the tests."""
    outcomes: dict[str, list[int]] = json.loads(python("-m", "tests.shells.interrupted", how, directory, environment=environment).stdout)
    return outcomes


def test_a_keyboard_interrupt_at_any_step_of_a_server_keeps_what_it_acknowledged(directory: Path) -> None:
    """With SIGINT left to Python: it comes before each line, from the first one that may ask the handler, until the last one is through."""

    def serve(_: object) -> object:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        in_python()
        return IPC(directory).listen(NAME, PATIENCE, signals=())(EMPTY, log)

    def converse(*verbs: str) -> list[str]:
        """What of it was acknowledged."""
        match cases(IPC(directory).get(NAME)):
            case Failure(error):
                assert error in (NoServer(NAME, directory / "server.sock"), ConnectionRefused(NAME))
                return []
            case Success(process):
                match cases(process.send(*map(Message.text, verbs))):
                    case Success():
                        process.close()
                        return [*verbs]
                    case Failure(unsent):
                        assert isinstance(unsent, Unacknowledged), unsent
                        assert unsent.reason == ConnectionClosed(NAME)
                        return [*verbs[: unsent.acknowledged]]

    functions = set[str]()
    for line in count(1):
        with Child(serve, Fault(signal.SIGINT, line, after="fold", until="_turns")) as server:
            IPC(directory).wait(NAME, PATIENCE).unwrap().close()
            acknowledged = [*converse("ping", "many 2"), *converse("quiet"), *converse("stop")]
            code, said = server.ended()
            *places, result = said.splitlines()
            assert (code, result) == (0, str(Success(tuple(acknowledged)))), said
        if not places:
            break
        functions.add(places[0].split()[1])
    assert functions >= {"turn", "_accept", "accepted", "_read", "fold", "send", "watch", "close"}


def test_threads_on_one_connection_are_told_that_it_is_in_use(server: ServerProcess, process: Process, gate: Path) -> None:
    with ThreadPoolExecutor(1) as pool:
        asking = pool.submit(process.ask, Message.text(f"block {gate}"))
        with gate.open("wb"):  # opens once the handler has the message, so that the other thread waits
            in_use = Failure(InUse(NAME))
            assert process.send(Message.text("mixed in")) == in_use
            assert process.wait(0) == in_use
            assert process.ask(Message.text("mixed in")) == in_use
            assert process.close() == in_use
            assert not process.closed
        assert asking.result(PATIENCE) == Success(Message.text("released"))
        assert process.ask(PING) == Success(PONG)
        process.close()
        assert server.stop() == [f"block {gate}", "ping"]


def test_threads_that_share_one_connection_never_mix_their_bytes(server: ServerProcess, process: Process) -> None:
    def hammer(thread: int) -> list[str]:
        sent = list[str]()
        while len(sent) < 40:
            message = Message.text(f"echo {thread} {len(sent)} " + "x" * 20_000)
            asked = process.ask(message)
            assert asked in (Success(message), Failure(InUse(NAME)))
            if asked == Success(message):
                sent.append(message.content.decode())
        return sent

    with ThreadPoolExecutor(4) as pool:
        contents = [content for each in pool.map(hammer, range(4), timeout=PATIENCE) for content in each]
    process.close()
    assert sorted(server.stop()) == sorted(contents)


def test_a_signal_handler_is_told_that_the_connection_it_interrupts_is_in_use(
    directory: Path, server: ServerProcess, process: Process, gate: Path
) -> None:
    found = list[Result[Process, SendError]]()

    def meanwhile(_: int, __: FrameType | None) -> None:
        if not found:
            found.append(process.send(Message.text("mixed in")))
            gate.write_bytes(b"")

    with signals_every(0.1, meanwhile):
        assert process.ask(Message.text(f"block {gate}")) == Success(Message.text("released"))
    assert found == [Failure(InUse(NAME))]
    process.close()
    assert server.stop() == [f"block {gate}"]


def ask_in_a_child(directory: Path) -> None:
    """A child of its own connection."""
    with IPC(directory).wait(NAME, PATIENCE).unwrap() as process:
        sys.exit(process.ask(PING) != Success(PONG))


@pytest.mark.parametrize("method", ["spawn", "fork", "forkserver"])
def test_children_make_their_own_connections(directory: Path, server: ServerProcess, method: str) -> None:
    def ask_beside_children(_: object) -> object:
        """In a process without threads, which may fork."""
        context = get_context(method)
        with IPC(directory).get(NAME).unwrap() as process:
            children = [context.Process(target=ask_in_a_child, args=(directory,)) for _ in range(3)]  # type: ignore[attr-defined]  # of a context of any method
            for child in children:
                child.start()
            answer = process.ask(PING)
            for child in children:
                child.join(PATIENCE)
            return answer, [child.exitcode for child in children]

    with Child(ask_beside_children) as asking:
        assert asking.result() == str((Success(PONG), [0] * 3))
        assert server.stop() == ["ping"] * 4


def test_a_connection_cannot_be_given_to_a_spawned_child(process: Process) -> None:
    with pytest.raises(TypeError, match="connect again"):
        pickle.dumps(process)


def test_a_failed_server_puts_signal_handlers_and_wakeup_descriptor_back(directory: Path) -> None:
    def fail(message: Message, continuation: Continuation[int], carry: int) -> Continuation[int]:
        raise KeyError(carry)

    def own(_: int, __: FrameType | None) -> None: ...

    ignored, handled_here, default = (signal.SIGTERM, signal.SIG_IGN), (signal.SIGINT, own), (signal.SIGHUP, signal.SIG_DFL)
    with handled(*ignored), handled(*handled_here), handled(*default), wakeup_descriptor(), beside(lambda: sent(directory, "fail")):
        assert IPC(directory).listen(NAME)(7, fail).failure().carry == 7  # type: ignore[union-attr]  # it is HandlerFailed


PROGRAM = """
import sys, threading
from ipcfold import IPC, Message, Name
ipc, name = IPC(sys.argv[1]), Name("server")
process = ipc.get(name).unwrap()
print(process.ask(Message.text("ping")).unwrap().content.decode())
unread = ipc.get(name).unwrap()
unread.send(Message.text("many 3")).unwrap()
ipc.get(name).unwrap()
threading.Thread(target=unread.wait, args=(60,), daemon=True).start()
serve = lambda: IPC(sys.argv[1]).listen(Name("other"))(0, lambda message, continuation, carry: continuation.stop(carry))
threading.Thread(target=serve, daemon=True).start()
kept = ipc.wait(Name("other"), 20).unwrap()
"""


def test_the_interpreter_ends_quietly_with_everything_still_open(directory: Path, server: ServerProcess) -> None:
    ended = python("-X", "dev", "-W", "error", "-c", PROGRAM, directory, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "pong\n", "")
    assert server.stop() == ["ping", "many 3"]


def test_a_server_leaks_no_file_in_development_mode(directory: Path) -> None:
    command = [sys.executable, "-X", "dev", "-W", "error", "-m", "tests.shells.serve", str(directory), str(NAME)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT) as server:
        with IPC(directory).wait(NAME, PATIENCE).unwrap() as process:
            assert process.ask(PING) == Success(PONG)
        python("-c", PROGRAM, directory)
        server.terminate()
        output, errors = server.communicate(timeout=PATIENCE)
    assert '"carry": ["ping", "ping", "many 3"]' in output
    assert [line for line in errors.splitlines() if not line.startswith("INFO ")] == []


def test_threads_with_a_connection_each_get_their_own_responses(directory: Path, server: ServerProcess) -> None:
    barrier = threading.Barrier(8)

    def ask(thread: int) -> list[Message]:
        with IPC(directory).get(NAME).unwrap() as process:
            barrier.wait(PATIENCE)
            return [process.ask(Message.text(f"echo {thread} {number}")).unwrap() for number in range(50)]

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(ask, range(8), timeout=PATIENCE))
        assert answers == [[Message.text(f"echo {thread} {number}") for number in range(50)] for thread in range(8)]
        assert len(server.stop()) == 400
