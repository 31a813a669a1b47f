"""The connection of nats-py to a broker, without some of its weaknesses."""

from __future__ import annotations

from typing import final

from nats.aio.client import Client

from nats import errors as raised


@final
class Connection(Client):
    """Closes the socket if the beginning failed, and sends nothing without the TLS that was asked for: nats-py would send the password."""

    _encrypts = False  # on each connection, whatever its address says

    def encrypt(self) -> None:
        """Use TLS on each connection."""
        self._encrypts = True

    async def close(self) -> None:
        """End it, and all its tasks."""
        if not self.is_connected:  # nothing can be sent any more, and nats-py would fail at that, and leave its tasks
            self._pending.clear()
            self._pending_data_size = 0
        await super().close()

    async def _process_connect_init(self) -> None:
        try:
            await super()._process_connect_init()
        except BaseException:
            assert self._transport is not None  # noqa: S101 - as nats-py says itself
            self._transport.close()  # type: ignore[no-untyped-call]  # nats-py has no types there, and leaves it to the garbage collector
            raise

    def _connect_command(self) -> bytes:
        wanted = self._encrypts or (self._current_server is not None and self._current_server.uri.scheme == "tls")
        if wanted and not self._server_info.get("tls_required", False):
            raise raised.SecureConnWantedError
        return super()._connect_command()
