"""A replay gives the same carry where answers were rescued, where alarms had to wait for others, and where clients are those of a run."""

import asyncio
import pickle
from pathlib import Path
from typing import TypeAlias

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from returns.result import Success

from ipcfold import IPC, Continuation, Message, Peer, aio
from ipcfold.core.functions import Handlers
from ipcfold.handlers import rescue, rescue_left, rescue_woken
from ipcfold.log import MemoryLog, Snapshots, decode
from ipcfold.testing import Clock, Step, replayed, scripts
from tests.aio.support import LOOPS, run
from tests.log.world import WORDS, Carry, LoggedPlayer, handle, left, recovered, woken
from tests.shells.support import NAME, PATIENCE

STRANGER, SORRY = Peer(10**6), Message.text("sorry")
MISUSES = ["twice", "stranger", "nobody", "raise", "not a number"]
WORSE = WORDS | st.sampled_from(MISUSES).map(Message.text)
Seen: TypeAlias = tuple[str, ...]
There: TypeAlias = tuple[Peer, ...]


def wrong(message: Message, given: Continuation[Carry], carry: Carry) -> Continuation[Carry]:
    match message.content.decode():
        case "twice":
            return given.defer(carry).answer(carry, given.ticket, SORRY).answer(carry, given.ticket, SORRY)
        case "stranger":
            return given.respond(carry, SORRY).tell(carry, STRANGER, SORRY)
        case "nobody":
            return attrs.evolve(given.wake(carry, given.now), peer=STRANGER)
        case "raise":
            raise LookupError("it fails")
        case "not a number":
            return given.wake(carry, float("nan"))
        case _:
            return handle(message, given, carry)


def wrong_left(peer: Peer, given: Continuation[Carry], carry: Carry) -> Continuation[Carry]:
    answer = left(peer, given, carry)
    return answer.respond(answer.carry, SORRY) if len(carry[0]) % 2 else answer


def wrong_woken(given: Continuation[Carry], carry: Carry) -> Continuation[Carry]:
    answer = woken(given, carry)
    return answer.close(answer.carry) if len(carry[0]) % 2 else answer


RESCUED = Handlers(rescue(wrong, SORRY), rescue_left(wrong_left), rescue_woken(wrong_woken))


@given(st.lists(scripts(WORSE), min_size=1, max_size=3))
def test_the_log_has_what_was_taken_instead_of_wrong_answers(lives: list[list[Step]]) -> None:
    log = MemoryLog()
    for script in lives:
        server = LoggedPlayer(log, handlers=RESCUED).play(script)
        server.crash()
        state, again = server.core.fold.state, recovered(log, RESCUED)
        assert state is not None
        assert again.carry == server.carry
        assert (again.state.time, again.state.alarm, again.state.open) == (state.time, state.alarm, state.open)


def test_an_alarm_that_others_come_before_rings_at_the_same_place_again(ipc: IPC) -> None:
    log = MemoryLog()

    def note(message: Message, given: Continuation[Seen], carry: Seen) -> Continuation[Seen]:
        seen = (*carry, f"{given.peer.connection}.{given.number}")
        return given.wake(seen, given.now) if message == SORRY else given.respond(seen, Message.text(str(len(seen))))

    def again(given: Continuation[Seen], carry: Seen) -> Continuation[Seen]:
        return given.wake((*carry, "woken"), given.now) if len(carry) < 200 else given.continue_(carry)

    start: Seen = ()
    with ipc.listen(NAME, log=log).start(start, note, None, again) as server:
        first, second = (ipc.get(NAME).unwrap() for _ in range(2))
        with first, second:
            for _ in range(10):
                first.send(SORRY, *[Message.text("one")] * 5).unwrap()
                second.ask(Message.text("two"), PATIENCE).unwrap()
    carry = server.result().unwrap()
    assert carry.count("woken") > 0
    assert replayed(note, log, start, woken=again) == Success(carry)


def tell(message: Message, given: Continuation[There], carry: There) -> Continuation[There]:
    match message.content:
        case b"here":
            return given.respond((*carry, given.peer), message)
        case b"stranger":
            return given.respond(carry, message).tell(carry, attrs.evolve(given.peer, run=given.peer.run + 1), message)
        case _:
            for each in carry[:-1]:
                given = given.tell(carry, each, message)
            return given.respond(carry, message)


TELL = rescue(tell, SORRY)


@pytest.mark.parametrize("snapshots", [None, Snapshots[There].of(pickle.dumps, pickle.loads)])
def test_a_client_of_an_earlier_server_of_the_log_is_gone_and_one_of_another_run_is_refused(
    ipc: IPC, snapshots: Snapshots[There] | None
) -> None:
    log = MemoryLog()
    start: There = ()
    for _ in range(3):
        with ipc.listen(NAME, log=log).start(start, TELL, snapshots=snapshots) as server, ipc.get(NAME).unwrap() as process:
            for word, answer in [("here", "here"), ("all", "all"), ("stranger", "sorry")]:
                assert process.ask(Message.text(word), PATIENCE) == Success(Message.text(answer))
    carry = server.result().unwrap()
    assert [peer.connection for peer in carry] == [1, 2, 3]
    assert len({peer.run for peer in carry} - {0}) == 1
    again = replayed(TELL, log, start).unwrap()
    assert [(peer, peer.run) for peer in again] == [(peer, peer.run) for peer in carry]


@LOOPS
def test_the_times_in_a_log_are_those_of_the_clock_of_the_server(directory: Path, loop: str) -> None:
    log, clock = MemoryLog(), Clock(1000.0)

    async def woken(given: Continuation[int], carry: int) -> Continuation[int]:
        return given.stop(carry + 1)

    async def main() -> None:
        ipc = aio.IPC(directory, clock=clock)
        server = asyncio.create_task(ipc.listen(NAME, log=log)(0, lambda _, given, carry: given.wake(carry, given.now + 60.0), None, woken))
        async with (await ipc.wait(NAME, PATIENCE)).unwrap() as process:
            (await process.send(SORRY)).unwrap()
            clock.advance(60.0)
            assert await process.wait() is not None
        assert await server == Success(1)

    run(main, loop)
    found = [decode(record).what for record in log.records]
    assert [(type(each).__name__, each.now) for each in found][:3] == [("Began", 1000.0), ("Came", 1000.0), ("Woken", 1060.0)]
    assert type(found[-1]).__name__ == "Ended"
    assert found[-1].now == 1060.0
