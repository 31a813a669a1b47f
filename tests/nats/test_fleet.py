"""Several servers over one stream: they lag, each may believe that it leads, they store snapshots, drop entries, and begin anew.

Whatever they do, and whatever gets lost on its way to a client, all have the carry of `fold` over the whole stream, and each client
gets each of its answers once.
"""

import json
from functools import partial

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from ipcfold import Limits, Message, fold
from ipcfold.core.wire import encode as frame_of
from ipcfold.nats.entries import Check, Gone, Lead, Rang
from ipcfold.nats.order import Order, Step
from ipcfold.nats.replica import Replica
from ipcfold.nats.snapshot import Known, Mark, decode, encode, mark, parts, whole
from tests.nats.test_laws import expected, first
from tests.nats.world import EMPTY, HANDLERS, NAME, Client, Server, Stream, gone, log, rang

WORDS = ["echo", "quiet", "twice", "defer", "tell", "other"]
SERVERS = st.integers(0, 2)
CLIENTS = st.integers(0, 2)
PART, MARK = ".part", ".mark"  # instead of the session of an entry; no session has such a name


class Dropping(Stream):
    """A stream that drops its first entries. `entries` still has them all, for the comparison in the end."""

    def __init__(self) -> None:
        super().__init__()
        self.first = 1
        self.parts = dict[tuple[int, int], bytes]()

    def last_mark(self) -> tuple[int, Mark | None]:
        marks = [(at, data) for at, (_, session, data) in enumerate(self.entries, 1) if session == MARK]
        return (marks[-1][0], Mark.decode(marks[-1][1])) if marks else (0, None)


class Follower(Server):
    """A server that reads the stream in order, and begins anew with the newest snapshot if it is too slow."""

    stream: Dropping

    def __init__(self, stream: Dropping, name: str) -> None:
        super().__init__(stream)
        self.name = name
        self.storing: tuple[Known, bytes] | None = None
        self.marking: tuple[Known, bytes, int, Mark | None] | None = None
        self.order = Order(0)

    @property
    def leads(self) -> bool:
        return self.replica.leader == self.name

    def begin(self, name: str) -> None:
        """Begin as a process that starts."""
        self.name, self.storing, self.marking = name, None, None
        self.replica, self.sent, self.order = Replica(NAME, EMPTY, HANDLERS, Limits()), {}, Order(0)
        _, last = self.stream.last_mark()
        if last is not None:
            found = whole([self.stream.parts[last.at, index] for index in range(last.parts)], last)
            assert found is not None
            decoded = decode(found)
            assert decoded is not None
            self.replica.restore(decoded[0], tuple(json.loads(decoded[1].content)))
            self.order = Order(decoded[0].at)
        assert self.order.after >= self.stream.first - 1, "what came after the snapshot was dropped"

    def step(self) -> bool:
        at = max(self.order.after + 1, self.stream.first)  # where a consumer begins that is to begin behind the last entry
        if at > len(self.stream.entries):
            return False
        self.order.begin()
        if self.order.step(at, 1) is Step.GAP:
            self.begin(self.name)
            return True
        self.order.take(at)
        session = self.stream.entries[at - 1][1]
        return session in {PART, MARK} or self.fold(at)

    def begin_storing(self) -> None:
        """Store the parts of a snapshot. Its mark comes later."""
        known = self.replica.known
        if known is None or not self.leads:
            return
        snapshot = encode(known, Message.text(json.dumps(self.replica.carry)))
        for index, part in enumerate(parts(snapshot)):
            self.stream.parts[known.at, index] = part
            self.stream.write(PART, part)
        self.storing, self.marking = (known, snapshot), None

    def go_on_storing(self) -> None:
        """Look at the last mark, and later write the one behind it, which the broker refuses if there is another one now."""
        if self.storing is not None:
            self.marking, self.storing = (*self.storing, *self.stream.last_mark()), None
        elif self.marking is not None:
            known, snapshot, before, last = self.marking
            self.marking = None
            if (last is None or last.at < known.at) and self.stream.last_mark()[0] == before:
                self.stream.write(MARK, mark(known, snapshot, before).encode())
                self.stream.first = max(self.stream.first, 1 if last is None else last.at + 1)


class Fleet(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.stream = Dropping()
        self.begun = 3
        self.servers = [Follower(self.stream, f"server{index}") for index in range(3)]
        self.clients = [Client(self.stream, f"s{index}") for index in range(3)]
        self.texts: list[list[str]] = [[] for _ in self.clients]
        self.asked: list[set[int]] = [set() for _ in self.clients]

    @rule(index=CLIENTS, words=st.lists(st.sampled_from(WORDS), min_size=1, max_size=3), asks=st.booleans())
    def send(self, index: int, words: list[str], *, asks: bool) -> None:
        caller, texts = self.clients[index].caller, self.texts[index]
        for word in words:
            texts.append(f"{word} {len(texts)}")
            number = caller.send([frame_of(Message.text(texts[-1]))])
            if asks and word in {"echo", "twice"}:
                caller.asking.add(number)
                self.asked[index].add(number)

    @rule(index=CLIENTS, lost=st.booleans())
    def publish(self, index: int, *, lost: bool) -> None:
        self.clients[index].publish(lost=lost)

    @rule(index=CLIENTS)
    def sync(self, index: int) -> None:
        self.clients[index].sync()

    @rule(index=SERVERS, entries=st.integers(1, 8))
    def read(self, index: int, entries: int) -> None:
        for _ in range(entries):
            self.servers[index].step()

    @rule(index=SERVERS)
    def claim(self, index: int) -> None:
        self.stream.lead(Lead(self.servers[index].name, self.servers[index].replica.term))

    @rule(index=SERVERS)
    def take_over(self, index: int) -> None:
        server = self.servers[index]
        server.run()
        if not server.leads:
            self.claim(index)
            server.run()

    @rule(index=SERVERS, client=CLIENTS, what=st.sampled_from(["gone", "rang", "check"]))
    def note(self, index: int, client: int, what: str) -> None:
        server = self.servers[index]
        replica = server.replica
        if not server.leads:
            return
        if what == "gone":
            self.stream.lead(Gone(replica.term, (f"s{client}",)))
        elif what == "rang":
            self.stream.lead(Rang(replica.term, replica.at))
        elif replica.digests.place is not None:
            self.stream.lead(Check(replica.term, *replica.digests.place))

    @rule(index=SERVERS, lost=st.booleans())
    def answer(self, index: int, *, lost: bool) -> None:
        server = self.servers[index]
        for session, data in server.outgoing() if server.leads else ():
            if not lost:
                self.clients[int(session[1:])].take(data)
        server.replica.due.clear()

    @rule(index=SERVERS)
    def begin_storing(self, index: int) -> None:
        self.take_over(index)
        self.servers[index].begin_storing()

    @rule(index=SERVERS, client=CLIENTS)
    def store(self, index: int, client: int) -> None:
        self.sync(client)  # so that its place is another one
        self.begin_storing(index)
        self.go_on_storing(index)
        self.go_on_storing(index)

    @rule(index=SERVERS)
    def go_on_storing(self, index: int) -> None:
        self.servers[index].go_on_storing()

    @rule(index=SERVERS)
    def restart(self, index: int) -> None:
        self.servers[index].begin(f"server{self.begun}")
        self.begun += 1

    def teardown(self) -> None:
        leader = self.servers[0]
        leader.run()
        self.claim(0)
        for _ in range(8):  # now nothing gets lost any more
            for client in self.clients:
                client.publish()
                client.sync()
            leader.run()
            assert leader.leads
            for session, data in leader.outgoing():
                self.clients[int(session[1:])].take(data)
        self.compare()

    def compare(self) -> None:
        everything = Dropping()
        everything.entries = self.stream.entries
        whole_log = Follower(everything, "none")
        whole_log.begin = partial(assert_never_called)  # type: ignore[method-assign]  # it reads all of it
        carry = whole_log.run().replica.carry
        assert fold(log, EMPTY, whole_log.inputs, left=gone, woken=rang).unwrap().carry == carry
        known = whole_log.replica.known
        assert known is not None
        for server in self.servers:
            assert server.run().replica.carry == carry
            assert server.replica.known is not None
            assert encode(server.replica.known, Message.text("")) == encode(known, Message.text(""))
            assert server.replica.digests.diverged is None
        for client, texts, asked in zip(self.clients, self.texts, self.asked, strict=True):
            assert client.caller.peer is not None
            own = [line.partition(": ")[2] for line in carry if line.startswith(f"{client.caller.peer.connection}: ")]
            assert own == texts[: len(own)]  # each once, in order
            assert client.caller.acknowledged == len(own)
            assert client.caller.ended is not None or len(own) == len(texts)
            answers = {number: message.content.decode() for number, message in client.answers.items()}
            assert answers == {number: first(texts[number - 1]) for number in asked if number <= len(own)}
            assert client.unread() == [part for number, text in enumerate(own, 1) for part in expected(text, asked=number in asked)]


def assert_never_called(_: str) -> None:
    raise AssertionError("it drops nothing")


def test_the_snapshot_of_a_server_that_was_stopped_meanwhile_does_not_count() -> None:
    fleet = Fleet()
    for index in (0, 1):
        fleet.store(index, 0)
        fleet.begin_storing(0)
        if index:
            fleet.go_on_storing(0)  # it has looked at the last mark
        for _ in range(3):
            fleet.store(1, 0)
        last = fleet.stream.last_mark()
        fleet.go_on_storing(0)
        fleet.go_on_storing(0)
        assert fleet.stream.last_mark() == last
    fleet.restart(2)
    fleet.teardown()


def test_all_servers_of_a_stream_agree_whatever_happens() -> None:
    Fleet.TestCase.settings = settings(max_examples=100, stateful_step_count=50, deadline=None)
    Fleet.TestCase().runTest()
