"""A wrong lock with leases, its machine, and whether a conversation needs each of its steps."""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Final, TypeAlias

import attrs
from hypothesis import strategies as st
from hypothesis.stateful import invariant

from ipcfold import Handler, Message, Peer
from ipcfold.codec import Codec, TypedContinuation, typed
from ipcfold.handlers import rescue
from ipcfold.testing import Client, Close, Elapse, Hold, Kill, ProtocolMachine, Release, Send, Step, encoded
from ipcfold.testing.player import ScriptPlayer


@attrs.frozen
class Lock:
    """A client wants the lock, or gives it back."""

    wanted: bool


@attrs.frozen
class Lease:
    """The client has the lock until then; `None`: somebody else has it."""

    until: float | None


requests, answers = Codec(Lock), Codec(Lease)
Carry: TypeAlias = tuple[frozenset[Peer], float]
"""Who was given the lock and has not given it back, and until when the last lease lasts."""

FREE: Final[Carry] = (frozenset(), 0.0)
EPOCH: Final = 1.7e9
DURATION: Final = 30.0


def naive(lock: Lock, continuation: TypedContinuation[Carry, Lease], carry: Carry) -> TypedContinuation[Carry, Lease]:
    """Give the lock for 30 seconds. A client gives it back also after its lease, when somebody else has the lock."""
    given, until = carry
    if not lock.wanted:
        return continuation.continue_((given - {continuation.peer}, 0.0)) if continuation.peer in given else continuation
    if continuation.now < until:
        return continuation.respond(carry, Lease(None))
    until = continuation.now + DURATION
    return continuation.respond((given | {continuation.peer}, until), Lease(until))


handler: Final = rescue(typed(requests, naive, responses=answers), lambda error: Message.text(str(error)))


@lru_cache
def holds(client: Client, now: float) -> bool:
    """Whether this client believes that it has the lock."""
    until = 0.0
    for message, answer in zip(client.sent, client.answers, strict=True):
        if not requests.decode(message).unwrap().wanted:
            until = 0.0
        elif answer:
            until = answers.decode(answer[0]).unwrap().until or until
    return now < until and client.departure is None


class Leases(ProtocolMachine[Carry]):
    epoch = EPOCH

    def server(self) -> tuple[Carry, Handler[Carry]]:
        return FREE, handler

    def messages(self, client: Client) -> st.SearchStrategy[Message]:
        return encoded(requests, st.builds(Lock, st.booleans()))

    @invariant()
    def only_one_client_has_the_lock(self) -> None:
        assert sum(holds(client, self.now) for client in self.seen) <= 1


_LINE: Final = re.compile(
    r"\d s  (\w+) +(sends Lock\(wanted=(\w+)\)|is held|is released|closes|dies.*?(\d*)(?: bytes.*)?|went on by (\d.*) s)$"
)


def steps(transcript: Sequence[str]) -> list[Step]:
    """The steps of a conversation, from its transcript."""
    found = list[Step]()
    for line in transcript:
        if (match := _LINE.search(line)) is None:
            continue
        name, what, wanted, lost, seconds = match.groups()
        kind = what.split()[0]
        match kind:
            case "sends":
                found.append(Send(name, requests.encode(Lock(wanted == "True")).unwrap()))
            case "is":
                found.append(Hold(name) if what == "is held" else Release(name))
            case "closes":
                found.append(Close(name))
            case "dies":
                found.append(Kill(name, int(lost or 0)))
            case _:
                found.append(Elapse(float(seconds)))
    return found


def fails(script: Sequence[Step]) -> bool:
    """Whether two clients have the lock after one of these steps."""
    player = ScriptPlayer(handler, FREE, heartbeat=1000.0, epoch=EPOCH)
    for step in script:
        player.play(step)
        if sum(holds(client, EPOCH + player.elapsed) for client in player.clients) > 1:
            return True
    return False


def unneeded(script: Sequence[Step]) -> list[Step]:
    """The steps without which the conversation fails, too."""
    return [step for place, step in enumerate(script) if fails([*script[:place], *script[place + 1 :]])]
