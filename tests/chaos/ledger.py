"""The check compares the knowledge of the clients with the folded messages. It is pure.

A stream is in order, so the folded messages of one connection are a prefix of those sent on it. The outcomes of the
attempts say how long the prefix must be:

- After a success, the server folded all messages.
- After an orderly end, it folded exactly the acknowledged ones.
- After a cut wire, or if the server dropped the client, it folded at least those. Further acknowledgements may be lost with the wire.
- After a kill, it may have folded any number.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, TypeAlias, final

import attrs

SUCCESS: Final = "Success"
_EXACT: Final = frozenset({SUCCESS, "ConnectionClosed"})
_AT_LEAST: Final = frozenset({"ConnectionLost", "ConnectionDropped", "UnreadExceeded", "TimedOut"})
_GOES_ON: Final = frozenset({SUCCESS, "TimedOut"})

Key: TypeAlias = str
"""An incarnation of a client, as "client.incarnation"."""


@final
@attrs.frozen
class Known:
    """The end of an attempt, and the number of its messages that the client knows to be folded."""

    acknowledged: int
    reason: str


@attrs.frozen
class Run:
    """`count` messages of one connection with the numbers from `first` on, which were folded one after the other."""

    connection: int
    first: int
    count: int

    @property
    def numbers(self) -> range:
        return range(self.first, self.first + self.count)


@final
@attrs.frozen
class Attempt(Run):
    """Messages that the client sent at once. `known` is `None` if the client was killed."""

    known: Known | None = None


def violations(logs: Mapping[Key, Sequence[Attempt]], folded: Mapping[Key, Sequence[Run]]) -> list[str]:
    """A sentence for every broken promise."""
    found = list[str]()
    for key in sorted(logs.keys() | folded.keys()):
        attempts, runs = logs.get(key, ()), folded.get(key, ())
        found += [f"client {key}, {words}" for words in (*_of_connections(attempts, runs), *_of_order(attempts, runs))]
    return found


def _of_connections(attempts: Sequence[Attempt], runs: Sequence[Run]) -> Iterator[str]:
    made, folded = defaultdict[int, list[Attempt]](list), defaultdict[int, list[int]](list)
    for attempt in attempts:
        made[attempt.connection].append(attempt)
    for run in runs:
        folded[run.connection] += run.numbers
    for connection in sorted(made.keys() | folded.keys()):
        mine, numbers = made[connection], folded[connection]
        for words in (*_of_stream(mine, numbers), *_of_attempts(mine, len(numbers))):
            yield f"connection {connection}: {words}"


def _of_stream(attempts: Iterable[Attempt], numbers: Sequence[int]) -> Iterator[str]:
    """Check that the folded numbers are the first sent ones, once each."""
    sent = [number for attempt in attempts for number in attempt.numbers]
    if numbers == sent[: len(numbers)]:
        return
    known, seen = set(sent), set[int]()
    for place, number in enumerate(numbers):
        if number in seen:
            yield f"message {number} was folded twice"
        elif number not in known:
            yield f"message {number} was folded and never sent"
        elif place < len(sent) and number != sent[place]:
            yield f"message {number} was folded where {sent[place]} was to be"
            return  # All later numbers are out of place, too.
        seen.add(number)


def _of_attempts(attempts: Iterable[Attempt], length: int) -> Iterator[str]:
    """Check the client's knowledge of each attempt. The server folded `length` messages of the connection."""
    left, over = length, False
    for attempt in attempts:
        here = min(left, attempt.count)
        left -= here
        which = f"of messages {attempt.first} to {attempt.numbers[-1]} {here} were folded"
        if over and here:
            yield f"{which}, though the connection was over before"
        if attempt.known is None:
            continue
        acknowledged, reason = attempt.known.acknowledged, attempt.known.reason
        if reason not in _EXACT | _AT_LEAST:
            yield f"{which}, and the attempt ended with {reason}"
        elif reason == SUCCESS and acknowledged != attempt.count:
            yield f"{which}, and a success was taken for {acknowledged}"
        elif here < acknowledged or (here > acknowledged and reason in _EXACT):
            yield f"{which}, and the client got {reason} with {acknowledged} acknowledged"
        over = over or reason not in _GOES_ON


def _of_order(attempts: Iterable[Attempt], runs: Iterable[Run]) -> Iterator[str]:
    """Check that the server folded acknowledged messages before those sent later, also on another connection."""
    acknowledged = {number for attempt in attempts if attempt.known for number in attempt.numbers[: attempt.known.acknowledged]}
    highest = -1
    for number in (number for run in runs for number in run.numbers):
        if number < highest and number in acknowledged:
            yield f"message {number} was acknowledged, and folded after {highest}, which was sent later"
        highest = max(highest, number)
