"""Servers of several versions of a program go on with one log. None of them begins with another carry, unless it adopts the log."""

from contextlib import closing

import attrs
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from returns.result import Failure

from ipcfold import Continuation, Message, ReplayDiverged
from ipcfold.core.functions import Handlers
from ipcfold.limits import Limits
from ipcfold.log import History, MemoryLog, Snapshots
from ipcfold.testing import Step, scripts
from tests.log.world import SNAPSHOTS, START, WORDS, Carry, LoggedPlayer, handle, left, recover, woken


def versioned(version: int) -> Handlers[Carry]:
    """A version of the handler, which says its number where it answers a plain word, and carries that, too."""

    def said(message: Message, given: Continuation[Carry], carry: Carry) -> Continuation[Carry]:
        answer = handle(message, given, carry)
        if message.content != b"plain":
            return answer
        happened, open_, there = answer.carry
        return answer.respond(((*happened[:-1], f"{happened[-1]} {version}"), open_, there), Message.text(str(version)))

    return Handlers(said, left, woken)


VERSIONS = [versioned(number) for number in range(3)]


class Lives(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.log = MemoryLog()
        self.snapshots: Snapshots[Carry] | None = None
        self.server: LoggedPlayer | None = None
        self.version = 0
        self.carry = START
        self.damaged = False

    @initialize(
        snapshots=st.none()
        | st.builds(
            lambda every, history: attrs.evolve(SNAPSHOTS, every=every, history=history), st.integers(1, 9), st.sampled_from(History)
        )
    )
    def begin(self, snapshots: Snapshots[Carry] | None) -> None:
        self.snapshots = snapshots
        self.server = LoggedPlayer(self.log, snapshots, VERSIONS[0])

    @precondition(lambda self: self.server is not None)
    @rule(script=scripts(WORDS, max_size=6))
    def play(self, script: list[Step]) -> None:
        assert self.server is not None
        self.server.play(script)

    @precondition(lambda self: self.server is not None)
    @rule()
    def keep(self) -> None:
        assert self.server is not None
        self.server.recorder.snapshot()

    @precondition(lambda self: self.server is not None)
    @rule()
    def crash(self) -> None:
        assert self.server is not None
        self.server.crash()
        self.carry, self.server = self.server.carry, None

    @precondition(lambda self: self.server is None and self.log.store.snapshots)
    @rule()
    def damage(self) -> None:
        self.log.store.snapshots[-1] = self.log.store.snapshots[-1][0], b"?"
        self.damaged = True

    @precondition(lambda self: self.server is None)
    @rule(version=st.sampled_from([0, 1, 2]), adopts=st.booleans())
    def start(self, version: int, adopts: bool) -> None:  # noqa: FBT001 - drawn
        with closing(self.log.open().unwrap()) as journal:
            result = recover("it", journal, START, VERSIONS[version], self.snapshots, Limits(), adopts=adopts)
        if isinstance(result, Failure):
            assert self.damaged or (isinstance(result.failure(), ReplayDiverged) and version != self.version and not adopts)
            return
        before = result.unwrap()
        assert before.adopted or before.carry == self.carry
        self.server = LoggedPlayer(self.log, self.snapshots, VERSIONS[version], adopts=adopts)
        self.version = version

    def teardown(self) -> None:
        if self.server is not None:
            self.server.crash()


TestLives = Lives.TestCase
