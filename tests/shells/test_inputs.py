"""A server over sockets folds departures and alarms, and knows the time."""

import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from returns.result import Failure, Result, Success

from ipcfold import IPC, Continuation, ListenError, Message, Name, Peer
from ipcfold.accelerator import accelerated, fast
from ipcfold.inputs import Came, Input, Left, Woken
from tests.shells.support import PATIENCE

Log = tuple[Input, ...]
EMPTY: Log = ()
NAME = Name("inputs")
ONE, STOP = Message.text("one"), Message.text("stop")


@pytest.fixture(params=[True, False] if accelerated else [False], ids=lambda used: "accelerated" if used else "python")
def built(request: pytest.FixtureRequest) -> Iterator[None]:
    """With the accelerator, where it is built, and without it."""
    before = fast.enable(request.param) if accelerated else False
    yield
    if accelerated:
        fast.enable(before)


def came(message: Message, continuation: Continuation[Log], carry: Log) -> Continuation[Log]:
    carry = (*carry, Came(continuation.now, continuation.peer, message))
    verb, _, seconds = message.content.partition(b" ")
    answer = continuation.respond(carry, Message.text(str(continuation.number)))
    if verb == b"in":
        return answer.wake(carry, continuation.now + float(seconds))
    return answer.stop(carry) if verb == b"stop" else answer


def left(peer: Peer, continuation: Continuation[Log], carry: Log) -> Continuation[Log]:
    return continuation.continue_((*carry, Left(continuation.now, peer)))


@contextmanager
def serving(
    directory: Path, woken: Callable[[Continuation[Log], Log], Continuation[Log]] | None = None
) -> Iterator[list[Result[Log, ListenError[Log]]]]:
    """A server on a thread. Its result is in the list once this is left."""
    results = list[Result[Log, ListenError[Log]]]()
    thread = threading.Thread(target=lambda: results.append(IPC(directory).listen(NAME)(EMPTY, came, left, woken)))
    thread.start()
    yield results
    thread.join(PATIENCE)


@pytest.mark.usefixtures("built")
def test_a_server_tells_the_time_and_the_number_of_each_message(directory: Path) -> None:
    before = time()
    with serving(directory) as results, IPC(directory).wait(NAME).unwrap() as client:
        assert [client.ask(ONE).unwrap().content for _ in range(300)] == [str(number).encode() for number in range(1, 301)]
        assert client.send(*[ONE] * 3) == Success(client)
        assert [client.wait().unwrap().content for _ in range(3)] == [b"301", b"302", b"303"]
        client.ask(STOP)
    (result,) = results
    times = [each.now for each in result.unwrap() if isinstance(each, Came | Left)]
    assert times == sorted(times)
    assert before - 1 <= times[0] <= times[-1] <= time() + 1


@pytest.mark.usefixtures("built")
def test_each_client_leaves_once(directory: Path) -> None:
    with serving(directory) as results:
        with IPC(directory).wait(NAME).unwrap() as first:
            first.ask(ONE)
        with IPC(directory).wait(NAME).unwrap() as second, IPC(directory).wait(NAME).unwrap() as third:
            third.ask(ONE)
            second.ask(STOP)
    (result,) = results
    carry = result.unwrap()
    assert sorted(each.peer.connection for each in carry if isinstance(each, Left)) == [1, 2, 3]
    assert [type(each) for each in carry if isinstance(each, Came | Left) and each.peer.connection == 1] == [Came, Left]


@pytest.mark.usefixtures("built")
def test_an_alarm_rings_without_any_message_and_never_early(directory: Path) -> None:
    def stop(continuation: Continuation[Log], carry: Log) -> Continuation[Log]:
        return continuation.stop((*carry, Woken(continuation.now)))

    with serving(directory, stop) as results, IPC(directory).wait(NAME).unwrap() as client:
        client.ask(Message.text("in 0.03"))
        client.wait()  # until the server ends
    (result,) = results
    first, alarm, _ = result.unwrap()
    assert isinstance(first, Came)
    assert isinstance(alarm, Woken)
    assert first.now + 0.03 <= alarm.now


@pytest.mark.usefixtures("built")
def test_an_alarm_in_the_past_rings_at_once(directory: Path) -> None:
    def stop(continuation: Continuation[Log], carry: Log) -> Continuation[Log]:
        return continuation.stop((*carry, Woken(continuation.now)))

    with serving(directory, stop) as results, IPC(directory).wait(NAME).unwrap() as client:
        client.send(Message.text("in -5"), ONE)
        client.wait()
        client.wait()  # until the server ends
    (result,) = results
    first, alarm, *_ = result.unwrap()
    assert isinstance(first, Came)
    assert isinstance(alarm, Woken)
    assert first.now <= alarm.now


@pytest.mark.usefixtures("built")
def test_an_alarm_rings_while_clients_never_stop_sending(directory: Path) -> None:
    def stop(continuation: Continuation[Log], carry: Log) -> Continuation[Log]:
        return continuation.stop((*carry, Woken(continuation.now)))

    with serving(directory, stop) as results, IPC(directory).wait(NAME).unwrap() as client:
        client.ask(Message.text("in 0.03"))
        while isinstance(client.send(*[ONE] * 50), Success):
            pass
    (result,) = results
    carry = result.unwrap()
    (alarm,) = [each for each in carry if isinstance(each, Woken)]
    first = carry[0]
    assert isinstance(first, Came)
    assert all(each.now <= alarm.now for each in carry if isinstance(each, Came))
    assert first.now + 0.03 <= alarm.now


@pytest.mark.usefixtures("built")
def test_clients_are_answered_while_the_alarm_asks_for_itself_at_once_for_ever(directory: Path) -> None:
    def again(continuation: Continuation[Log], carry: Log) -> Continuation[Log]:
        return continuation.wake((*carry, Woken(continuation.now))[-1000:], continuation.now)

    with serving(directory, again) as results, IPC(directory).wait(NAME).unwrap() as first:
        first.ask(Message.text("in 0"))
        with IPC(directory).wait(NAME).unwrap() as second:
            for number in range(1, 21):
                assert second.ask(ONE, PATIENCE) == Success(Message.text(f"{number}"))
                assert first.ask(ONE, PATIENCE) == Success(Message.text(f"{number + 1}"))
        first.ask(STOP)
    (result,) = results
    assert result.map(lambda carry: type(carry[-1])) == Success(Left)


@pytest.mark.usefixtures("built")
def test_a_server_whose_alarm_asks_for_itself_at_once_for_ever_ends_after_its_timeout(directory: Path) -> None:
    def again(continuation: Continuation[int], carry: int) -> Continuation[int]:
        return continuation.wake(carry + 1, continuation.now)

    def wake(_: Message, continuation: Continuation[int], carry: int) -> Continuation[int]:
        return continuation.wake(carry, continuation.now)

    results = list[Result[int, ListenError[int]]]()
    thread = threading.Thread(target=lambda: results.append(IPC(directory).listen(NAME, timeout=0.5)(0, wake, woken=again)))
    thread.start()
    with IPC(directory).wait(NAME).unwrap() as client:
        client.send(ONE)
        assert isinstance(client.wait(PATIENCE), Failure)  # it is asked to close
    thread.join(PATIENCE)
    assert results[0].unwrap() > 0


@settings(max_examples=10)
@given(st.lists(st.integers(0, 3), max_size=12))
def test_whichever_client_sends_the_fold_of_the_record_gives_the_carry(order: list[int]) -> None:
    from ipcfold import fold  # noqa: PLC0415 - beside its only use

    with tempfile.TemporaryDirectory(prefix="ipc") as path:
        directory = Path(path)
        with serving(directory) as results:
            clients = [IPC(directory).wait(NAME).unwrap() for _ in range(4)]
            for each in order:
                clients[each].ask(ONE)
            clients[0].ask(STOP)
            for each in range(4):
                clients[each].close()
        (result,) = results
    carry = result.unwrap()
    assert fold(came, EMPTY, carry, left=left).unwrap().carry == carry
