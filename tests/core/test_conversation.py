"""Both ends in conversation, over a wire that splits, delays and cuts, on a fake clock.

The machine drives a `Host` and any number of `Calling` ends; the handler does what the content of a message says.
What must hold, whatever happens: the carry is a plain reduce over the messages asked, each client's messages are
folded once and in order, what a client knows to be acknowledged was folded, and responses are those of the
handler, in order; and nothing is written after an end.
"""

from collections import defaultdict

import attrs
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, precondition, rule
from returns.result import Success

from ipcfold import Continuation, Limits, Message, Peer
from ipcfold.core.calling import Calling, State
from ipcfold.core.host import Host
from ipcfold.core.serving import Serving

LIMITS = Limits(message=200, handshake=5, drain=2, unsent=300, unread=10**6)
Log = tuple[tuple[int, bytes], ...]


def responses_to(message: Message) -> tuple[Message, ...]:
    """The handler's responses: as many as the first byte of the content says."""
    return tuple(Message.octets(bytes([number]) + message.content) for number in range(message.content[0] % 4))


def handle(message: Message, continuation: Continuation[Log], carry: Log) -> Continuation[Log]:
    carry = (*carry, (continuation.peer.connection, message.content))
    answered = continuation.respond(carry, *responses_to(message))
    return answered.close(carry) if message.content[1] % 16 == 0 else answered


@attrs.define
class Wire:
    """A client, its server's end, and the bytes between them."""

    calling: Calling
    serving: Serving
    up: bytearray = attrs.field(factory=bytearray)
    down: bytearray = attrs.field(factory=bytearray)
    client_gone: bool = False
    server_gone: bool = False
    cut: bool = False
    said: list[bytes] = attrs.field(factory=list)
    heard: list[Message] = attrs.field(factory=list)


class Conversation(RuleBasedStateMachine):
    clients: Bundle[int] = Bundle("clients")

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.host: Host[Log] = Host((), heartbeat=1, limits=LIMITS, timeout=None, now=0.0)
        self.wires: dict[int, Wire] = {}
        self.folded: list[tuple[int, bytes]] = []

    # What can happen

    @precondition(lambda self: self.host.accepting)
    @rule(target=clients)
    def connect(self) -> int:
        return self.new_client()

    @precondition(lambda self: self.host.accepting)
    @rule(target=clients)
    def connect_and_greet(self) -> int:
        number = self.new_client()
        self.exchange(number)
        self.exchange(number)
        return number

    @rule(client=clients, contents=st.lists(st.binary(min_size=2, max_size=40), min_size=1, max_size=4))
    def client_sends(self, client: int, contents: list[bytes]) -> None:
        wire = self.wires[client]
        if wire.calling.state is State.TALKING:
            wire.calling.send(wire.calling.encode(map(Message.octets, contents)), len(contents))
            wire.said += contents

    @rule(client=clients)
    def client_waits(self, client: int) -> None:
        self.wires[client].calling.tick(self.now)

    @rule(client=clients)
    def client_closes(self, client: int) -> None:
        self.wires[client].calling.close()

    @rule(client=clients)
    def exchange(self, client: int) -> None:
        wire = self.wires[client]
        self.write_up(wire, 10**6)
        self.write_down(wire, 10**6)
        self.read_up(client, 10**6)
        self.read_down(client, 10**6)

    @rule(client=clients, size=st.integers(1, 200))
    def client_writes(self, client: int, size: int) -> None:
        self.write_up(self.wires[client], size)

    @rule(client=clients, size=st.integers(1, 200))
    def server_writes(self, client: int, size: int) -> None:
        self.write_down(self.wires[client], size)

    @rule(client=clients, size=st.integers(1, 200))
    def server_reads(self, client: int, size: int) -> None:
        self.read_up(client, size)

    @rule(client=clients, size=st.integers(1, 200))
    def client_reads(self, client: int, size: int) -> None:
        self.read_down(client, size)

    @rule(client=clients, lost_up=st.integers(0, 100), lost_down=st.integers(0, 100))
    def cut(self, client: int, lost_up: int, lost_down: int) -> None:
        wire = self.wires[client]
        wire.cut = wire.client_gone = wire.server_gone = True
        del wire.up[len(wire.up) - min(lost_up, len(wire.up)) :]
        del wire.down[len(wire.down) - min(lost_down, len(wire.down)) :]

    @rule(times=st.integers(1, 5))
    def fold(self, times: int) -> None:
        for _ in range(times):
            self.fold_one()

    @rule(seconds=st.sampled_from([0.5, 1.0, 3.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds
        self.host.tick(self.now)
        self.look_after()

    @precondition(lambda self: len(self.folded) > 5)
    @rule()
    def shut_down(self) -> None:
        self.host.shutdown(self.now)
        self.look_after()

    # How it happens

    def new_client(self) -> int:
        number = len(self.wires) + 1
        self.wires[number] = Wire(
            Calling(heartbeat=1, limits=LIMITS, now=self.now), self.host.connect(Peer(number, 1000 + number), self.now)
        )
        return number

    def write_up(self, wire: Wire, size: int) -> None:
        piece = bytes(wire.calling.outbox.head()[:size])
        if piece:
            wire.calling.outbox.sent(len(piece))
            if not wire.server_gone:
                wire.up += piece
        if not wire.calling.open and not wire.calling.outbox.size:
            wire.client_gone = True

    def write_down(self, wire: Wire, size: int) -> None:
        piece = bytes(wire.serving.outbox.head()[:size])
        if piece:
            wire.serving.outbox.sent(len(piece))
            if wire.client_gone:
                wire.serving.outbox.mute()
            else:
                wire.down += piece
            self.host.wrote(wire.serving.peer.connection, self.now)
        self.look_after()

    def read_up(self, client: int, size: int) -> None:
        wire = self.wires[client]
        if wire.serving.waiting or not wire.serving.reading or wire.serving.over:
            return
        if wire.up:
            piece = bytes(wire.up[:size])
            del wire.up[:size]
            self.host.receive(client, piece, self.now)
        elif wire.client_gone:
            self.host.end(client, self.now)
        self.look_after()

    def read_down(self, client: int, size: int) -> None:
        wire = self.wires[client]
        if wire.down:
            piece = bytes(wire.down[:size])
            del wire.down[:size]
            wire.calling.receive(piece)
        elif wire.server_gone:
            wire.calling.end()
        if wire.calling.state is not State.CLOSED:
            while (response := wire.calling.response()) is not None:
                wire.heard.append(response)

    def fold_one(self) -> bool:
        asked = self.host.ask()
        if asked is None:
            return False
        assert asked[1].carry == tuple(self.folded)
        self.folded.append((asked[1].peer.connection, asked[0].content))
        self.host.answered(handle(asked[0], asked[1], asked[1].carry), self.now)
        self.look_after()
        return True

    def look_after(self) -> None:
        for end in self.host.attention():
            if end.over:
                self.wires[end.peer.connection].server_gone = True
                self.host.forget(end.peer.connection)

    # What must hold

    @invariant()
    def the_carry_is_a_plain_reduce(self) -> None:
        assert self.host.result() == Success(tuple(self.folded))

    @invariant()
    def messages_are_folded_once_and_in_order_and_before_they_are_acknowledged(self) -> None:
        folded = self.folded_by_client()
        for client, wire in self.wires.items():
            assert folded[client] == wire.said[: len(folded[client])]
            assert wire.calling.acknowledged <= len(folded[client])
            assert wire.calling.sent == len(wire.said)

    @invariant()
    def responses_are_those_of_the_handler(self) -> None:
        folded = self.folded_by_client()
        for client, wire in self.wires.items():
            expected = [each for content in folded[client] for each in responses_to(Message.octets(content))]
            assert wire.heard == expected[: len(wire.heard)]

    @invariant()
    def what_waits_for_a_client_is_bounded(self) -> None:
        for wire in self.wires.values():
            assert wire.serving.outbox.size <= LIMITS.unsent + 500

    @invariant()
    def no_end_is_broken_by_the_other(self) -> None:
        for wire in self.wires.values():
            assert wire.calling.state is not State.BROKEN

    def teardown(self) -> None:
        """Let everything arrive: then whoever was not cut off knows all that was folded, and the host ends."""
        self.exchange_all()
        self.host.shutdown(self.now)
        self.look_after()
        self.exchange_all()
        self.check_all()
        folded = self.folded_by_client()
        for client, wire in self.wires.items():
            if not wire.cut and wire.calling.state is State.DISMISSED:
                assert wire.calling.acknowledged == len(folded[client])
                assert len(wire.heard) == sum(len(responses_to(Message.octets(content))) for content in folded[client])
        assert all(wire.server_gone for wire in self.wires.values())
        assert self.host.over

    def check_all(self) -> None:
        self.the_carry_is_a_plain_reduce()
        self.messages_are_folded_once_and_in_order_and_before_they_are_acknowledged()
        self.responses_are_those_of_the_handler()
        self.no_end_is_broken_by_the_other()

    def exchange_all(self) -> None:
        moving = True
        while moving:
            moving = self.fold_one()
            for client, wire in self.wires.items():
                before = (len(wire.up), len(wire.down), wire.calling.outbox.size, wire.serving.outbox.size, wire.calling.state)
                self.exchange(client)
                after = (len(wire.up), len(wire.down), wire.calling.outbox.size, wire.serving.outbox.size, wire.calling.state)
                moving |= before != after

    def folded_by_client(self) -> dict[int, list[bytes]]:
        folded: dict[int, list[bytes]] = defaultdict(list)
        for client, content in self.folded:
            folded[client].append(content)
        return folded


TestConversation = Conversation.TestCase
TestConversation.settings = settings(max_examples=150, stateful_step_count=60)
