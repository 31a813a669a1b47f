"""A server over sockets does what the fold of its record says: its carry, and all that each client sees."""

import tempfile
import threading
from collections import defaultdict
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from returns.result import Failure, Result, Success

from ipcfold import IPC, ConnectionClosed, Continuation, ListenError, Message, Name, Process, cases, fold
from ipcfold.accelerator import accelerated, fast
from ipcfold.effects import Answer, Tell
from ipcfold.inputs import Left, Woken
from tests.core.test_effects import START, State, busy, left
from tests.shells.support import PATIENCE

NAME = Name("laws")
STOP = Message.text("stop")
ACTIONS = st.sampled_from(["all", "all", "plain", "defer", "defer", "answer", "wake", "now", "close", "leave", "vanish"])


@pytest.fixture(params=[True, False] if accelerated else [False], ids=lambda used: "accelerated" if used else "python", scope="module")
def built(request: pytest.FixtureRequest) -> Iterator[None]:
    """With the accelerator, where it is built, and without it."""
    before = fast.enable(request.param) if accelerated else False
    yield
    if accelerated:
        fast.enable(before)


def handle(message: Message, continuation: Continuation[State], carry: State) -> Continuation[State]:
    """Do what the word says; `wake` asks for an alarm soon, and `now` at once."""
    answer = busy(message, continuation, carry)
    if message.content in (b"wake", b"now"):
        return answer.wake(answer.carry, answer.now + (0.001 if message.content == b"wake" else -1.0))
    return answer.stop(answer.carry) if message == STOP else answer


def woken(continuation: Continuation[State], carry: State) -> Continuation[State]:
    """Tell everybody. Three alarms in a row ask for the next one at once."""
    there, open_, inputs = carry
    carry = there, open_, (*inputs, Woken(continuation.now))
    for peer in there:
        continuation = continuation.tell(carry, peer, Message.text(f"alarm {len(inputs)}"))
    if not all(isinstance(each, Woken) for each in inputs[-3:]):
        return continuation.wake(carry, continuation.now)
    return continuation.continue_(carry)


def expected(record: State) -> tuple[State, dict[int, list[Message]]]:
    """The carry that the record gives, and what it sends to each connection, in order."""
    sent = defaultdict[int, list[Message]](list)

    def note(answer: Continuation[State]) -> Continuation[State]:
        own, done = sent[answer.peer.connection], 0
        for effect in answer.effects:
            match effect:
                case Tell(peer, messages, after):
                    target = peer
                case Answer(ticket, messages, after):
                    target = ticket.peer
                case _:
                    continue
            own += answer.responses[done:after]
            done = after
            sent[target.connection] += messages
        own += answer.responses[done:]
        return answer

    folded = fold(
        lambda message, given, carry: note(handle(message, given, carry)),
        START,
        record[2],
        left=lambda peer, given, carry: note(left(peer, given, carry)),
        woken=lambda given, carry: note(woken(given, carry)),
    )
    return folded.unwrap().carry, sent


def rest(process: Process) -> list[Message]:
    """What arrives until the connection is closed."""
    found = list[Message]()
    while True:
        match cases(process.wait(PATIENCE)):
            case Success(message):
                found.append(message)
            case Failure(error):
                assert isinstance(error, ConnectionClosed)
                return found


@pytest.mark.usefixtures("built")
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(0, 3), ACTIONS), max_size=30))
def test_the_fold_of_the_record_gives_the_carry_and_all_that_each_client_sees(steps: list[tuple[int, str]]) -> None:
    results = list[Result[State, ListenError[State]]]()
    with tempfile.TemporaryDirectory(prefix="ipc") as directory:
        ipc = IPC(directory)
        server = threading.Thread(target=lambda: results.append(ipc.listen(NAME)(START, handle, left, woken)))
        server.start()
        clients, count, closed = dict[int, tuple[int, Process]](), 0, list[tuple[int, Process]]()
        for client, action in [*steps, (4, "stop")]:
            if client not in clients:
                count += 1
                clients[client] = count, ipc.wait(NAME, PATIENCE).unwrap()
            match action:
                case "vanish":
                    del clients[client]  # the server sees the stream end
                case "leave":
                    clients.pop(client)[1].close()
                case _:
                    assert isinstance(clients[client][1].send(Message.text(action)), Success)
            if action == "close":
                closed.append(clients.pop(client))
        seen = {number: rest(process) for number, process in (*clients.values(), *closed)}
        server.join(PATIENCE)
    (result,) = results
    carry, sent = expected(result.unwrap())
    assert carry == result.unwrap()
    for number, process in clients.values():
        assert process.closed
        assert seen[number] == sent[number]
    for number, _ in closed:  # it was told things after it had to close
        assert seen[number] == sent[number][: len(seen[number])]
    numbers = [each.peer.connection for each in carry[2] if isinstance(each, Left)]
    assert sorted(numbers) == list(range(1, count + 1))
