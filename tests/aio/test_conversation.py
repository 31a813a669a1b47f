"""The two shells, mixed, converse over real sockets and a wire that splits and cuts. Each may be at either end.

The handler does what the content of a message says. These rules hold, whatever the clients do:

- The carry is made of the messages of each client in order, each of them once.
- What a client knows to be folded is folded.
- `ask` returns the first response to its own message, which is dropped if it comes too late. `wait` returns all others in order.
"""

import asyncio
import gc
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar

import attrs
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, precondition, rule, run_state_machine_as_test
from returns.result import Failure, Result, Success

from ipcfold import IPC, Continuation, Message, aio, cases
from ipcfold.testing.aio import Serve
from ipcfold.testing.plugin import serving
from tests.aio.relay import Plan, Relay
from tests.shells.bridge import Bridge, BridgedProcess
from tests.shells.serve_aio import loop_factory
from tests.shells.support import NAME, PATIENCE

Log = tuple[bytes, ...]

EMPTY: Log = ()


def responses_to(content: bytes) -> list[Message]:
    """The handler's responses. The first byte of the content is their number."""
    return [Message.octets(bytes([number]) + content) for number in range(content[0] % 4)]


def handle(message: Message, continuation: Continuation[Log], carry: Log) -> Continuation[Log]:
    carry = (*carry, message.content)
    answered = continuation.respond(carry, *responses_to(message.content))
    return answered.close(carry) if message.content[1] == 0 else answered


async def handle_later(message: Message, continuation: Continuation[Log], carry: Log) -> Continuation[Log]:
    for _ in range(message.content[2] % 3):
        await asyncio.sleep(0)
    return handle(message, continuation, carry)


@contextmanager
def blocking_server(directory: Path) -> Iterator[Callable[[], Result[Log, Any]]]:
    with serving(IPC(directory)) as serve:
        yield serve(handle, EMPTY).stop


@contextmanager
def aio_server(directory: Path, loop: str) -> Iterator[Callable[[], Result[Log, Any]]]:
    """A server in a loop of a thread."""
    listens, results = threading.Event(), list[Result[Log, Any]]()
    ending: Callable[[], object] = bool

    async def main() -> None:
        nonlocal ending
        ended, own = asyncio.Event(), asyncio.get_running_loop()
        ending = lambda: own.call_soon_threadsafe(ended.set)  # noqa: E731 - it needs the loop
        async with Serve(aio.IPC(directory))(handle_later, EMPTY) as server:
            listens.set()
            await ended.wait()
            results.append(await server.stop())

    def run() -> None:
        with asyncio.Runner(loop_factory=loop_factory(loop)) as runner:
            runner.run(main())

    def stop() -> Result[Log, Any]:
        if not results:
            ending()
            thread.join(PATIENCE)
        return results[0]

    thread = threading.Thread(target=run)
    thread.start()
    assert listens.wait(PATIENCE)
    try:
        yield stop
    finally:
        stop()


@attrs.define(eq=False)
class Client:
    """A client, and what it has said and heard."""

    number: int
    process: Any  # of either shell
    cut: bool
    said: list[bytes] = attrs.field(factory=list)
    asked: set[bytes] = attrs.field(factory=set)
    heard: list[Message] = attrs.field(factory=list)
    known: int = 0
    """How many of its messages are known to be folded."""

    def failed(self, before: int, error: object) -> None:
        """A verb has failed that began when so many were said."""
        acknowledged = getattr(error, "acknowledged", 0)
        if acknowledged:
            self.known = max(self.known, before + acknowledged)


class Conversation(RuleBasedStateMachine):
    """The machine. Subclasses say which shells are at its ends."""

    server: ClassVar[Callable[[Path], AbstractContextManager[Callable[[], Result[Log, Any]]]]]
    bridge: ClassVar[Bridge | None]
    clients: Bundle[Client] = Bundle("clients")

    def __init__(self) -> None:
        super().__init__()
        self.ending = ExitStack()
        behind, front = (Path(self.ending.enter_context(TemporaryDirectory(prefix="ipc"))) for _ in range(2))
        if self.bridge is not None:
            self.ending.callback(self.bridge.runners.close)
        self.stop = self.ending.enter_context(type(self).server(behind))
        self.relay = self.ending.enter_context(Relay(front / f"{NAME}.sock", behind / f"{NAME}.sock"))
        self.ipc = IPC(front) if self.bridge is None else self.bridge(front)
        self.all = list[Client]()
        self.numbers = count()

    def content(self, client: Client, head: bytes) -> bytes:
        """A content that is like no other: what the handler shall do, who sent it, and the number of the message."""
        content = head + b"%d %d" % (client.number, next(self.numbers))
        client.said.append(content)
        return content

    # The steps.

    @rule(
        target=clients,
        piece=st.sampled_from([1, 7, 65536]),
        cut=st.none() | st.tuples(st.booleans(), st.integers(60, 2000)),
    )
    def connect(self, piece: int, cut: tuple[bool, int] | None) -> Client:
        plan = Plan(piece) if cut is None else Plan(piece, up=cut[1]) if cut[0] else Plan(piece, down=cut[1])
        self.relay.plans.append(plan)
        client = Client(len(self.all), self.ipc.get(NAME).unwrap(), cut is not None)
        self.all.append(client)
        return client

    @rule(client=clients, heads=st.lists(st.binary(min_size=3, max_size=40), max_size=5))
    def send(self, client: Client, heads: list[bytes]) -> None:
        before = len(client.said)
        contents = [self.content(client, head) for head in heads]
        match cases(client.process.send(*map(Message.octets, contents))):
            case Success() if contents:  # to send nothing succeeds on a connection that is over, too
                client.known = len(client.said)
            case Success():
                pass
            case Failure(error):
                client.failed(before, error)

    @rule(client=clients)
    def wait(self, client: Client) -> None:
        client.process.wait(0.0).map(client.heard.append)

    @rule(client=clients, head=st.binary(min_size=3, max_size=40))
    def ask(self, client: Client, head: bytes) -> None:
        """There is an answer, or the end of the connection."""
        self.answered(client, self.asked(client, bytes([head[0] | 1]) + head[1:]), PATIENCE)

    @rule(client=clients, head=st.binary(min_size=3, max_size=40))
    def ask_without_time(self, client: Client, head: bytes) -> None:
        self.answered(client, self.asked(client, head), 0.0)

    @precondition(lambda self: self.bridge is not None)
    @rule(client=clients, heads=st.lists(st.binary(min_size=3, max_size=40), min_size=2, max_size=8), turns=st.integers(0, 9))
    def ask_together(self, client: Client, heads: list[bytes], turns: int) -> None:
        """Every second task is cancelled after some turns of the loop."""
        process: BridgedProcess | Gone = client.process
        if isinstance(process, Gone):
            return
        contents = [self.asked(client, bytes([head[0] | 1]) + head[1:]) for head in heads]

        async def together() -> list[Any]:
            tasks = [asyncio.create_task(process.process.ask(Message.octets(content), PATIENCE)) for content in contents]
            for _ in range(turns):
                await asyncio.sleep(0)
            for task in tasks[::2]:
                task.cancel()
            return await asyncio.gather(*tasks, return_exceptions=True)

        assert self.bridge is not None
        answers = self.bridge.runners.run(together())
        if not turns:  # a task that was cancelled before it began has sent nothing
            client.said[-len(contents) :] = contents[1::2]
        for content, answer in zip(contents, answers, strict=True):
            if not isinstance(answer, asyncio.CancelledError):
                answer.map(partial(self.check, client, content))

    @rule(client=clients)
    def close(self, client: Client) -> None:
        client.process.close()
        client.cut = True  # what it has not waited for is gone

    @rule(client=clients)
    def leave_without_a_word(self, client: Client) -> None:
        client.cut = True
        client.process = Gone()
        gc.collect()

    def asked(self, client: Client, head: bytes) -> bytes:
        content = self.content(client, head)
        client.asked.add(content)
        return content

    def answered(self, client: Client, content: bytes, timeout: float) -> None:
        before = len(client.said) - 1
        match cases(client.process.ask(Message.octets(content), timeout)):
            case Success(answer):
                self.check(client, content, answer)
            case Failure(error):
                client.failed(before, error)

    def check(self, client: Client, content: bytes, answer: Message) -> None:
        assert answer == responses_to(content)[0]
        client.known = max(client.known, client.said.index(content) + 1)

    # The rules.

    def teardown(self) -> None:
        with self.ending:
            for client in self.all:
                if not client.cut and not client.process.closed:
                    self.answered(client, self.asked(client, b"\1\1\1"), PATIENCE)
                while isinstance(heard := client.process.wait(0.0), Success):
                    client.heard.append(heard.unwrap())
                client.process.close()
            folded = self.stop().unwrap()
            for client in self.all:
                own = [content for content in folded if content in set(client.said)]
                assert own == client.said[: len(own)]
                assert client.known <= len(own)
                expected = [response for content in own for response in responses_to(content)[content in client.asked :]]
                assert client.heard == expected[: len(client.heard)]
                if not client.cut:
                    assert client.heard == expected
            assert len(folded) == len(set(folded))


class Gone:
    """A client that has left."""

    closed = True

    def send(self, *_: Message) -> Result[None, str]:
        return Failure("gone")

    def ask(self, *_: object) -> Result[Message, str]:
        return Failure("gone")

    def wait(self, _: float) -> Result[Message, str]:
        return Failure("gone")

    def close(self) -> None: ...


def aio_on(loop: str) -> Callable[[Path], AbstractContextManager[Callable[[], Result[Log, Any]]]]:
    return staticmethod(lambda directory: aio_server(directory, loop))


BLOCKING = staticmethod(blocking_server)
PAIRS = {
    "blocking, aio on asyncio": (None, aio_on("asyncio")),
    "blocking, aio on uvloop": (None, aio_on("uvloop")),
    "aio on asyncio, blocking": (Bridge("asyncio"), BLOCKING),
    "aio on uvloop, blocking": (Bridge("uvloop"), BLOCKING),
    "aio on asyncio, aio on uvloop": (Bridge("asyncio"), aio_on("uvloop")),
    "aio on uvloop, aio on asyncio": (Bridge("uvloop"), aio_on("asyncio")),
}


@pytest.mark.parametrize("pair", PAIRS)
def test_two_shells_converse_at_the_two_ends_of_a_wire(pair: str) -> None:
    client, server = PAIRS[pair]
    machine: Any = type("Mixed", (Conversation,), {"bridge": client, "server": server})
    run_state_machine_as_test(machine, settings=settings(max_examples=10, stateful_step_count=25, deadline=None))
