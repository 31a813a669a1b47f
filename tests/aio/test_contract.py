"""The asyncio shell keeps the contract of all shells, in each loop, with handlers of both kinds."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest

from ipcfold import Process
from tests.shells.bridge import Bridge
from tests.shells.contract import ClientContract, OwnershipContract, ServerContract, SpokenToContract
from tests.shells.pressure import BackpressureContract, HandlerContract, HostilityContract
from tests.shells.support import running
from tests.shells.wire import Wire

ASYNCIO, UVLOOP = Bridge("asyncio"), Bridge("uvloop")


@pytest.fixture(autouse=True)
def closed_loops() -> Iterator[None]:
    """Every test closes its loops."""
    yield
    ASYNCIO.runners.close()
    UVLOOP.runners.close()


class OfAsyncio:
    program = "tests.shells.serve_aio asyncio plain"
    ipc: ClassVar[Any] = ASYNCIO


class OfUvloop:
    program = "tests.shells.serve_aio uvloop plain"
    ipc: ClassVar[Any] = UVLOOP


class Plain(ServerContract):
    def test_a_second_signal_interrupts_a_stuck_handler(self, directory: Path, gate: Path) -> None:  # type: ignore[override]
        """A signal comes through the loop, so it interrupts only a handler that waits in the loop."""
        with running(directory, program=self.program.replace("plain", "async")) as server, Wire.talking(directory) as client:
            super().test_a_second_signal_interrupts_a_stuck_handler(server, client, gate)


class TestServerOfAsyncio(OfAsyncio, Plain): ...


class TestServerOfUvloop(OfUvloop, Plain): ...


class TestAsyncServerOfAsyncio(ServerContract):
    program = "tests.shells.serve_aio asyncio async"


class TestAsyncServerOfUvloop(ServerContract):
    program = "tests.shells.serve_aio uvloop async"


class TestOwnershipOfAsyncio(OfAsyncio, OwnershipContract): ...


class TestOwnershipOfUvloop(OfUvloop, OwnershipContract): ...


class TestClientOfAsyncio(OfAsyncio, ClientContract): ...


class TestClientOfUvloop(OfUvloop, ClientContract):
    @pytest.mark.skip(reason="uvloop keeps what a signal handler raises, and gives it to the exception handler of the loop")
    def test_an_exception_from_a_signal_handler_leaves_the_connection_usable(self, process: Process) -> None: ...


class TestSpokenToOfAsyncio(OfAsyncio, SpokenToContract): ...


class TestSpokenToOfUvloop(OfUvloop, SpokenToContract): ...


class TestHostilityOfAsyncio(OfAsyncio, HostilityContract): ...


class TestHostilityOfUvloop(OfUvloop, HostilityContract): ...


class TestBackpressureOfAsyncio(OfAsyncio, BackpressureContract): ...


class TestHandlerOfAsyncio(OfAsyncio, HandlerContract): ...


class TestHandlerOfUvloop(OfUvloop, HandlerContract): ...
