"""The fixtures, as somebody else's tests use them."""

from pathlib import Path

import pytest
from returns.result import Success

from ipcfold import IPC, Limits, Message
from ipcfold.events import Event, Folded
from ipcfold.testing.plugin import serving
from tests.shells.handlers import EMPTY, log
from tests.shells.support import PATIENCE, fifo

CONFTEST = 'pytest_plugins = ["ipcfold.testing.plugin"]'

COUNT = """
from ipcfold import Continuation, Message, Name
from ipcfold.events import Folded
from ipcfold.testing import Send, simulate
from returns.result import Failure, Success

def count(message, continuation, counter):
    if message.content == b"fail":
        raise KeyError("on purpose")
    return continuation.respond(counter + 1, Message.text("pong"))
"""


def run(pytester: pytest.Pytester, tests: str) -> pytest.RunResult:
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile(COUNT + tests)
    return pytester.runpytest_subprocess("-p", "no:cacheprovider", timeout=PATIENCE)


def test_servers_run_for_one_test_each_and_end_with_it(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        """
def test_serve(serve, ipc):
    server = serve(count, 0)
    assert server.connect().ask(Message.text("ping")) == Success(Message.text("pong"))
    assert [event.message for event in server.events if isinstance(event, Folded)] == [Message.text("ping")]
    other = serve(count, 40, Name("other"))
    assert ipc.processes() == Success(frozenset({server.name, other.name}))
    assert other.stop() == Success(40)
    assert other.stop() == Success(40)
    assert ipc.processes() == Success(frozenset({server.name}))

def test_of_its_own(serve, ipc):
    assert ipc.processes() == Success(frozenset())
    server = serve(count, 0)
    server.connect().send(Message.text("fail"))
    assert isinstance(server.stop(), Failure)  # asked about, so that it fails no test
""",
    )
    result.assert_outcomes(passed=2)


def test_a_stuck_handler_fails_the_test_and_shows_where_it_is(directory: Path) -> None:
    path = fifo(directory)
    with serving(IPC(directory), patience=2.0) as serve:
        server = serve(log, EMPTY)
        server.connect().ask(Message.text(f"block {path}"), 0.1)
        with pytest.raises(AssertionError, match=r"got no further within 2 s(.|\n)*read_bytes"):
            server.stop()
        path.write_bytes(b"")


def test_a_full_server_ends_and_its_own_observer_is_told(directory: Path) -> None:
    told = list[Event]()
    with serving(IPC(directory, limits=Limits(connections=1, drain=0.1), observe=told.append)) as serve:
        server = serve(log, EMPTY)
        process = server.connect()
        process.send(Message.text("quiet")).unwrap()
        assert server.stop() == Success(("quiet",))
    assert told == server.events
    assert [event.message for event in told if isinstance(event, Folded)] == [Message.text("quiet")]
    with pytest.raises(AssertionError, match="nobody listens under 'server'"):
        server.connect()


def test_the_report_of_a_failed_test_shows_its_servers_and_simulation(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        """
def test_failing(serve):
    serve(count, 0).connect().send(Message.text("fail"))

def test_taken(serve):
    serve(count, 0)
    serve(count, 0)

def test_simulated():
    simulate(count, 0, [Send("ann", Message.text("another"))])
    assert simulate(count, 0, [Send("ann", Message.text("ping"))]).carry == 2

def test_quiet():
    simulate(count, 0, [Send("ann", Message.text("not to be seen"))])
""",
    )
    result.assert_outcomes(passed=3, failed=1, errors=2)
    result.stdout.fnmatch_lines(
        [
            "*KeyError: 'on purpose'*",
            "*AssertionError: the handler failed with KeyError('on purpose') at *: fix the handler and start from that carry*",
            "*ipcfold server server*",
            "Connected(*",
            "*AssertionError: the name 'server' is held by process *",
            "*ipcfold simulation*",
            "*folds text/plain b'ping' of ann, responds text/plain b'pong': the carry is 1",
        ]
    )
    result.stdout.no_fnmatch_line("*not to be seen*")
    result.stdout.no_fnmatch_line("*b'another'*carry is*")


def test_async_tests_have_the_same_fixtures_with_the_plugin_of_anyio(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        """
import pytest
from ipcfold.events import Disconnected

pytestmark = pytest.mark.anyio

@pytest.fixture
def anyio_backend():
    return "asyncio"

async def later(message, continuation, counter):
    return count(message, continuation, counter)

async def test_serve(aio_serve, aio_ipc):
    async with aio_serve(later, 0) as server:
        async with await server.connect() as process:
            assert await process.ask(Message.text("ping")) == Success(Message.text("pong"))
        assert len(await server.until(Disconnected)) == 1
        assert await aio_ipc.processes() == Success(frozenset({server.name}))
        assert await server.stop() == Success(1)
        with pytest.raises(AssertionError, match="nobody listens"):
            await server.connect()
    async with aio_serve(count, 0):
        pass

async def test_failing(aio_serve):
    async with aio_serve(later, 0) as server:
        async with await server.connect() as process:
            await process.send(Message.text("fail"))

async def test_of_a_thread(serve, aio_ipc):
    server = serve(count, 0)
    async with (await aio_ipc.get(server.name)).unwrap() as process:
        assert await process.ask(Message.text("ping")) == Success(Message.text("pong"))
""",
    )
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines(["*AssertionError: the handler failed with KeyError('on purpose')*"])
