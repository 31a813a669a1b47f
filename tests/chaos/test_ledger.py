"""The check accepts the ledger of a correct run, and finds every error in a ledger."""

from itertools import groupby
from typing import TypeAlias, final

import attrs
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.chaos.ledger import SUCCESS, Attempt, Known, Run, violations

Pair: TypeAlias = tuple[int, int]
"""The connection and the number of a message."""


def runs_of(pairs: list[Pair]) -> list[Run]:
    """The same messages in the form of the server's carry."""
    groups = groupby(enumerate(pairs), key=lambda each: (each[1][0], each[1][1] - each[0]))
    runs = [[pair for _, pair in group] for _, group in groups]
    return [Run(*run[0], len(run)) for run in runs]


@final
@attrs.frozen
class Ledger:
    """The knowledge of one incarnation of a client, and its folded messages."""

    attempts: list[Attempt]
    folded: list[Pair]

    def violations(self) -> list[str]:
        return violations({"1.1": self.attempts}, {"1.1": runs_of(self.folded)})

    def acknowledged(self) -> list[int]:
        """The places in `folded` of the messages that the client knows to be folded."""
        attempts = [(attempt, attempt.known.acknowledged) for attempt in self.attempts if attempt.known]
        known = {(attempt.connection, number) for attempt, acknowledged in attempts for number in attempt.numbers[:acknowledged]}
        return [place for place, pair in enumerate(self.folded) if pair in known]

    def knowing(self, place: int, known: Known) -> "Ledger":
        """The same ledger with other knowledge of one attempt."""
        attempts = [attrs.evolve(attempt, known=known) if each == place else attempt for each, attempt in enumerate(self.attempts)]
        return Ledger(attempts, self.folded)


@st.composite
def ledgers(draw: st.DrawFn) -> Ledger:
    """Ledgers of correct runs."""
    attempts, folded, late = list[Attempt](), list[Pair](), list[Pair]()
    number = 1
    connections = draw(st.integers(1, 4))
    for connection in range(1, connections + 1):
        for count in draw(st.lists(st.integers(1, 5), max_size=4)):
            attempts.append(Attempt(connection, number, count, Known(count, SUCCESS)))
            folded += [(connection, each) for each in attempts[-1].numbers]
            number += count
        folded += late  # After a cut, the server may fold these when the client has connected again.
        late = []
        reasons = ["ConnectionClosed", "ConnectionLost", "UnreadExceeded"]
        reason = draw(st.sampled_from([*reasons, "killed"] if connection == connections else reasons))
        last = Attempt(connection, number, draw(st.integers(1, 5)))
        here = [(connection, each) for each in last.numbers][: draw(st.integers(0, last.count))]
        acknowledged = len(here) if reason == "ConnectionClosed" else draw(st.integers(0, len(here)))
        attempts.append(last if reason == "killed" else attrs.evolve(last, known=Known(acknowledged, reason)))
        folded += here[:acknowledged]
        late = here[acknowledged:]
        number += last.count
        if draw(st.booleans()) and attempts[-1].known:  # One more attempt on a connection that has ended.
            attempts.append(Attempt(connection, number, 2, Known(0, reason)))
            number += 2
    return Ledger(attempts, folded + late)


@given(ledgers())
def test_the_check_accepts_a_correct_run(ledger: Ledger) -> None:
    assert ledger.violations() == []


@given(ledgers(), st.data())
def test_an_acknowledged_message_that_is_not_folded_is_found(ledger: Ledger, data: st.DataObject) -> None:
    assume(places := ledger.acknowledged())
    del ledger.folded[data.draw(st.sampled_from(places))]
    assert ledger.violations()


@given(ledgers(), st.data())
def test_a_message_folded_twice_is_found(ledger: Ledger, data: st.DataObject) -> None:
    assume(ledger.folded)
    again = data.draw(st.sampled_from(ledger.folded))
    ledger.folded.insert(data.draw(st.integers(0, len(ledger.folded))), again)
    assert ledger.violations()


@given(ledgers(), st.data())
def test_messages_of_a_connection_out_of_order_are_found(ledger: Ledger, data: st.DataObject) -> None:
    folded = ledger.folded
    places = st.integers(0, max(0, len(folded) - 1))
    one, other = data.draw(places), data.draw(places)
    assume(folded and one != other and folded[one][0] == folded[other][0])
    folded[one], folded[other] = folded[other], folded[one]
    assert ledger.violations()


@given(ledgers(), st.data())
def test_an_acknowledged_message_folded_after_a_later_connection_is_found(ledger: Ledger, data: st.DataObject) -> None:
    assume(places := ledger.acknowledged())
    connection = ledger.folded[data.draw(st.sampled_from(places))][0]
    assume(any(later > connection for later, _ in ledger.folded))
    ledger.folded.sort(key=lambda pair: pair[0] == connection)  # The sort is stable, so this connection comes last.
    assert ledger.violations()


@given(ledgers(), st.data(), st.sampled_from([-1, 1]))
def test_a_wrong_count_of_acknowledged_messages_is_found(ledger: Ledger, data: st.DataObject, difference: int) -> None:
    exact = [(place, at.known) for place, at in enumerate(ledger.attempts) if at.known and at.known.reason in {SUCCESS, "ConnectionClosed"}]
    assume(exact)
    place, known = data.draw(st.sampled_from(exact))
    assert ledger.knowing(place, attrs.evolve(known, acknowledged=known.acknowledged + difference)).violations()


@given(ledgers(), st.data(), st.sampled_from([SUCCESS, "ConnectionLost", "UnreadExceeded", "TimedOut"]))
def test_more_acknowledged_than_folded_is_found(ledger: Ledger, data: st.DataObject, reason: str) -> None:
    place = data.draw(st.integers(0, len(ledger.attempts) - 1))
    attempt = ledger.attempts[place]
    here = sum(connection == attempt.connection and number in attempt.numbers for connection, number in ledger.folded)
    assume(here < attempt.count)
    assert ledger.knowing(place, Known(data.draw(st.integers(here + 1, attempt.count)), reason)).violations()


@given(ledgers(), st.integers(1, 9), st.integers(1, 99))
def test_a_message_that_was_never_sent_is_found(ledger: Ledger, connection: int, beyond: int) -> None:
    ledger.folded.append((connection, ledger.attempts[-1].numbers[-1] + beyond))
    assert ledger.violations()


@given(ledgers())
def test_folded_messages_of_an_unknown_client_are_found(ledger: Ledger) -> None:
    assume(ledger.folded)
    assert violations({}, {"1.1": runs_of(ledger.folded)})


@given(ledgers(), st.data(), st.sampled_from(["MessageTooLarge", "ProcessClosed", "ProtocolBroken"]))
def test_an_error_that_must_not_happen_is_found(ledger: Ledger, data: st.DataObject, reason: str) -> None:
    place = data.draw(st.integers(0, len(ledger.attempts) - 1))
    known = ledger.attempts[place].known
    assert ledger.knowing(place, Known(known.acknowledged if known else 0, reason)).violations()


def test_a_message_folded_on_a_connection_that_had_ended_is_found() -> None:
    ended = Attempt(1, 1, 2, Known(1, "ConnectionLost"))
    after = Attempt(1, 3, 1, Known(0, "ConnectionLost"))
    assert violations({"1.1": [ended, after]}, {"1.1": [Run(1, 1, 2)]}) == []
    (words,) = violations({"1.1": [ended, after]}, {"1.1": [Run(1, 1, 3)]})
    assert words == "client 1.1, connection 1: of messages 3 to 3 1 were folded, though the connection was over before"
