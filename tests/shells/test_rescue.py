"""A real server whose functions are rescued goes on after every wrong answer, with the accelerator and without it."""

import logging
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from returns.result import Success

from ipcfold import IPC, ConnectionClosed, Continuation, Message, Name, Peer, Ticket
from ipcfold.accelerator import accelerated, fast
from ipcfold.handlers import Remembered, once, once_left, rescue, rescue_left, rescue_woken
from tests.shells.support import PATIENCE
from tests.test_rescue import EMPTY, LIMITS, RIGHT, SORRY, WRONG, WRONG_FOR_ALL, Log, fail, handle, wrong

NAME = Name("rescue")
Tickets = tuple[Ticket, ...]
MIXED = [how for wrong in WRONG for how in (RIGHT, wrong)]


@pytest.fixture(params=[True, False] if accelerated else [False], ids=lambda used: "accelerated" if used else "python")
def built(request: pytest.FixtureRequest) -> Iterator[None]:
    """With the accelerator, where it is built, and without it."""
    before = fast.enable(request.param) if accelerated else False
    yield
    if accelerated:
        fast.enable(before)


def no_alarm(continuation: Continuation[Log], carry: Log) -> Continuation[Log]:
    return continuation.continue_(carry)


@pytest.mark.usefixtures("built")
def test_a_client_gets_the_excuse_for_each_wrong_answer_and_the_others_are_right(directory: Path) -> None:
    ipc = IPC(directory, limits=LIMITS)
    with ipc.listen(NAME).start(EMPTY, rescue(handle, SORRY), woken=no_alarm) as server, IPC(directory).get(NAME).unwrap() as client:
        for how in MIXED:
            said = Message.text(how)
            assert client.ask(said, PATIENCE) == Success(said if how == RIGHT else SORRY)
    assert server.result() == Success((RIGHT,) * len(WRONG))


@pytest.mark.usefixtures("built")
def test_a_client_whose_excuse_fails_is_closed_and_the_server_goes_on(directory: Path) -> None:
    ipc = IPC(directory, limits=LIMITS)
    with ipc.listen(NAME).start(EMPTY, rescue(handle, fail), woken=no_alarm) as server:
        for how in WRONG:
            with IPC(directory).get(NAME).unwrap() as client:
                assert isinstance(client.ask(Message.text(how), PATIENCE).failure(), ConnectionClosed)
        with IPC(directory).get(NAME).unwrap() as client:
            assert client.ask(Message.text(RIGHT), PATIENCE) == Success(Message.text(RIGHT))
    assert server.result() == Success((RIGHT,))


@pytest.mark.usefixtures("built")
def test_rescued_departures_and_alarms_are_logged_and_keep_the_carry(directory: Path, caplog: pytest.LogCaptureFixture) -> None:
    logged, ways = threading.Event(), list(WRONG_FOR_ALL)

    class Heard(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if "woken" in record.getMessage():
                logged.set()

    def left(_: Peer, continuation: Continuation[Log], carry: Log) -> Continuation[Log]:
        return wrong(continuation, carry, ways.pop())

    def woken(continuation: Continuation[Log], carry: Log) -> Continuation[Log]:
        return wrong(continuation, carry, "raises")

    def wake(message: Message, continuation: Continuation[Log], carry: Log) -> Continuation[Log]:
        answer = handle(message, continuation, carry)
        return answer.wake(answer.carry, continuation.now)

    heard = Heard()
    logging.getLogger("ipcfold").addHandler(heard)
    try:
        functions = rescue(wake, SORRY), rescue_left(left), rescue_woken(woken)
        with IPC(directory).listen(NAME).start(EMPTY, *functions) as server:
            for _ in WRONG_FOR_ALL:
                with IPC(directory).get(NAME).unwrap() as client:
                    assert client.ask(Message.text(RIGHT), PATIENCE) == Success(Message.text(RIGHT))
            assert logged.wait(PATIENCE)
    finally:
        logging.getLogger("ipcfold").removeHandler(heard)
    assert server.result() == Success((RIGHT,) * len(WRONG_FOR_ALL))
    told = [record for record in caplog.records if "goes on with the carry before, but its left failed" in record.getMessage()]
    assert told[0].levelno == logging.ERROR
    assert ways == []


@pytest.mark.usefixtures("built")
def test_a_repetition_over_a_new_connection_gets_the_late_answer(directory: Path) -> None:
    def work(message: Message, continuation: Continuation[Tickets], carry: Tickets) -> Continuation[Tickets]:
        if message == done:
            return continuation.answer((), carry[0], message)
        return continuation.defer((*carry, continuation.ticket))

    def stay(_: Peer, continuation: Continuation[Tickets], carry: Tickets) -> Continuation[Tickets]:
        return continuation.continue_(carry)

    start: Remembered[Tickets] = Remembered(())
    job, done = Message.text("job").identified("7"), Message.text("done")
    ipc = IPC(directory)
    with ipc.listen(NAME).start(start, once(work), once_left(stay)) as server:
        with ipc.get(NAME).unwrap() as first:
            first.send(job)
        with ipc.get(NAME).unwrap() as second, ipc.get(NAME).unwrap() as worker:
            second.send(job)
            worker.send(done)
            assert second.wait(PATIENCE) == second.ask(job, PATIENCE) == Success(done)
    carry = server.result().unwrap()
    assert (carry.carry, dict(carry.open), list(carry.responses.values())) == ((), {}, [(done,)])
