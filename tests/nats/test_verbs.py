"""The verbs of `ipcfold.pointfree` and `ipcfold.codec` are for the processes of every shell."""

from pathlib import Path
from typing import Any, Final, TypeAlias

from returns.result import Success

from ipcfold import IPC, Continuation, Message, Name, aio, pipeline
from ipcfold.codec import Codec, Undecodable, Unencodable, ask, send, wait
from ipcfold.nats import NATS
from ipcfold.nats import aio as loops
from ipcfold.pointfree import ask as ask_message
from ipcfold.pointfree import close as close_session
from ipcfold.pointfree import send as send_message
from ipcfold.pointfree import wait as wait_for_message
from tests.nats.broker import Broker
from tests.nats.support import run, serving
from tests.shells.support import NAME, PATIENCE, PING

NUMBERS: Final = Codec(int)
TEXTS: Final = Codec(str)
UNFIT: Any = "one"
THREE: Final = Message.of("application/json", "3").unwrap()

Carry: TypeAlias = "tuple[str, ...]"
EMPTY: Carry = ()


def echo(message: Message, continuation: Continuation[Carry], carry: Carry) -> Continuation[Carry]:
    return continuation.respond((*carry, message.content.decode()), message)


def test_the_verbs_work_over_nats_in_a_program_that_blocks(shared_broker: Broker, name: Name) -> None:
    nats = NATS(shared_broker.url)
    with nats.listen(name).start(EMPTY, echo), nats.wait(name, PATIENCE).unwrap() as process:
        begun = pipeline(Success(process))
        assert begun.flat_map(ask(NUMBERS, 1)).result == Success(1)
        assert begun.flat_map(send(NUMBERS, 2, 3)).flat_map(wait(NUMBERS)).result == Success(2)
        assert isinstance(begun.flat_map(ask(NUMBERS, UNFIT)).result.failure(), Unencodable)
        assert isinstance(begun.flat_map(send(NUMBERS, 1, UNFIT)).result.failure(), Unencodable)
        assert isinstance(begun.flat_map(ask(NUMBERS, 4, responses=TEXTS)).result.failure(), Undecodable)
        assert begun.flat_map(ask_message(PING)).result == Success(PING)
        assert begun.flat_map(send_message(PING)).flat_map(wait_for_message()).result == Success(THREE)
        assert begun.flat_map(close_session()).result == Success(None)


async def in_a_loop(process: aio.Process | loops.Process) -> None:
    begun: Any = aio.pipeline(Success(process))  # Any: tests/typesafety has the types
    assert await begun.flat_map(ask(NUMBERS, 1)) == Success(1)
    assert await begun.flat_map(send(NUMBERS, 2, 3)).flat_map(wait(NUMBERS)) == Success(2)
    assert isinstance((await begun.flat_map(ask(NUMBERS, UNFIT))).failure(), Unencodable)
    assert isinstance((await begun.flat_map(send(NUMBERS, 1, UNFIT))).failure(), Unencodable)
    assert isinstance((await begun.flat_map(ask(NUMBERS, 4, responses=TEXTS))).failure(), Undecodable)
    assert await begun.flat_map(ask_message(PING)) == Success(PING)
    assert await begun.flat_map(send_message(PING)).flat_map(wait_for_message()) == Success(THREE)
    assert await begun.flat_map(close_session()) == Success(None)


def test_the_verbs_work_over_nats_in_an_event_loop(shared_broker: Broker, name: Name) -> None:
    async def test() -> None:
        nats = loops.NATS(shared_broker.url)
        async with serving(nats, name, echo):
            await in_a_loop((await nats.get(name)).unwrap())

    run(test())


def test_the_verbs_work_over_sockets_in_an_event_loop(tmp_path: Path) -> None:
    async def test() -> None:
        await in_a_loop((await aio.IPC(tmp_path).wait(NAME, PATIENCE)).unwrap())

    with IPC(tmp_path).listen(NAME).start(EMPTY, echo):
        run(test())
