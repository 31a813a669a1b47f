"""`IPC` of the asyncio shell: it finds servers, connects to them, and listens."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar, final

import attrs
from returns.curry import partial
from returns.maybe import Nothing
from returns.pipeline import flow
from returns.result import Failure, Result, Success

from ipcfold.aio.client import Process
from ipcfold.aio.connecting import connected
from ipcfold.aio.probing import found
from ipcfold.aio.server import Server
from ipcfold.aio.waiting import readable
from ipcfold.core.verbs import Attempts, Pause, Standing
from ipcfold.errors import ConnectError, DirectoryUnusable, LogError, NoServer, PathTooLong
from ipcfold.limits import Limits
from ipcfold.local.clock import SYSTEM, Clock
from ipcfold.local.credentials import same_user
from ipcfold.local.directory import located, socket_path
from ipcfold.local.names import Search, listener, listening
from ipcfold.local.signals import catchable
from ipcfold.local.watch import Watch, standing_at
from ipcfold.peer import Name, Trust
from ipcfold.result import cases, flat_map

if TYPE_CHECKING:
    from ipcfold.aio.steady import Steady
    from ipcfold.events import Observer  # a tenth of the time to import this library, and few observe
    from ipcfold.log.journal import Log  # few servers have a log

T = TypeVar("T")


def _path(directory: str | os.PathLike[str] | None) -> Path | None:
    return None if directory is None else Path(directory)


@final
@attrs.frozen
class IPC:
    """Finds servers, connects to them, and listens, in an event loop of asyncio. Creating an `IPC` does no I/O, and needs no loop.

    The arguments are those of `ipcfold.IPC`, and `clock`: what servers and connections go by. A test may give an `ipcfold.testing.Clock`.
    """

    directory: Path | None = attrs.field(default=None, converter=_path)
    heartbeat: float = attrs.field(default=1.0, kw_only=True, validator=attrs.validators.gt(0))
    limits: Limits = attrs.field(factory=Limits, kw_only=True, validator=attrs.validators.instance_of(Limits))
    trust: Trust = attrs.field(default=same_user, kw_only=True, validator=attrs.validators.is_callable())
    observe: Observer | None = attrs.field(default=None, kw_only=True, validator=attrs.validators.optional(attrs.validators.is_callable()))
    clock: Clock = attrs.field(default=SYSTEM, kw_only=True)

    async def processes(self) -> Result[frozenset[Name], DirectoryUnusable]:
        """The names under which a server listens now."""
        match cases(located(self.directory, self.trust)):
            case Success(directory):
                return (await self._found(listening(directory))).map(frozenset)
            case Failure(unusable):
                return Failure(unusable)

    async def exists(self, name: Name) -> Result[bool, DirectoryUnusable]:
        """Whether a server listens under the name now."""
        match cases(located(self.directory, self.trust)):
            case Success(directory):
                return (await self._found(listener(name, directory))).map(lambda peer: peer is not Nothing)
            case Failure(unusable):
                return Failure(unusable)

    async def get(self, name: Name) -> Result[Process, ConnectError]:
        """Connect to the server of that name; fails at once if no server listens."""
        return await self._connected(name, self.limits.handshake)

    async def wait(self, name: Name, timeout: float | None = None) -> Result[Process, ConnectError]:
        """Connect to the server of that name as soon as it listens; `timeout` in seconds, `None` for ever.

        If the server is full or ends during the attempt, `wait` tries again.
        """
        attempts = Attempts(name, timeout, self.limits.handshake, self.clock.monotonic())
        watch = Watch()
        try:
            while True:
                # Looked at before the attempt: a server that appears between the two is then a change, which ends the rest.
                standing = self._path(name).map(standing_at).value_or(None)
                attempt = await self._connected(name, attempts.timeout(self.clock.monotonic()))
                match cases(attempt):
                    case Success():
                        return attempt
                    case Failure(error):
                        match cases(attempts.failed(error, standing, self.clock.monotonic())):
                            case Success(pause):
                                await _rest(pause, error, standing, watch, self.clock)
                            case Failure(final):
                                return Failure(final)
        finally:
            watch.leave()

    def listen(
        self,
        name: Name,
        timeout: float | None = None,
        *,
        signals: Iterable[int] = (),
        log: Log | Result[Log, LogError] | None = None,
        standby: bool = False,
    ) -> Server:
        """A server for that name, not started yet.

        With `timeout` the server stops, successfully, after that many seconds without a message. In the main thread the `signals` end it in
        good order; by default there are none, because they belong to the program around the server. Meanwhile they replace what the loop
        does with them. A signal that is ignored stays ignored. A number that no handler can be set for raises a `ValueError`.

        `log` and `standby` are as for `ipcfold.IPC.listen`. A commit runs in the loop, which waits for the disk meanwhile.
        """
        return Server(self, name, timeout, catchable(signals), log, standby, self.clock)

    def steady(self, name: Name, timeout: float | None = None) -> Steady:
        """A client that connects again when its connection ends, and sends again what was not acknowledged.

        `timeout`: how many seconds each verb waits for a server that listens, `None` for ever.
        """
        from ipcfold.aio.steady import Steady  # noqa: PLC0415 - few clients are

        return Steady(self.wait, name, timeout, self.clock)

    def _path(self, name: Name) -> Result[Path, DirectoryUnusable | PathTooLong]:
        return flow(located(self.directory, self.trust), flat_map(partial(socket_path, name)))

    async def _connected(self, name: Name, timeout: float) -> Result[Process, ConnectError]:
        match cases(self._path(name)):
            case Success(path):
                return await connected(
                    name, path, heartbeat=self.heartbeat, limits=self.limits, trust=self.trust, timeout=timeout, clock=self.clock
                )
            case Failure(error):
                return Failure(error)

    async def _found(self, search: Search[T]) -> T:
        return await found(search, heartbeat=self.heartbeat, limits=self.limits, trust=self.trust)


async def _rest(pause: Pause, error: ConnectError, standing: Standing | None, watch: Watch, clock: Clock) -> None:
    """Wait until another attempt makes sense, after this error."""
    if not (pause.watch and isinstance(error, NoServer)):
        await readable(pause.until, clock=clock)
        return
    if watch.begins(error.path):
        return
    while (left := pause.until - clock.monotonic()) > 0:
        await asyncio.sleep(min(watch.pause, left))
        if watch.descriptor is not None:
            if not await readable(pause.until, watch.descriptor, clock=clock):
                return
            watch.read()
        if watch.differs(error.path, standing):
            return
