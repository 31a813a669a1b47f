"""A simulated server does what a real one does, whatever its clients do."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from contextvars import Context
from math import inf, nan
from tempfile import TemporaryDirectory
from typing import TypeVar

import attrs
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from hypothesis.errors import UnsatisfiedAssumption
from returns.result import Failure, Success

from ipcfold import IPC, Continuation, Handler, HandlerFailed, Limits, Message, Outcome, cases, fold
from ipcfold.codec import Codec, TypedContinuation, typed, typed_woken
from ipcfold.events import Connected, Departure, Disconnected, Ending, Folded, Listening, Refused, Stopping
from ipcfold.handlers import Remembered, once, rescue, route
from ipcfold.testing import Simulation, encoded, simulate
from ipcfold.testing.plugin import serving
from ipcfold.testing.script import Close, Connect, Elapse, Hold, Kill, Release, Send, Shutdown, Step, Write
from ipcfold.testing.strategies import Scripted, broken_frames, chunks, handlers, messages, scripts

C = TypeVar("C")

History = tuple[tuple[int, Message], ...]
EMPTY: History = ()
NOTHING: tuple[Message, ...] = ()
ONE, TWO = Message.text("one"), Message.text("two")


def record(message: Message, continuation: Continuation[History], carry: History) -> Continuation[History]:
    """Keep who said what, and answer twice."""
    return continuation.respond((*carry, (continuation.peer.connection, message)), message, Message.text(str(len(carry))))


def ending(simulation: Simulation[History]) -> list[Ending]:
    return [event.ending for event in simulation.events if isinstance(event, Stopping)]


@given(scripts(), chunks(), st.booleans())
def test_whatever_clients_do_the_carry_is_what_was_folded_and_each_knows_its_part(
    script: list[Step],
    sizes: list[int],
    stopped: bool,  # noqa: FBT001 - drawn
) -> None:
    simulation = simulate(record, EMPTY, [*script, *([Shutdown()] if stopped else [])], chunks=sizes)
    folded = [event for event in simulation.events if isinstance(event, Folded)]
    assert simulation.result == Success(tuple((event.peer.connection, event.message) for event in folded))
    assert simulation.outcome is (Outcome.STOP if stopped else Outcome.CONTINUE)
    by_client = defaultdict(list)
    for event in folded:
        by_client[event.peer.connection].append(event)
    for client in simulation.clients.values():
        mine = by_client[client.peer.connection]
        assert tuple(event.message for event in mine) == client.sent[: len(mine)]
        assert client.acknowledged <= len(mine)
        for event, answer in zip(mine, client.answers, strict=False):
            assert answer == event.responses[: len(answer)]
        if client.departure is None:
            assert client.acknowledged == len(mine) == len(client.sent)
            assert client.answers == tuple(event.responses for event in mine)
    came = [event.peer for event in simulation.events if isinstance(event, Connected)]
    went = [event.peer for event in simulation.events if isinstance(event, Disconnected)]
    assert len(came) == len(simulation.clients)
    if stopped:
        assert sorted(map(str, came)) == sorted(map(str, went))


@given(handlers(), st.lists(messages(), max_size=10), chunks())
def test_a_simulation_with_one_client_does_what_fold_does(handler: Scripted, said: list[Message], sizes: list[int]) -> None:
    simulation = simulate(handler, NOTHING, [Connect("ann"), Send("ann", *said)], chunks=sizes)
    match cases(fold(handler, NOTHING, said)):
        case Success(last):
            assert simulation.result == Success(last.carry)
            assert simulation.clients["ann"].responses == last.responses
            assert simulation.clients["ann"].departure is (None if last.outcome is Outcome.CONTINUE else Departure.DISMISSED)
        case Failure(failed):
            assert isinstance(simulation.result, Failure)
            assert simulation.carry == failed.carry
            assert simulation.clients["ann"].departure is Departure.DISMISSED


sends = st.builds(lambda who, what: Send(who, *what), st.sampled_from(["ann", "bob"]), st.lists(messages(), max_size=3))


@settings(max_examples=15)
@given(st.lists(sends, max_size=6))
def test_a_real_server_does_what_a_simulation_does(script: list[Send]) -> None:
    simulation = simulate(record, EMPTY, script)
    with TemporaryDirectory(prefix="ipc") as directory, serving(IPC(directory)) as serve:
        server = serve(record, EMPTY)
        heard = {name: list[Message]() for name in simulation.clients}
        with ExitStack() as open_until:
            processes = {name: open_until.enter_context(server.connect()) for name in simulation.clients}
            for step in script:
                processes[step.client].send(*step.messages).unwrap()
                heard[step.client] += [processes[step.client].wait().unwrap() for _ in range(2 * len(step.messages))]
        assert server.stop() == simulation.result
        assert {name: list(client.responses) for name, client in simulation.clients.items()} == heard


@given(st.integers(1, 30), st.booleans())
def test_half_a_frame_of_a_killed_client_is_not_folded(lost: int, held: bool) -> None:  # noqa: FBT001 - drawn
    script: list[Step] = [Connect("ann"), *([Hold("ann")] if held else []), Send("ann", ONE, TWO), Kill("ann", lost), Send("bob", ONE)]
    simulation = simulate(record, EMPTY, script)
    frame = 2 + len("text/plain") + 4 + 3 + 1
    whole = 2 - -(-lost // frame) if held else 2
    assert [message for who, message in simulation.carry if who == 1] == [ONE, TWO][: max(0, whole)]
    assert simulation.clients["ann"].departure is Departure.LOST
    assert simulation.clients["bob"].answers != ()


@given(broken_frames())
def test_a_client_that_writes_no_frame_is_dropped_and_the_others_go_on(data: bytes) -> None:
    simulation = simulate(record, EMPTY, [Send("ann", ONE), Write("ann", data), Send("ann", TWO), Send("bob", TWO)])
    assert simulation.carry == ((1, ONE), (2, TWO))
    (gone,) = [event for event in simulation.events if isinstance(event, Disconnected)]
    assert gone.departure is simulation.clients["ann"].departure is Departure.DROPPED
    assert gone.reason in str(simulation)


def test_a_client_that_is_held_is_overtaken_and_hears_nothing() -> None:
    simulation = simulate(
        record, EMPTY, [Connect("ann"), Hold("ann"), Send("ann", ONE), Send("bob", TWO), Release("ann"), Send("ann", TWO)]
    )
    assert simulation.carry == ((2, TWO), (1, ONE), (1, TWO))
    assert simulation.clients["ann"].acknowledged == 2


@pytest.mark.parametrize(
    ("script", "limits", "reason"),
    [
        ([Connect("ann"), Write("ann", b"\x00\x0atext"), Elapse(61)], Limits(), "one frame of it took more than 60 s (limits.frame)"),
        ([Connect("ann"), Write("ann", b"\x00\x01x" + b"\xff" * 5)], Limits(), "it broke the protocol: a content of 4294967295 bytes"),
    ],
)
def test_a_client_over_a_limit_is_dropped_with_that_reason(script: Sequence[Step], limits: Limits, reason: str) -> None:
    simulation = simulate(record, EMPTY, script, limits=limits)
    (gone,) = [event for event in simulation.events if isinstance(event, Disconnected)]
    assert gone.reason.startswith(reason)


def test_a_client_over_the_limit_is_refused() -> None:
    simulation = simulate(record, EMPTY, [Connect("ann"), Send("bob", ONE), Send("ann", TWO)], limits=Limits(connections=1))
    (refused,) = [event for event in simulation.events if isinstance(event, Refused)]
    assert refused.reason == "there are 1 already (limits.connections)"
    assert simulation.clients["bob"].departure is Departure.DROPPED
    assert simulation.clients["bob"].sent == ()
    assert simulation.carry == ((1, TWO),)


def test_a_message_over_the_limit_is_not_sent_and_the_transcript_says_why() -> None:
    simulation = simulate(record, EMPTY, [Send("ann", ONE, Message.octets(b"x" * 101))], limits=Limits(message=100))
    assert simulation.clients["ann"].sent == ()
    assert "ann  cannot send: a message of 101 bytes is over the limit of 100" in str(simulation)


@given(st.floats(0.1, 1e6))
def test_the_timeout_runs_in_the_time_of_the_script(timeout: float) -> None:
    before = simulate(record, EMPTY, [Send("ann", ONE), Elapse(timeout * 0.9)], timeout=timeout, heartbeat=timeout / 5)
    after = simulate(record, EMPTY, [Send("ann", ONE), Elapse(timeout * 1.1)], timeout=timeout, heartbeat=timeout / 5)
    assert (before.outcome, after.outcome) == (Outcome.CONTINUE, Outcome.STOP)
    assert ending(after) == [Ending.TIMED_OUT]
    assert after.clients["ann"].departure is Departure.DISMISSED


@pytest.mark.parametrize("error", [KeyError("no"), SystemExit(1)])
def test_a_handler_that_fails_ends_a_simulation_with_the_last_good_carry(error: BaseException) -> None:
    def fail(message: Message, continuation: Continuation[History], carry: History) -> Continuation[History]:
        if message == TWO:
            raise error
        return record(message, continuation, carry)

    simulation = simulate(fail, EMPTY, [Send("ann", ONE, TWO, ONE), Send("bob", ONE)])
    assert simulation.result == Failure(HandlerFailed(((1, ONE),), TWO, error))
    assert simulation.carry == ((1, ONE),)
    assert simulation.outcome is Outcome.STOP
    assert ending(simulation) == [Ending.FAILED]
    assert simulation.clients["ann"].acknowledged == 1
    assert repr(error) in str(simulation)


@pytest.mark.parametrize("error", [KeyboardInterrupt, pytest.fail.Exception, UnsatisfiedAssumption])
def test_an_exception_for_the_test_runner_goes_through(error: type[BaseException]) -> None:
    def interrupt(message: Message, continuation: Continuation[History], carry: History) -> Continuation[History]:
        raise error

    with pytest.raises(error):
        simulate(interrupt, EMPTY, [Send("ann", ONE)])


def test_a_client_that_comes_after_the_end_finds_no_server() -> None:
    simulation = simulate(record, EMPTY, [Shutdown(), Send("ann", ONE)])
    assert simulation.carry == EMPTY
    assert simulation.clients["ann"].departure is Departure.DROPPED
    assert [type(event) for event in simulation.events] == [Listening, Stopping]
    assert "finds no server" in str(simulation)


@pytest.mark.parametrize("seconds", [-1.0, inf, nan])
def test_elapse_needs_a_finite_number_of_seconds(seconds: float) -> None:
    with pytest.raises(ValueError, match="time cannot elapse"):
        Elapse(seconds)


@pytest.mark.parametrize("size", [0, -1])
def test_a_chunk_has_at_least_one_byte(size: int) -> None:
    with pytest.raises(ValueError, match="at least one byte"):
        simulate(record, EMPTY, [], chunks=[3, size])


@pytest.mark.parametrize("name", ["server", "time"])
def test_a_client_cannot_have_a_name_that_the_transcript_uses(name: str) -> None:
    with pytest.raises(ValueError, match="use another name"):
        simulate(record, EMPTY, [Connect(name)])


def test_the_transcript_says_what_did_not_happen() -> None:
    held: list[Step] = [Connect("ann"), Hold("ann"), Close("ann"), Send("ann", ONE), Release("ann")]
    gone: list[Step] = [Send("ann", ONE), Connect("ann"), Release("ann")]
    said = [link.split("  ")[-1].strip() for link in str(simulate(record, EMPTY, held + gone)).splitlines()]
    assert said == [
        "connects",
        "is held",
        "closes",
        "sends nothing",
        "is released",
        "has no ann any more: it closed",
        "is gone: Send does nothing",
    ]


def test_a_transcript_is_brief() -> None:
    def keep(message: Message, continuation: Continuation[bytes], carry: bytes) -> Continuation[bytes]:
        return continuation.continue_(carry + message.content)

    simulation = simulate(keep, b"", [Send("ann", Message.octets(b"x" * 1000))])
    assert len(str(simulation)) < 600
    assert "... (1000 bytes)" in str(simulation)


def test_a_wrong_answer_is_a_failure_and_its_message_is_not_folded() -> None:
    def confuse(message: Message, continuation: Continuation[History], carry: History) -> Continuation[History]:
        return Continuation(carry, message)  # type: ignore[arg-type]  # what the test is about

    simulation = simulate(confuse, EMPTY, [Send("ann", ONE)])
    assert isinstance(simulation.result.failure().error, TypeError)
    assert [event for event in simulation.events if isinstance(event, Folded)] == []
    assert ending(simulation) == [Ending.FAILED]


def test_a_second_signal_changes_nothing() -> None:
    simulation = simulate(record, EMPTY, [Send("ann", ONE), Shutdown(), Shutdown(), Send("ann", TWO)])
    assert ending(simulation) == [Ending.SIGNALLED]
    assert simulation.carry == ((1, ONE),)


def test_a_simulation_outside_of_tests_is_neither_kept_nor_shown(capsys: pytest.CaptureFixture[str]) -> None:
    simulation = Context().run(simulate, record, EMPTY, [Send("ann", ONE)])
    assert simulation.carry == ((1, ONE),)
    assert capsys.readouterr() == ("", "")


def test_an_empty_script_gives_the_first_carry() -> None:
    simulation = simulate(record, EMPTY, [])
    assert (simulation.result, simulation.events, str(simulation)) == (Success(EMPTY), (Listening(simulation.events[0].name),), "")


def test_the_transcript_tells_of_the_end() -> None:
    simulation = simulate(record, EMPTY, [Connect("ann"), Close("ann"), Connect("bob"), Elapse(2), Shutdown()])
    assert str(simulation).splitlines() == [
        "   0.00 s  ann     connects",
        "   0.00 s  ann     closes",
        "   0.00 s  server  has no ann any more: it closed",
        "   0.00 s  bob     connects",
        "   2.00 s  time    went on by 2 s",
        "   2.00 s  server  gets a signal to end",
        "   2.00 s  server  ends: a signal came",
        "   2.00 s  server  has no bob any more: it was asked to close",
    ]
    assert repr(simulation) == "<Simulation <Success: ()> of 2 clients; str() is the transcript>"


@pytest.mark.parametrize("error", [GeneratorExit(), asyncio.CancelledError(), SystemExit(1), KeyError(1)])
def test_an_exception_of_the_handler_is_its_failure_as_in_a_fold(error: BaseException) -> None:
    def fail(message: Message, continuation: Continuation[int], carry: int) -> Continuation[int]:
        raise error

    assert simulate(fail, 7, [Send("ann", ONE)]).result == Failure(HandlerFailed(7, ONE, error)) == fold(fail, 7, [ONE])


def test_an_outcome_of_pytest_leaves_the_simulation() -> None:
    def skip(message: Message, continuation: Continuation[int], carry: int) -> Continuation[int]:
        pytest.skip("not today")

    with pytest.raises(pytest.skip.Exception):
        simulate(skip, 7, [Send("ann", ONE)])


def test_a_client_that_keeps_more_responses_than_its_limit_is_gone() -> None:
    def answer(message: Message, continuation: Continuation[int], carry: int) -> Continuation[int]:
        return continuation.respond(carry + 1, Message.text("x" * 100))

    together = simulate(answer, 0, [Send("ann", *[ONE] * 9)], limits=Limits(unread=1000))
    assert together.clients["ann"].departure is Departure.LOST
    one_by_one = simulate(answer, 0, [Send("ann", ONE)] * 9, limits=Limits(unread=1000))
    assert one_by_one.clients["ann"].departure is None
    assert len(one_by_one.clients["ann"].responses) == 9


@attrs.frozen
class Resize:
    path: str
    width: int


RESIZES, WIDTHS = Codec(Resize), Codec(int)
CAT = RESIZES.encode(Resize("cat.jpg", 320)).unwrap()


def largest(resize: Resize, continuation: TypedContinuation[int, int], width: int) -> TypedContinuation[int, int]:
    told = continuation.tell(width, continuation.peer, resize.width).wake(width, continuation.now + 1.0)
    return told.respond(max(width, resize.width), width)


def shown(simulation: Simulation[C]) -> list[str]:
    return [line[19:] for line in simulation.transcript if " connects" not in line]


@pytest.mark.parametrize(
    "combined",
    [
        lambda handler: handler,
        lambda handler: rescue(handler, ONE),
        lambda handler: rescue(route({"application/json": handler}, handler), ONE),
    ],
)
def test_a_transcript_shows_the_values_of_typed_messages(combined: Callable[[Handler[int]], Handler[int]]) -> None:
    ann = simulate(typed(RESIZES, largest, responses=WIDTHS), 0, [Send("ann", ONE)]).clients["ann"].peer
    woken = typed_woken(WIDTHS, lambda given, carry: given.tell(carry, ann, 7))
    simulation = simulate(combined(typed(RESIZES, largest, responses=WIDTHS)), 0, [Send("ann", CAT, ONE), Elapse(1.0)], woken=woken)
    undecoded = "text/plain b'the message does not decode as application/json (it is text/plai'... (108 bytes)"
    assert shown(simulation) == [
        "sends Resize(path='cat.jpg', width=320), text/plain b'one'",
        "folds Resize(path='cat.jpg', width=320) of ann, responds 0, tells ann 320, sets its alarm to 1: the carry is 320",
        f"folds text/plain b'one' of ann, responds {undecoded}: the carry is 320",
        "gets 320",
        "gets 0",
        f"gets {undecoded}",
        "folds an alarm, tells ann 7: the carry is 320",
        "gets 7",
        "went on by 1 s",
    ]


def test_a_transcript_shows_values_by_the_codecs_that_it_is_given() -> None:
    def count(message: Message, given: Continuation[int], carry: int) -> Continuation[int]:
        return given.respond(carry + len(message.content), WIDTHS.encode(carry).unwrap())

    simulation = simulate(once(count), Remembered(0), [Send("ann", CAT, ONE)], codecs=[RESIZES, WIDTHS])
    assert shown(simulation)[0] == "sends Resize(path='cat.jpg', width=320), text/plain b'one'"
    assert shown(simulation)[-2:] == ["gets 0", "gets 33"]


def test_a_failing_example_shows_the_values_that_were_drawn() -> None:
    @settings(database=None, derandomize=True, phases=[Phase.generate, Phase.shrink])
    @given(scripts(encoded(RESIZES, st.builds(Resize, st.just("cat.jpg"), st.integers(0, 4000)))))
    def wrong(script: list[Step]) -> None:
        assert simulate(typed(RESIZES, largest, responses=WIDTHS), 0, script, woken=lambda given, _: given).carry < 1000

    with pytest.raises(AssertionError) as raised:
        wrong()
    example = "".join("".join(raised.value.__notes__).split())
    assert "Send('ann',encode(Resize('cat.jpg',1000)))" in example
    assert "sendsResize(path='cat.jpg',width=1000)" in example
