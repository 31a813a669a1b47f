"""The machine finds the shortest conversation in which a protocol goes wrong, and nothing wrong in one that is right."""

import subprocess
import sys
from pathlib import Path
from typing import Generic, TypeVar

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import invariant, run_state_machine_as_test

from ipcfold import Continuation, Handler, Limits, Message, Peer
from ipcfold.events import Departure
from ipcfold.testing import Client, ProtocolMachine, Send
from tests.environment import PLAIN, ROOT
from tests.testing.leases import fails, steps, unneeded

C = TypeVar("C")

LOCK, UNLOCK = Message.text("lock"), Message.text("unlock")
GRANTED, BUSY = Message.text("granted"), Message.text("busy")
HARD = settings(
    max_examples=300,
    database=None,
    derandomize=True,
    phases=[Phase.generate, Phase.shrink],  # and none to explain
    suppress_health_check=list(HealthCheck),
)


def naive(message: Message, continuation: Continuation[bool], locked: bool) -> Continuation[bool]:  # noqa: FBT001 - the carry
    """A lock that anybody can unlock."""
    if message == LOCK:
        return continuation.respond(True, BUSY if locked else GRANTED)
    return continuation.continue_(False)


def right(message: Message, continuation: Continuation[Peer | None], holder: Peer | None) -> Continuation[Peer | None]:
    """A lock that only its holder can unlock."""
    if message == LOCK:
        return continuation.respond(holder, BUSY) if holder else continuation.respond(continuation.peer, GRANTED)
    return continuation.continue_(None if holder == continuation.peer else holder)


def holds(client: Client) -> bool:
    """Whether this client believes that it has the lock."""
    held = False
    for message, answer in zip(client.sent, client.answers, strict=True):
        held = GRANTED in answer or (held and message != UNLOCK)
    return held and client.departure is None


class Locks(ProtocolMachine[C], Generic[C]):
    def messages(self, client: Client) -> st.SearchStrategy[Message]:
        return st.sampled_from([LOCK, UNLOCK])

    @invariant()
    def only_one_has_it(self) -> None:
        assert sum(map(holds, self.seen)) <= 1


class Naive(Locks[bool]):
    def server(self) -> tuple[bool, Handler[bool]]:
        return False, naive


class Right(Locks[Peer | None]):
    def server(self) -> tuple[Peer | None, Handler[Peer | None]]:
        return None, right


TestRight = Right.TestCase


class Restless(ProtocolMachine[int]):
    """Its alarm asks for itself at once, for ever. The steps go on."""

    def server(self) -> tuple[int, Handler[int]]:
        return 0, lambda message, continuation, carry: continuation.respond(carry, message).wake(carry, self.now)

    def messages(self, client: Client) -> st.SearchStrategy[Message]:
        return st.just(LOCK)

    def woken(self, continuation: Continuation[int], carry: int) -> Continuation[int]:
        return continuation.wake(carry + 1, continuation.now - 1.0)

    @invariant()
    def everybody_is_answered(self) -> None:
        for client in self.seen:
            if client.departure is None and client.acknowledged:
                assert client.answers[: client.acknowledged] == ((LOCK,),) * client.acknowledged


TestRestless = Restless.TestCase


class Counting(ProtocolMachine[int]):
    """A count that must stay below two, and a client that says nothing once it got an answer."""

    limits = Limits(connections=2)

    def server(self) -> tuple[int, Handler[int]]:
        return 0, lambda _, continuation, count: continuation.respond(count + 1, GRANTED)

    def messages(self, client: Client) -> st.SearchStrategy[Message]:
        return st.nothing() if client.responses else st.just(LOCK)

    def check(self, carry: int) -> None:
        assert carry == self.carry < 2, "two are too many"


class Failing(ProtocolMachine[int]):
    """A handler that does not know what it gets."""

    def server(self) -> tuple[int, Handler[int]]:
        return 0, fail

    def messages(self, client: Client) -> st.SearchStrategy[Message]:
        return st.sampled_from([LOCK, UNLOCK])


class Mourning(ProtocolMachine[int]):
    """A handler that cannot do with messages of clients that have died meanwhile."""

    def server(self) -> tuple[int, Handler[int]]:
        return 0, self.count

    def count(self, message: Message, continuation: Continuation[int], count: int) -> Continuation[int]:
        assert message == LOCK
        speaking = next(client for client in self.seen if client.peer == continuation.peer)
        assert speaking.departure is not Departure.LOST, "whom should this be answered?"
        return continuation.continue_(count + 1)

    def messages(self, client: Client) -> st.SearchStrategy[Message]:
        return st.just(LOCK)


def fail(message: Message, continuation: Continuation[int], count: int) -> Continuation[int]:
    if message == LOCK:
        return continuation.continue_(count + 1)
    raise KeyError(message.content)


Lease = tuple[frozenset[Peer], float]
"""Who has ever had the lock, and until when somebody has it."""
FREE: Lease = (frozenset(), 0.0)


def naive_lease(message: Message, continuation: Continuation[Lease], carry: Lease) -> Continuation[Lease]:
    """A lock that is given for 30 seconds. Whoever has ever had it can unlock it, also after the lease was given to another client."""
    holders, until = carry
    if message == UNLOCK:
        return continuation.continue_((holders, 0.0) if continuation.peer in holders else carry)
    if continuation.now < until:
        return continuation.respond(carry, BUSY)
    until = continuation.now + 30
    return continuation.respond((holders | {continuation.peer}, until), Message.text(f"until {until}"))


Held = tuple[Peer, float] | None


def right_lease(message: Message, continuation: Continuation[Held], held: Held) -> Continuation[Held]:
    """A lock that is given for 30 seconds, and that only its holder can unlock."""
    if message == UNLOCK:
        if held is None or held[0] != continuation.peer:
            return continuation
        return continuation.wake(None, None)
    if held is not None:
        return continuation.respond(held, BUSY)
    until = continuation.now + 30
    granted = continuation.respond((continuation.peer, until), Message.text(f"until {until}"))
    return granted.wake(granted.carry, until)


class Leases(ProtocolMachine[C], Generic[C]):
    epoch = 1.7e9

    def messages(self, client: Client) -> st.SearchStrategy[Message]:
        return st.sampled_from([LOCK, UNLOCK])

    @invariant()
    def only_one_has_the_lease(self) -> None:
        assert sum(map(self.holds, self.seen)) <= 1

    def holds(self, client: Client) -> bool:
        until = 0.0
        for message, answer in zip(client.sent, client.answers, strict=True):
            given = [float(each.content[6:]) for each in answer if each != BUSY]
            until = given[0] if given else 0.0 if message == UNLOCK else until
        return self.now < until and client.departure is None


class NaiveLeases(Leases[Lease]):
    def server(self) -> tuple[Lease, Handler[Lease]]:
        return FREE, naive_lease


class RightLeases(Leases[Held]):
    def server(self) -> tuple[Held, Handler[Held]]:
        return None, right_lease

    def left(self, peer: Peer, continuation: Continuation[Held], carry: Held) -> Continuation[Held]:
        if carry is None or carry[0] != peer:
            return continuation
        return continuation.wake(None, None)

    def woken(self, continuation: Continuation[Held], carry: Held) -> Continuation[Held]:
        assert carry is not None
        assert carry[1] == continuation.now
        return continuation.continue_(None)


TestRightLeases = RightLeases.TestCase


def found(machine: type[ProtocolMachine[C]], error: type[BaseException]) -> list[str]:
    """What clients do, and how the handler fails, in the example that the machine ends with."""
    with pytest.raises(error) as raised:
        run_state_machine_as_test(machine, settings=HARD)
    lines = [line for note in raised.value.__notes__ for line in note.splitlines() if " s  " in line]
    return [" ".join(line.split()[2:]) for line in lines if "sends" in line or "ends:" in line]


def test_a_lock_that_anybody_can_unlock_is_proved_wrong_by_the_shortest_conversation() -> None:
    assert found(Naive, AssertionError) == [
        "ann sends text/plain b'lock'",
        "bob sends text/plain b'unlock'",
        "bob sends text/plain b'lock'",
    ]


def test_a_naive_lease_is_proved_wrong_by_a_conversation_without_a_step_that_is_not_needed() -> None:
    lines = found(NaiveLeases, AssertionError)
    assert lines == [
        "ann sends text/plain b'lock'",
        "ann sends text/plain b'unlock'",
        "bob sends text/plain b'lock'",
        "ann sends text/plain b'unlock'",
        "ann sends text/plain b'lock'",
    ]


def test_pytest_shows_a_conversation_without_a_step_that_is_not_needed(tmp_path: Path) -> None:
    """As a person runs it. Two clients have the lock only if a lease ends in time, and its client comes back."""
    tests = ["from hypothesis import settings", "from tests.testing.leases import Leases", "TestLeases = Leases.TestCase"]
    tests.append("TestLeases.settings = settings(TestLeases.settings, max_examples=2000, database=None)")
    (tmp_path / "test_leases.py").write_text("\n".join(tests))
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--tb=short", "--hypothesis-seed=3", "test_leases.py"]
    environment = {**PLAIN, "PYTHONPATH": str(ROOT)}
    ran = subprocess.run(command, check=False, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert ran.returncode == 1, ran.stdout
    script = steps(ran.stdout.splitlines())
    assert fails(script), ran.stdout
    assert unneeded(script) == []
    assert "ann sends): Lock(wanted=True)" in ran.stdout


def test_the_carry_is_checked_after_each_message() -> None:
    assert found(Counting, AssertionError) == ["ann sends text/plain b'lock'", "bob sends text/plain b'lock'"]


def test_the_machine_tries_messages_of_clients_that_have_died() -> None:
    first, held, failed = found(Mourning, AssertionError)  # what she said before makes her somebody whom one can hold
    assert first == held == "ann sends text/plain b'lock'"
    assert "whom should this be answered?" in failed


def test_the_machine_finds_a_handler_that_fails() -> None:
    sent, failed, *_ = found(Failing, KeyError)
    assert sent == "ann sends text/plain b'unlock'"
    assert "ends: the handler failed with KeyError(b'unlock')" in failed


def test_a_machine_without_functions_of_its_own_has_none_to_call() -> None:
    machine = Counting()
    with pytest.raises(NotImplementedError):
        ProtocolMachine.left(machine, Peer(1, 1), Continuation(0), 0)
    with pytest.raises(NotImplementedError):
        ProtocolMachine.woken(machine, Continuation(0), 0)


BOTH = [Send("ann", LOCK), Send("bob", LOCK)]


class FromCorpus(Locks[bool]):
    """Two clients whose requests are in a log. What one of them says next breaks a naive lock."""

    corpus = ([], BOTH)

    def server(self) -> tuple[bool, Handler[bool]]:
        return False, naive


def test_a_conversation_begins_with_the_steps_of_a_script_and_its_clients_go_on() -> None:
    with pytest.raises(AssertionError) as failure:
        run_state_machine_as_test(FromCorpus, settings=HARD)
    notes = "\n".join(failure.value.__notes__)
    assert "ann" in notes
    machine = FromCorpus()
    machine.resume(BOTH)
    assert [client.name for client in machine.seen] == ["ann", "bob"]
    assert machine.carry is True


def test_a_machine_without_a_corpus_draws_nothing_for_one() -> None:
    assert (Naive.corpus, Naive.begin) == ((), None)
    assert FromCorpus.begin is not None
