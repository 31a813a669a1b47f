"""Both ends exchange messages over a wire that splits, delays and cuts. The clock is a fake.

The machine drives a `Network`: a `ServerCore` and any number of `ClientConnection`s.
The handler does what the content of a message says.
These rules hold after every step:

- The carry is a plain reduce over the folded messages.
- The server folds the messages of each client once and in order, before it acknowledges them.
- A client gets the responses of the handler, in order.
- No end writes anything after its connection ends.
"""

from collections import defaultdict

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, precondition, rule
from returns.result import Success

from ipcfold import Continuation, Limits, Message
from ipcfold.core.protocol import ClientState
from ipcfold.events import Event, Folded
from ipcfold.testing.network import Network

LIMITS = Limits(message=200, handshake=5, drain=2, unsent=300, unread=10**6)
Log = tuple[tuple[int, bytes], ...]


def responses_to(message: Message) -> tuple[Message, ...]:
    """The handler's responses. The first byte of the content is their number."""
    return tuple(Message.octets(bytes([number]) + message.content) for number in range(message.content[0] % 4))


def handle(message: Message, continuation: Continuation[Log], carry: Log) -> Continuation[Log]:
    carry = (*carry, (continuation.peer.connection, message.content))
    answered = continuation.respond(carry, *responses_to(message))
    return answered.close(carry) if message.content[1] % 16 == 0 else answered


class Conversation(RuleBasedStateMachine):
    clients: Bundle[int] = Bundle("clients")

    def __init__(self) -> None:
        super().__init__()
        self.folded = list[tuple[int, bytes]]()
        self.network: Network[Log] = Network(handle, (), limits=LIMITS, told=self.told)

    def told(self, event: Event) -> None:
        if isinstance(event, Folded):
            self.folded.append((event.peer.connection, event.message.content))

    # The steps.

    @precondition(lambda self: self.network.core.accepting)
    @rule(target=clients)
    def connect(self) -> int:
        return self.network.connect()

    @precondition(lambda self: self.network.core.accepting)
    @rule(target=clients)
    def connect_and_greet(self) -> int:
        number = self.network.connect()
        self.exchange(number)
        self.exchange(number)
        return number

    @rule(client=clients, contents=st.lists(st.binary(min_size=2, max_size=40), min_size=1, max_size=4))
    def client_sends(self, client: int, contents: list[bytes]) -> None:
        self.network.send(client, *map(Message.octets, contents))

    @rule(client=clients)
    def client_waits(self, client: int) -> None:
        self.network.links[client].client.tick(self.network.now)

    @rule(client=clients)
    def client_closes(self, client: int) -> None:
        self.network.close(client)

    @rule(client=clients)
    def exchange(self, client: int) -> None:
        self.network.exchange(client)

    @rule(client=clients, size=st.integers(1, 200))
    def client_writes(self, client: int, size: int) -> None:
        self.network.client_writes(client, size)

    @rule(client=clients, size=st.integers(1, 200))
    def server_writes(self, client: int, size: int) -> None:
        self.network.server_writes(client, size)

    @rule(client=clients, size=st.integers(1, 200))
    def server_reads(self, client: int, size: int) -> None:
        self.network.server_reads(client, size)

    @rule(client=clients, size=st.integers(1, 200))
    def client_reads(self, client: int, size: int) -> None:
        self.network.client_reads(client, size)

    @rule(client=clients, lost_up=st.integers(0, 100), lost_down=st.integers(0, 100))
    def cut(self, client: int, lost_up: int, lost_down: int) -> None:
        self.network.cut(client, lost_up, lost_down)

    @rule(client=clients, lost=st.integers(0, 100))
    def kill(self, client: int, lost: int) -> None:
        self.network.kill(client, lost)

    @rule(times=st.integers(1, 5))
    def fold(self, times: int) -> None:
        for _ in range(times):
            self.network.fold()

    @rule(seconds=st.sampled_from([0.5, 1.0, 3.0]))
    def time_passes(self, seconds: float) -> None:
        self.network.advance(seconds)

    @precondition(lambda self: len(self.folded) > 5)
    @rule()
    def shut_down(self) -> None:
        self.network.shutdown()

    # The rules.

    @invariant()
    def the_carry_is_a_plain_reduce(self) -> None:
        assert self.network.result == Success(tuple(self.folded))

    @invariant()
    def messages_are_folded_once_and_in_order_and_before_they_are_acknowledged(self) -> None:
        folded = self.folded_by_client()
        for client, link in self.network.links.items():
            assert folded[client] == [message.content for message in link.said][: len(folded[client])]
            assert link.client.acknowledged <= len(folded[client])
            assert link.client.sent == len(link.said)

    @invariant()
    def responses_are_those_of_the_handler(self) -> None:
        folded = self.folded_by_client()
        for client, link in self.network.links.items():
            expected = [each for content in folded[client] for each in responses_to(Message.octets(content))]
            assert link.heard == expected[: len(link.heard)]

    @invariant()
    def unwritten_bytes_are_bounded(self) -> None:
        for link in self.network.links.values():
            assert link.server.outbox.size <= LIMITS.unsent + 500

    @invariant()
    def no_end_breaks_the_protocol(self) -> None:
        for link in self.network.links.values():
            assert link.client.state is not ClientState.BROKEN

    def teardown(self) -> None:
        """Let everything arrive. Each client that was not cut off then knows all its folded messages, and the server ends."""
        self.network.settle()
        self.network.shutdown()
        self.network.settle()
        self.check_all()
        folded = self.folded_by_client()
        for client, link in self.network.links.items():
            if not link.cut and link.client.state is ClientState.DISMISSED:
                assert link.client.acknowledged == len(folded[client])
                assert len(link.heard) == sum(len(responses_to(Message.octets(content))) for content in folded[client])
        assert all(link.server_gone for link in self.network.links.values())
        assert self.network.over

    def check_all(self) -> None:
        self.the_carry_is_a_plain_reduce()
        self.messages_are_folded_once_and_in_order_and_before_they_are_acknowledged()
        self.responses_are_those_of_the_handler()
        self.no_end_breaks_the_protocol()

    def folded_by_client(self) -> dict[int, list[bytes]]:
        folded: dict[int, list[bytes]] = defaultdict(list)
        for client, content in self.folded:
            folded[client].append(content)
        return folded


TestConversation = Conversation.TestCase
TestConversation.settings = settings(max_examples=150, stateful_step_count=60)
