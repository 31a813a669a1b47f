"""Brokers that talk TLS only."""

import shutil
import ssl
import subprocess
from pathlib import Path

import pytest
from returns.result import Success

from ipcfold import Name
from ipcfold.nats import BrokerUnreachable
from ipcfold.nats.aio import NATS
from tests.nats.broker import broker
from tests.nats.support import log, run, serving
from tests.shells.handlers import EMPTY
from tests.shells.support import PATIENCE, PING, PONG


def test_a_session_over_tls_checks_the_broker(tmp_path: Path, name: Name) -> None:
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl is not installed")
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    made = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=broker", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run([openssl, *made, "-keyout", key, "-out", certificate], check=True, capture_output=True, timeout=PATIENCE)
    with broker(tmp_path, f'tls {{ cert_file: "{certificate}", key_file: "{key}" }}') as one:

        async def test() -> None:
            nats = NATS(one.url.replace("nats:", "tls:"), tls=ssl.create_default_context(cafile=str(certificate)))
            async with serving(nats, name) as server, (await nats.get(name)).unwrap() as process:
                assert await process.ask(PING) == Success(PONG)
                server.cancel()
                assert await server == Success(("ping",))
            strange = (await NATS(one.url, tls=ssl.create_default_context()).listen(name)(EMPTY, log)).failure()
            assert isinstance(strange, BrokerUnreachable)
            assert "certificate" in str(strange).lower()

        run(test())
