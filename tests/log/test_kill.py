"""A server with a log is killed at any step. What clients know to be acknowledged is in the carry of the next one, once and in order.

The clients send again what was not acknowledged, with the same identity, and the handler folds each identity once.
"""

import asyncio
import os
import random
import signal
from collections import deque
from collections.abc import Generator
from itertools import count
from pathlib import Path
from threading import Thread

import attrs
import pytest
from returns.result import Failure, Result, Success

from ipcfold import IPC, Continuation, ListenError, Message, NameTaken, Process, aio, cases
from ipcfold.handlers import Remembered, once
from ipcfold.log import Snapshots, SQLiteLog
from tests.shells.children import Child, Fault
from tests.shells.support import NAME, PATIENCE

Said = tuple[str, ...]
NOTHING: Said = ()
KILLS = int(os.environ.get("IPCFOLD_KILLS", "40"))  # a thousand take some minutes
SEED = int(os.environ.get("IPCFOLD_SEED", "0"))


def tell(message: Message, continuation: Continuation[Said], said: Said) -> Continuation[Said]:
    said = (*said, message.content.decode())
    return continuation.respond(said, Message.text(str(len(said))))


def _written(carry: Remembered[Said]) -> bytes:
    return repr((carry.carry, [(key, [each.content for each in answer]) for key, answer in carry.responses.items()])).encode()


def _read(content: bytes) -> Remembered[Said]:
    said, responses = eval(content)  # noqa: S307 - it is from this test
    return Remembered(tuple(said), {key: tuple(map(Message.text, (each.decode() for each in answer))) for key, answer in responses})


SNAPSHOTS = attrs.evolve(Snapshots.of(_written, _read), every=5)


async def tell_later(
    message: Message, continuation: Continuation[Remembered[Said]], said: Remembered[Said]
) -> Continuation[Remembered[Said]]:
    await asyncio.sleep(0)
    return once(tell)(message, continuation, said)


Ended = Result[Remembered[Said], ListenError[Remembered[Said]]]


async def served_in_a_loop(directory: Path, handler: aio.Handler[Remembered[Said]], *, standby: bool) -> Ended:
    log = SQLiteLog.of(directory / "log")
    listen = aio.IPC(directory).listen(NAME, PATIENCE, log=log, signals=[signal.SIGTERM], standby=standby)
    return await listen(Remembered(NOTHING), handler, snapshots=SNAPSHOTS)


def served(directory: Path, shell: str, *, standby: bool) -> Ended:
    """A server in this shell: `aio` has a plain handler, and `async` one that awaits."""
    if shell != "blocking":
        return asyncio.run(served_in_a_loop(directory, once(tell) if shell == "aio" else tell_later, standby=standby))
    listen = IPC(directory).listen(NAME, PATIENCE, log=SQLiteLog.of(directory / "log"), standby=standby)
    return listen(Remembered(NOTHING), once(tell), snapshots=SNAPSHOTS)


SHELLS = ("blocking", "aio", "async")


def serving(directory: Path, fault: Fault | None = None, shell: str = "blocking", *, standby: bool = False) -> Child:
    def work(_: object) -> Said | str:
        match cases(served(directory, shell, standby=standby)):
            case Success(remembered):
                return remembered.carry
            case Failure(error):
                return str(error)

    return Child(work, fault)


def connected(directory: Path, server: Child) -> Process | None:
    """A connection, or nothing if the server dies before there is one."""
    pid = server.pid
    while True:
        match cases(IPC(directory).wait(NAME, 0.05)):
            case Success(process):
                return process
            case Failure():
                if not alive(pid):
                    return None


def alive(pid: int) -> bool:
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().rpartition(")")[2].split()[0] != "Z"


STEPS = ("first", "second", "third")


def life(directory: Path, fault: Fault, shell: str) -> tuple[int, list[str]]:
    """A server that is killed at this step, and clients that say three things to it and to the next one."""
    answers = list[str]()
    with serving(directory, fault, shell) as server:
        process = connected(directory, server)
        for step in STEPS:
            answer = None if process is None else process.ask(Message.text(step).identified(step), PATIENCE).value_or(None)
            if answer is None:
                break
            answers.append(answer.content.decode())
        if process is not None:
            process.close()
        if alive(server.pid):
            server.signal(signal.SIGTERM)
        code, _ = server.ended()
    return code, answers


@pytest.mark.parametrize(
    ("shell", "function"),
    [
        ("blocking", "_commit"),
        ("blocking", "start"),
        ("blocking", "conclude"),
        ("aio", "_commit"),
    ],
)
def test_a_server_killed_at_any_step_of_its_log_loses_nothing_and_folds_nothing_twice(shell: str, function: str, tmp_path: Path) -> None:
    for line in count(1):
        directory = tmp_path / f"{line}"
        directory.mkdir(mode=0o700)
        code, answers = life(directory, Fault(signal.SIGKILL, line, after=function, until=function), shell)
        with serving(directory, shell=shell) as server, IPC(directory).wait(NAME, PATIENCE).unwrap() as process:
            for number, step in enumerate(STEPS, 1):
                answer = process.ask(Message.text(step).identified(step), PATIENCE).unwrap()
                assert answer.content == b"%d" % number
                assert answers[number - 1 : number] in ([], [str(number)])
            process.close()
            assert server.stop() == str(STEPS)
        if code == 0:
            assert line > 20
            return
        assert code == -signal.SIGKILL


class Client(Thread):
    """Says so many things, and says each again until it is acknowledged."""

    def __init__(self, directory: Path, name: str, things: int) -> None:
        super().__init__()
        self._directory = directory
        self._name = name
        self._things = things
        self.failure: object = None

    def run(self) -> None:
        try:
            left = [f"{self._name} {number}" for number in range(self._things)]
            with IPC(self._directory).steady(NAME, PATIENCE) as steady:
                while left:
                    some = left[: random.choice((1, 2, 7, 50))]  # noqa: S311 - it is no secret
                    if len(some) == 1:
                        steady.ask(Message.text(some[0]), PATIENCE).unwrap()
                    else:
                        steady.send(*map(Message.text, some)).unwrap()
                    left = left[len(some) :]
        except BaseException as error:  # noqa: BLE001 - it is raised in the test
            self.failure = error


def server_of(directory: Path) -> int:
    with IPC(directory).wait(NAME, PATIENCE).unwrap() as process:
        return process.peer.pid


def servers(directory: Path, dice: random.Random, *, standby: bool) -> Generator[Child]:
    """Servers of any shell, one after the other; `standby`: each begins while the one before still serves."""
    following = deque([serving(directory, shell=dice.choice(SHELLS), standby=standby)])
    while True:
        with following.popleft() as server:
            while server_of(directory) != server.pid:
                pass
            if standby:
                following.append(serving(directory, shell=dice.choice(SHELLS), standby=True))
            try:
                yield server
            except GeneratorExit:
                for other in following:
                    with other:
                        pass
                raise
        if not standby:
            following.append(serving(directory, shell=dice.choice(SHELLS)))


@pytest.mark.parametrize("standby", [False, True])
def test_a_server_killed_again_and_again_folds_what_its_clients_say_once_and_in_order(standby: bool, tmp_path: Path) -> None:  # noqa: FBT001
    directory, dice = tmp_path, random.Random(SEED)  # noqa: S311 - it is no secret
    directory.chmod(0o700)
    clients = [Client(directory, name, 10 * KILLS) for name in ("ann", "bob", "eve")]
    for client in clients:
        client.start()
    killed = 0
    lives = servers(directory, dice, standby=standby)
    for server in lives:
        delay = dice.random() ** 2 * 0.05
        for client in clients:
            client.join(delay / 3)
        if not any(client.is_alive() for client in clients):
            carry = eval(server.stop())  # noqa: S307 - it is from this test
            lives.close()
            break
        server.signal(signal.SIGKILL)
        server.gone()
        killed += 1
    assert [client.failure for client in clients] == [None] * 3
    for client in clients:
        assert [each for each in carry if each.startswith(client._name)] == [f"{client._name} {number}" for number in range(10 * KILLS)]  # noqa: SLF001 - of this module
    assert len(carry) == 30 * KILLS
    assert killed


@pytest.mark.parametrize("shell", SHELLS)
def test_a_stopped_owner_keeps_the_name_and_the_log(shell: str, tmp_path: Path) -> None:
    directory = tmp_path
    directory.chmod(0o700)
    with serving(directory, shell=shell) as server, IPC(directory).wait(NAME, PATIENCE).unwrap() as process:
        process.ask(Message.text("one"), PATIENCE).unwrap()
        server.signal(signal.SIGSTOP)
        server.paused()
        taken = IPC(directory).listen(NAME, log=SQLiteLog.of(directory / "log"))(Remembered(NOTHING), once(tell)).failure()
        assert isinstance(taken, NameTaken)
        other = directory / "other"
        other.mkdir(mode=0o700)
        failed = IPC(other).listen(NAME, log=SQLiteLog.of(directory / "log"))(Remembered(NOTHING), once(tell)).failure()
        assert f"process {server.pid} writes to the log" in str(failed)
        server.resume()
        assert process.ask(Message.text("two"), PATIENCE).unwrap().content == b"2"
        server.signal(signal.SIGSTOP)
        server.paused()
        server.signal(signal.SIGKILL)
        server.gone()
    with serving(directory, shell=shell) as server, IPC(directory).wait(NAME, PATIENCE).unwrap() as process:
        assert process.ask(Message.text("three"), PATIENCE).unwrap().content == b"3"
        assert server.stop() == str(("one", "two", "three"))
