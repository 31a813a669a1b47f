"""A steady client goes on with the next server, and each of its messages is folded once."""

import signal
from contextlib import closing
from pathlib import Path
from threading import Thread

from returns.result import Success

from ipcfold import IPC, Came, ConnectionDropped, Continuation, Limits, Message, MessageTooLarge, NoServer, Ticket, TimedOut
from ipcfold.handlers import Remembered, once
from ipcfold.log import MemoryLog, SQLiteLog, decode
from tests.shells.children import Child
from tests.shells.support import NAME, PATIENCE

ONE, TWO = Message.text("one"), Message.text("two")


def count(message: Message, given: Continuation[int], carry: int) -> Continuation[int]:
    if message.content == b"close":
        return given.respond(carry + 1, Message.text("closing")).close(carry + 1)
    return given.respond(carry + 1, Message.text(str(carry + 1)))


def test_a_steady_client_says_the_same_to_one_server_after_another(ipc: IPC) -> None:
    log = MemoryLog()
    with ipc.steady(NAME, PATIENCE) as steady:
        assert steady.name == NAME
        for life in range(3):
            with ipc.listen(NAME, log=log).start(Remembered(0), once(count)) as server:
                assert steady.send(ONE, TWO) == Success(steady)
                assert [steady.wait(PATIENCE).unwrap().content for _ in range(2)] == [b"%d" % (3 * life + n) for n in (1, 2)]
                assert steady.ask(ONE, PATIENCE).unwrap().content == b"%d" % (3 * life + 3)
        assert server.result().unwrap().carry == 9


def test_a_message_with_an_identity_of_its_own_keeps_it(ipc: IPC) -> None:
    with ipc.listen(NAME).start(Remembered(0), once(count)) as server, ipc.steady(NAME) as steady:
        answers = [steady.ask(ONE.identified("order 7"), PATIENCE).unwrap().content for _ in range(3)]
    assert (answers, server.result().unwrap().carry) == ([b"1"] * 3, 1)


def test_a_handler_that_closes_makes_a_steady_client_connect_again(ipc: IPC) -> None:
    with ipc.listen(NAME).start(Remembered(0), once(count)) as server, ipc.steady(NAME) as steady:
        for _ in range(3):
            assert steady.ask(Message.text("close"), PATIENCE).unwrap().content == b"closing"
    assert server.result().unwrap().carry == 3


def test_a_steady_client_says_what_it_cannot_do(ipc: IPC, directory: Path) -> None:
    with ipc.steady(NAME, 0.01) as steady:
        assert isinstance(steady.send(ONE).failure(), NoServer | TimedOut)
        assert isinstance(steady.ask(ONE, 0.01).failure(), NoServer | TimedOut)
        assert isinstance(steady.wait(0.01).failure(), NoServer | TimedOut)
        with ipc.listen(NAME).start(0, lambda _, given, carry: given.continue_(carry)):
            assert isinstance(steady.ask(ONE, 0.01).failure(), TimedOut)
            assert isinstance(steady.wait(0.01).failure(), TimedOut)
            assert steady.send() == Success(steady)
    small = IPC(directory, limits=Limits(message=10))
    large = Message.octets(b"x" * 20)
    with small.listen(NAME).start(0, count):
        with small.steady(NAME) as steady:
            assert isinstance(steady.send(large).failure(), MessageTooLarge)
        with ipc.steady(NAME) as steady:  # it sends again, and gives up
            assert isinstance(steady.ask(large, PATIENCE).failure().reason, ConnectionDropped)  # type: ignore[union-attr]  # what is tested
            assert steady.ask(ONE, PATIENCE).unwrap().content == b"1"


def test_a_wait_goes_on_with_the_next_server(ipc: IPC, directory: Path) -> None:
    log = SQLiteLog.of(directory / "log")

    def tell(_: Message, given: Continuation[int], carry: int) -> Continuation[int]:
        return given.tell(carry + 1, given.peer, TWO)

    def serving() -> Child:
        return Child(lambda _: ipc.listen(NAME, log=log)(0, tell))

    with ipc.steady(NAME, PATIENCE) as steady:
        with serving() as child:
            steady.send(ONE).unwrap()
            assert steady.wait(PATIENCE) == Success(TWO)
            child.signal(signal.SIGKILL)
            child.gone()
        with serving() as child:
            assert isinstance(steady.wait(0.05).failure(), TimedOut)
            steady.send(ONE).unwrap()
            assert steady.wait(PATIENCE) == Success(TWO)
            assert child.stop() == str(Success(2))


Tickets = tuple[Ticket, ...]


def deferring(message: Message, given: Continuation[Tickets], waiting: Tickets) -> Continuation[Tickets]:
    """Defer each answer until somebody says that it is done."""
    if message.content != b"done":
        return given.defer((*waiting, given.ticket))
    for ticket in waiting:
        given = given.answer((), ticket, TWO)
    return given.continue_(())


def folded(log: SQLiteLog) -> int:
    """How many messages the log has."""
    with closing(log.read().unwrap()) as reader:
        return sum(isinstance(decode(record).what, Came) for batch in reader.replay(0) for record in batch.unwrap())


def test_an_answer_that_was_deferred_before_a_crash_comes_to_the_repetition_after_it(ipc: IPC, directory: Path) -> None:
    """The server dies between the message and its answer. The client asks again, which the next server does not fold again."""
    log = SQLiteLog.of(directory / "log").unwrap()
    nothing: Tickets = ()
    answers = list[object]()

    def serving() -> Child:
        return Child(lambda _: ipc.listen(NAME, log=log)(Remembered(nothing), once(deferring)))

    with ipc.steady(NAME, PATIENCE) as ann, ipc.steady(NAME, PATIENCE) as bob:
        asking = Thread(target=lambda: answers.append(ann.ask(ONE, PATIENCE)))
        with serving() as child:
            bob.send().unwrap()
            asking.start()
            while folded(log) < 1:
                pass
            child.signal(signal.SIGKILL)
            child.gone()
        with serving():
            while folded(log) < 2:
                pass
            bob.send(Message.text("done")).unwrap()
            asking.join(PATIENCE)
            assert answers == [Success(TWO)]
            assert ann.ask(ONE.identified("another"), 0.05).failure().acknowledged == 1  # type: ignore[union-attr]  # it times out
            assert ann.epoch == bob.epoch
