"""Clients, servers and a stream in memory: whatever gets lost, all servers have the carry of `fold`, and each client its answers once."""

from hypothesis import given, settings
from hypothesis import strategies as st

from ipcfold import Message, fold
from ipcfold.core.wire import encode as frame_of
from ipcfold.nats.entries import Check, Gone, Lead, Over, Rang, term_of
from tests.nats.world import EMPTY, Client, Server, Stream, gone, log, rang

WORDS = ["echo", "quiet", "twice", "defer", "tell", "other", "large"]
Step = tuple[str, int, list[str]]
STEPS: st.SearchStrategy[Step] = st.one_of(
    st.tuples(st.just("send"), st.integers(0, 2), st.lists(st.sampled_from(WORDS), min_size=1, max_size=4)),
    st.tuples(st.just("ask"), st.integers(0, 2), st.sampled_from([["echo"], ["twice"], ["tell"]])),
    st.tuples(st.sampled_from(["publish", "lose", "sync"]), st.integers(0, 2), st.just([])),
    st.tuples(st.sampled_from(["fold", "lead", "deliver", "drop", "ring", "forget"]), st.integers(0, 1), st.just([])),
)


def text_of(word: str, number: int) -> str:
    return f"large {number} " + "x" * 300_000 if word == "large" else f"{word} {number}"


@settings(max_examples=200)
@given(st.lists(STEPS, max_size=40))
def test_all_servers_have_the_carry_of_fold_and_every_answer_arrives_once(steps: list[Step]) -> None:
    stream = Stream()
    servers = [Server(stream), Server(stream)]
    clients = [Client(stream, f"s{index}") for index in range(3)]
    sent: list[list[str]] = [[] for _ in clients]
    asked: list[dict[int, str]] = [{} for _ in clients]
    for what, index, words in steps:
        server, client = servers[index % 2], clients[index]
        match what:
            case "send" | "ask":
                texts = [text_of(word, len(sent[index]) + at) for at, word in enumerate(words)]
                sent[index] += texts
                last = client.caller.send(frame_of(Message.text(text)) for text in texts)
                if what == "ask":
                    client.caller.asking.add(last)
                    asked[index][last] = texts[-1]
            case "publish" | "lose":
                client.publish(lost=what == "lose")
            case "sync":
                client.sync()
            case "fold":
                server.step()
            case "lead":
                stream.lead(Lead(f"server{index}", server.replica.term))
            case "deliver" | "drop":
                for session, data in server.outgoing():
                    if what == "deliver":
                        clients[int(session[1:])].take(data)
            case "ring":
                stream.lead(Rang(server.replica.term, server.replica.at))
            case _:
                server.sent.clear()
    leader = servers[0].run()
    for _ in range(12):  # now nothing gets lost any more
        for client in clients:
            client.publish()
            client.sync()
        leader.run()
        for session, data in leader.outgoing():
            clients[int(session[1:])].take(data)
    follower, late = servers[1].run(), Server(stream).run()
    assert leader.replica.carry == follower.replica.carry == late.replica.carry
    assert leader.inputs == follower.inputs
    assert fold(log, EMPTY, leader.inputs, left=gone, woken=rang).unwrap().carry == leader.replica.carry
    assert [list(session.items) for session in leader.replica.sessions] == [list(session.items) for session in late.replica.sessions]
    for index, client in enumerate(clients):
        assert client.caller.peer is not None
        own = [line.partition(": ")[2] for line in leader.replica.carry if line.startswith(f"{client.caller.peer.connection}: ")]
        assert own == [text[: 80 - 3] for text in sent[index]]  # each once, in order
        assert client.caller.acknowledged == client.caller.sent == len(sent[index])
        assert client.caller.idle
        wanted = [part for number, text in enumerate(sent[index], 1) for part in expected(text, asked=number in asked[index])]
        assert [text for text in client.unread() if not text.startswith("other ")] == wanted  # those are of other clients
        assert {number: message.content.decode() for number, message in client.answers.items()} == {
            number: first(text) for number, text in asked[index].items()
        }


def first(text: str) -> str:
    verb, _, rest = text.partition(" ")
    return f"1 {rest}" if verb == "twice" else text


def expected(text: str, *, asked: bool) -> list[str]:
    """What the client gets for this message, without the response that somebody asked for."""
    verb, _, rest = text.partition(" ")
    found = {
        "quiet": [],
        "defer": [],
        "other": [],
        "twice": [f"1 {rest}", f"2 {rest}"],
        "tell": [text, f"told {rest}", "after"],
    }.get(verb, [text])
    return found[1:] if asked else found


def test_a_lead_counts_only_behind_the_one_that_it_knows() -> None:
    stream = Stream()
    server = Server(stream)
    stream.lead(Lead("a", 0))
    stream.lead(Lead("b", 0))
    assert server.run().replica.leader == "a"
    stream.lead(Lead("b", term_of(1, "a")))
    assert server.run().replica.leader == "b"
    Client(stream, "s1")
    stream.lead(Gone(term_of(1, "a"), ("s1",)))  # of a server that has not noticed
    stream.lead(Rang(term_of(1, "a"), len(stream.entries)))
    assert server.run().replica.carry == ()
    stream.lead(Gone(term_of(3, "b"), ("s1", "s2")))
    assert server.run().replica.carry == ("1 left",)


def test_the_leader_of_a_stream_that_was_removed_does_not_lead_the_one_that_was_made_again() -> None:
    old, new = Stream(), Stream()
    old.lead(Lead("old", 0))
    new.lead(Lead("new", 0))
    before, after = Server(old).run().replica, Server(new).run().replica
    assert before.led == after.led == 1
    Client(new, "s1")
    for entry in (Lead("standby", before.term), Gone(before.term, ("s1",)), Check(before.term, 1, 7), Over(before.term)):
        new.lead(entry)
    server = Server(new).run().replica
    assert (server.leader, server.over, server.digests.diverged, server.carry) == ("new", None, None, ())
