"""The blocking shell keeps the contract."""

from tests.shells.contract import ClientContract, OwnershipContract, ServerContract, SpokenToContract
from tests.shells.pressure import BackpressureContract, HandlerContract, HostilityContract


class TestServer(ServerContract): ...


class TestOwnership(OwnershipContract): ...


class TestClient(ClientContract): ...


class TestSpokenTo(SpokenToContract): ...


class TestHostility(HostilityContract): ...


class TestBackpressure(BackpressureContract): ...


class TestHandler(HandlerContract): ...
