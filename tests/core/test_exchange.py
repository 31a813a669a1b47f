"""Many tasks over one connection: each gets its own answer, and no response is lost, doubled or given to the wrong one."""

from collections import deque

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from ipcfold import Limits, Message
from ipcfold.core.client_connection import ClientConnection
from ipcfold.core.exchange import Exchange
from ipcfold.core.wire import Encoder, Signal

ENCODER = Encoder(Limits())


def talking() -> ClientConnection:
    connection = ClientConnection(heartbeat=1.0, limits=Limits(), now=0.0)
    connection.receive(Signal.START.frame)
    return connection


class Exchanging(RuleBasedStateMachine):
    """A server that answers in order, and tasks that ask, send, wait and are cancelled.

    The messages carry their numbers, so that every response says what it answers.
    """

    def __init__(self) -> None:
        super().__init__()
        self.connection = talking()
        self.exchange = Exchange[str](self.connection)
        self.tasks = 0
        self.asking = dict[str, int]()  # by task: the number of its message
        self.owned = set[int]()  # messages whose first response belongs to a task, which may be cancelled
        self.sending = dict[str, int]()
        self.waiting = deque[str]()
        self.woken: str | None = None
        self.unread = deque[str]()  # what nobody has asked for
        self.said = 0
        self.deferred = list[int]()

    def task(self) -> str:
        self.tasks += 1
        return f"task {self.tasks}"

    def put(self) -> int:
        self.connection.send(self.connection.encode([Message.text(str(self.connection.sent + 1))]), 1)
        return self.connection.sent

    @rule()
    def ask(self) -> None:
        task, number = self.task(), self.put()
        self.exchange.ask(number, task)
        self.asking[task] = number
        self.owned.add(number)

    @rule()
    def send(self) -> None:
        task, number = self.task(), self.put()
        self.exchange.send(number, task)
        self.sending[task] = number

    @rule()
    def wait(self) -> None:
        if self.exchange.free:
            assert self.taken() == self.unread.popleft()
        else:
            self.waiting.append(task := self.task())
            self.exchange.wait(task)
            self.look()

    @precondition(lambda self: self.asking)
    @rule(data=st.data())
    def cancel_ask(self, data: st.DataObject) -> None:
        number = self.asking.pop(data.draw(st.sampled_from(sorted(self.asking))))
        self.exchange.disown(number)

    @precondition(lambda self: self.waiting or self.woken)
    @rule(data=st.data())
    def cancel_wait(self, data: st.DataObject) -> None:
        task = data.draw(st.sampled_from([*self.waiting, *([self.woken] if self.woken else [])]))
        assert self.exchange.leave(task) == (task == self.woken)
        if task == self.woken:
            self.woken = None
        else:
            self.waiting.remove(task)
        self.look()

    @precondition(lambda self: self.woken)
    @rule()
    def run(self) -> None:
        """The task that was woken for a response takes it."""
        assert self.woken is not None
        assert self.exchange.leave(self.woken)
        self.woken = None
        assert self.taken() == self.unread.popleft()
        self.look()

    @precondition(lambda self: self.connection.acknowledged < self.connection.sent)
    @rule(count=st.integers(0, 3), defers=st.booleans())
    def answer(self, count: int, defers: bool) -> None:  # noqa: FBT001 - what the server does
        number = self.connection.acknowledged + 1
        responses = [self.response(number) for _ in range(count)]
        if defers:
            self.deferred.append(number)
        self.hear(Signal.RECEIVED.frame + b"".join(ENCODER.encode(responses)), responses, number)

    @rule()
    def tell(self) -> None:
        told = self.response(0)
        self.hear(b"".join(ENCODER.marked((told,), 0)), [told], 0)

    @precondition(lambda self: self.deferred)
    @rule()
    def answer_late(self) -> None:
        number = self.deferred.pop()
        late = self.response(number)
        self.hear(b"".join(ENCODER.marked((late,), number)), [late], number)

    def response(self, number: int) -> Message:
        self.said += 1
        return Message.text(f"{self.said} to {number}")

    def hear(self, data: bytes, responses: list[Message], number: int) -> None:
        self.connection.receive(data)
        texts = [response.content.decode() for response in responses]
        if texts and number in self.owned:
            self.owned.discard(number)
            own = texts.pop(0)
            owner = next((task for task, asked in self.asking.items() if asked == number), None)
        else:
            own, owner = "", None
        self.unread += texts
        self.look(owner, own)

    def look(self, owner: str | None = None, own: str = "") -> None:
        """Take what is due, and compare it with what must be."""
        due = {task: None if message is None else message.content.decode() for task, message in self.exchange.due()}
        must = dict[str, str | None]()
        if owner is not None:
            must[owner] = own
            del self.asking[owner]
        for task, number in list(self.sending.items()):
            if number <= self.connection.acknowledged:
                must[task] = None
                del self.sending[task]
        if self.unread and self.waiting and self.woken is None:
            self.woken = self.waiting.popleft()
            must[self.woken] = None
        assert due == must

    def taken(self) -> str:
        message = self.exchange.take()
        assert message is not None
        return message.content.decode()

    @invariant()
    def who_waits_is_known(self) -> None:
        assert self.exchange.busy == bool(self.asking or self.sending or self.waiting)
        assert self.exchange.free == bool(self.unread and not self.waiting and self.woken is None)


TestExchanging = Exchanging.TestCase


@given(st.lists(st.sampled_from(["ask", "send", "wait"]), max_size=10))
def test_everyone_is_woken_once_when_the_connection_is_over(kinds: list[str]) -> None:
    connection = talking()
    exchange = Exchange[int](connection)
    for task, kind in enumerate(kinds):
        match kind:
            case "ask":
                connection.send(connection.encode([Message.text("x")]), 1)
                exchange.ask(connection.sent, task)
            case "send":
                connection.send(connection.encode([Message.text("x")]), 1)
                exchange.send(connection.sent, task)
            case _:
                exchange.wait(task)
    assert sorted(exchange.everyone()) == list(range(len(kinds)))
    assert exchange.everyone() == []
    assert not exchange.busy


def test_an_answer_that_is_forgotten_is_for_whoever_waits() -> None:
    connection = talking()
    exchange = Exchange[str](connection)
    connection.send(connection.encode([Message.text("x")]), 1)
    exchange.ask(1, "asking")
    exchange.forget(1)
    exchange.forget(1)
    exchange.disown(1)
    exchange.wait("waiting")
    connection.receive(Signal.RECEIVED.frame + b"".join(ENCODER.encode([Message.text("y")])))
    assert exchange.due() == [("waiting", None)]
    assert exchange.take() == Message.text("y")
    assert exchange.take() is None
