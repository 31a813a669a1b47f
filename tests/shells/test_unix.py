"""The blocking shell keeps the contract."""

from tests.shells.contract import ClientContract, OwnershipContract, ServerContract, SpokenToContract


class TestServer(ServerContract):
    pass


class TestOwnership(OwnershipContract):
    pass


class TestClient(ClientContract):
    pass


class TestSpokenTo(SpokenToContract):
    pass
