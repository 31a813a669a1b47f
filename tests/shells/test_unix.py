"""The blocking shell keeps the contract."""

from tests.shells.contract import ClientContract, OwnershipContract, ServerContract, SpokenToContract
from tests.shells.pressure import BackpressureContract, HandlerContract, HostilityContract


class TestServer(ServerContract):
    pass


class TestOwnership(OwnershipContract):
    pass


class TestClient(ClientContract):
    pass


class TestSpokenTo(SpokenToContract):
    pass


class TestHostility(HostilityContract):
    pass


class TestBackpressure(BackpressureContract):
    pass


class TestHandler(HandlerContract):
    pass
