"""The blocking shell keeps the contract."""

from tests.shells.contract import OwnershipContract, ServerContract


class TestServer(ServerContract):
    pass


class TestOwnership(OwnershipContract):
    pass
