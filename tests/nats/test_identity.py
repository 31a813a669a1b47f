"""What keeps a program from connecting to a broker: its address, its credentials, or TLS."""

import asyncio
import ssl
from pathlib import Path
from typing import Any

import pytest
from returns.result import Failure, Success

from ipcfold import Name
from ipcfold.nats import BrokerUnreachable, NotAuthorized, Unacknowledged
from ipcfold.nats.aio import NATS
from tests.nats.broker import broker
from tests.nats.support import log, run, serving
from tests.shells.handlers import EMPTY
from tests.shells.support import PING, PONG

SEED = "SUAOVY5EC6D2O2LLL36T3QEMVEQEZGKGIMUMUL4G3VVJ2Q7B3AXWZLOASE"  # of no broker


@pytest.mark.parametrize("server", ["http://127.0.0.1:4222", "nats://127.0.0.1:99999", "nats://ann:secret@127.0.0.1:port", "nats://"])
def test_an_address_that_no_broker_can_have_is_an_error_at_once(server: str, name: Name) -> None:
    for error in (run(NATS(server).wait(name)).failure(), run(NATS(server).listen(name)(EMPTY, log)).failure()):
        assert isinstance(error, BrokerUnreachable)
        assert "is no address of a broker" in str(error)
        assert "secret" not in str(error)


@pytest.mark.parametrize("content", [None, "", "junk\n", SEED[:-1], f"SA{SEED[2:]}", "-----BEGIN NATS USER JWT-----\nabc\n"])
def test_a_file_without_credentials_is_an_error_at_once(tmp_path: Path, content: str | None, name: Name) -> None:
    file = tmp_path if content is None else tmp_path / "file"
    if content is not None:
        file.write_text(content)
    for nats in (NATS("nats://127.0.0.1:1", credentials=file), NATS("nats://127.0.0.1:1", nkey=file)):
        error = run(nats.wait(name)).failure()
        assert isinstance(error, NotAuthorized)
        assert str(file) in str(error)


def test_an_nkey_identifies_a_program(tmp_path: Path, name: Name) -> None:
    (tmp_path / "seed").write_text(SEED)
    with broker(tmp_path, 'authorization: { users: [ { nkey: "UBVNRGLHF723CWERYM4PIHZWFINYQWM524ABX3OVTJUSKWSXHJQ64CVI" } ] }') as one:

        async def test() -> None:
            nats = NATS(one.url, nkey=tmp_path / "seed")
            async with serving(nats, name), (await nats.get(name)).unwrap() as process:
                assert await process.ask(PING) == Success(PONG)
            assert isinstance((await NATS(one.url).get(name)).failure(), NotAuthorized)

        run(test())


@pytest.mark.parametrize("scheme", ["tls", "nats"])
def test_nothing_is_sent_over_a_connection_without_the_tls_that_was_asked_for(scheme: str, name: Name) -> None:
    received = list[bytes]()

    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b'INFO {"server_id":"a","version":"2.15.1","proto":1,"headers":true,"max_payload":1048576}\r\n')
        received.append(await reader.read())
        writer.close()

    async def test() -> None:
        async with await asyncio.start_server(greet, "127.0.0.1", 0) as listening:
            port = listening.sockets[0].getsockname()[1]
            tls = ssl.create_default_context() if scheme == "nats" else None
            error = (await NATS(f"{scheme}://ann:secret@127.0.0.1:{port}", tls=tls).get(name)).failure()
            assert isinstance(error, BrokerUnreachable)
            assert "does not use TLS" in str(error)

    run(test())
    assert received == [b""]


def test_a_session_whose_credentials_a_broker_refuses_later_is_told_so(tmp_path: Path, name: Name) -> None:
    def user(password: str) -> str:
        return f"authorization: {{ user: ann, password: {password} }}"

    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()

    async def test() -> Any:
        nats = NATS(one.url, user="ann", password="one", patience=0.1)  # noqa: S106 - of a test
        async with serving(nats, name), (await nats.get(name)).unwrap() as process:
            one.kill()
            with broker(second, user("two"), one.port):
                return await process.send(PING)

    with broker(first, user("one")) as one:
        refused = run(test())
    assert refused == Failure(Unacknowledged(0, 1, NotAuthorized(one.url, "Authorization Violation")))
