"""A stream, servers and clients in memory: anything may get lost, except what is in the stream."""

from ipcfold import Continuation, Limits, Message, Name, Peer
from ipcfold.core.functions import Handlers
from ipcfold.inputs import Came, Input
from ipcfold.nats.arrivals import Answered, Event
from ipcfold.nats.caller import Caller
from ipcfold.nats.entries import Hello, OfServer, decode_client, decode_server, encode, term_of
from ipcfold.nats.items import State, Unknown, decode, encode_items, encode_note
from ipcfold.nats.replica import Replica

NAME = Name("server")
Log = tuple[str, ...]
EMPTY: Log = ()
TERM = term_of(1, "leader")
"""That of the server `leader`, whose entry is the first of the stream."""


def log(message: Message, continuation: Continuation[Log], carry: Log) -> Continuation[Log]:
    """Note each message with its client, and do what it says."""
    text = message.content.decode()
    verb, _, rest = text.partition(" ")
    peer = continuation.peer
    noted = (*carry, f"{peer.connection}: {text}"[:80])
    match verb:
        case "quiet":
            return continuation.continue_(noted)
        case "twice":
            return continuation.respond(noted, Message.text(f"1 {rest}"), Message.text(f"2 {rest}"))
        case "defer":
            return continuation.defer(noted).wake(noted, continuation.now + 5.0)
        case "tell":
            return (
                continuation.respond(noted, message).tell(noted, peer, Message.text(f"told {rest}")).respond(noted, Message.text("after"))
            )
        case "other":
            return (
                continuation.tell(noted, Peer(peer.connection % 3 + 1), message) if peer.connection > 3 else continuation.continue_(noted)
            )
        case "close":
            return continuation.respond(noted, message).close(noted)
        case "stop":
            return continuation.respond(noted, message).stop(noted)
        case "fail":
            raise ValueError(rest)
        case "wrong":
            return continuation.respond(noted, Message.octets(bytes(2**20)))
        case _:
            return continuation.respond(noted, message)


def gone(peer: Peer, continuation: Continuation[Log], carry: Log) -> Continuation[Log]:
    return continuation.continue_((*carry, f"{peer.connection} left"))


def rang(continuation: Continuation[Log], carry: Log) -> Continuation[Log]:
    return continuation.continue_((*carry, "rang"))


HANDLERS = Handlers(log, gone, rang)


class Stream:
    """The entries, each with its time, its session, and its bytes; that of a server has no session."""

    def __init__(self) -> None:
        self.entries = list[tuple[float, str, bytes]]()
        self.now = 1000.0

    def write(self, session: str, data: bytes) -> None:
        self.now += 0.25
        self.entries.append((self.now, session, data))

    def lead(self, entry: OfServer) -> None:
        self.write("", encode(entry))


class Server:
    """A replica that reads the stream, and sends like a leader if it is asked to."""

    def __init__(self, stream: Stream, limits: Limits | None = None, *, passes: int = 0, handlers: Handlers[Log] = HANDLERS) -> None:
        self.stream = stream
        self.handlers = handlers
        self.replica = Replica[Log](NAME, (), handlers, limits or Limits(), passes=passes)
        self.inputs = list[Input]()
        self.sent = dict[str, int]()

    def step(self) -> bool:
        """Fold the next entry. Returns whether there was one."""
        replica = self.replica
        if replica.at >= len(self.stream.entries) or replica.over is not None:
            return False
        return self.fold(replica.at + 1)

    def fold(self, at: int) -> bool:
        """Fold the entry at this place."""
        replica = self.replica
        now, session, data = self.stream.entries[at - 1]
        replica.take(at, now, decode_client(data) if session else decode_server(data), session)
        while (asked := replica.ask()) is not None:
            what, given = asked
            self.inputs.append(Came(given.now, given.peer, what) if isinstance(what, Message) else what)
            try:
                answer = self.handlers(what, given)
            except ValueError as error:
                replica.failed(error)
            else:
                replica.answered(answer)
        return True

    def run(self) -> "Server":
        while self.step():
            pass
        return self

    def outgoing(self) -> list[tuple[str, bytes]]:
        """What a leader sends now, with the sessions that it is for."""
        replica, found = self.replica, list[tuple[str, bytes]]()
        for identifier in replica.due.again:
            self.sent.pop(identifier, None)
        for session in (replica.due.touched | replica.due.again).values():
            number = max(self.sent.get(session.identifier, 0), session.got)
            items = list(session.after(number))
            self.sent[session.identifier] = session.sent
            if items:
                found.append((session.identifier, encode_items(number + 1, items)))
        for identifier, token in replica.due.synced.items():
            known = replica.sessions.get(identifier)
            if known is not None:
                found.append((identifier, encode_note(State(token, known.last, known.sent))))
        found += [(identifier, encode_note(Unknown())) for identifier in replica.due.unknown]
        replica.due.clear()
        return found


class Client:
    """The client's end of a session."""

    def __init__(self, stream: Stream, session: str, limits: Limits | None = None) -> None:
        self.stream = stream
        self.session = session
        self.caller = Caller(NAME, limits or Limits(), f"_INBOX.{session}")
        self.answers = dict[int, Message]()
        stream.write(session, encode(Hello(f"_INBOX.{session}")))

    def take(self, data: bytes) -> list[Event]:
        given = decode(data)
        assert given is not None
        events = self.caller.receive(given)
        for event in events:
            if isinstance(event, Answered):
                assert event.number not in self.answers
                self.answers[event.number] = event.message
        return events

    def publish(self, *, lost: bool = False) -> None:
        for payload in self.caller.outgoing():
            if not lost:
                self.stream.write(self.session, payload)

    def sync(self) -> None:
        self.stream.write(self.session, self.caller.sync())

    def unread(self) -> list[str]:
        found = list[str]()
        while (message := self.caller.take()) is not None:
            found.append(message.content.decode())
        return found
