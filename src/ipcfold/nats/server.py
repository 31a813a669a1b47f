"""A server that has not started: it prepares the stream of its name, and then serves in the event loop."""

from __future__ import annotations

import asyncio
from time import monotonic
from typing import TYPE_CHECKING, Final, TypeVar, final

import attrs
from nats.js.api import RetentionPolicy, StorageType, StreamConfig, StreamInfo
from returns.result import Failure, Result, Success

from ipcfold.errors import LogFailed, LogForeign
from ipcfold.errors.brokers import BrokerRefused, BrokerUnreachable
from ipcfold.local.log import logger
from ipcfold.log import Snapshots
from ipcfold.nats.broker import Broker, UseError
from ipcfold.nats.brokers import Brokers
from ipcfold.nats.entries import VERSION
from ipcfold.nats.errors import ListenError
from ipcfold.nats.replica import Replica
from ipcfold.nats.serving import Serving
from ipcfold.nats.store import Store, unreadable
from ipcfold.nats.subjects import Subjects
from ipcfold.nats.telling import Telling
from ipcfold.peer import Name
from ipcfold.result import cases

if TYPE_CHECKING:
    from ipcfold.aio.functions import Functions, Handler, Leaving, Waking  # clients never need the shell over sockets

C = TypeVar("C")

_VERSION: Final = "ipcfold.version"
_PAUSE: Final = 0.2  # seconds between two attempts to find the stream


@final
@attrs.frozen
class Server:
    """A server that has not started. Calling it with the first carry and the handler, and awaiting that, serves until the server ends."""

    brokers: Brokers
    name: Name
    timeout: float | None
    signals: tuple[int, ...]
    adopts: bool = False

    def adopting(self) -> Server:
        """The same server, whose handler may answer what is in the stream in another way than it did, from now on.

        The stream says that, too. Other servers that run with the old handler end when they notice.
        """
        return attrs.evolve(self, adopts=True)

    async def __call__(
        self,
        carry: C,
        handler: Handler[C],
        left: Leaving[C] | None = None,
        woken: Waking[C] | None = None,
        *,
        snapshots: Snapshots[C] | None = None,
    ) -> Result[C, ListenError[C]]:
        """Fold the handler over every message of the stream; returns the carry so far, or the error.

        `carry` is the one at the beginning of the stream. All servers of a name must have the same, and the same functions. They are called
        on each of the servers, and must be pure. They may be `async def`.

        `snapshots`: how the leader keeps the carry in the stream, so that a server that starts folds only what came later.

        When the task is cancelled, the server ends in good order, as after a signal.
        """
        from ipcfold.aio.functions import Functions  # noqa: PLC0415 - see above
        from ipcfold.aio.signals import handled  # noqa: PLC0415 - as above

        functions, loop = Functions(handler, left, woken), asyncio.get_running_loop()
        carried, passes = carry, None
        beginning = loop.create_task(self._begun(carry, functions, snapshots, passes))
        serving: Serving[C] | None = None
        stopping = False

        def stop() -> None:
            nonlocal stopping
            stopping = True
            beginning.cancel()
            if serving is not None:
                serving.stop()

        with handled(loop, self.signals, stop):
            while True:
                try:
                    await asyncio.wait((beginning,))
                except asyncio.CancelledError:
                    stop()
                    await asyncio.wait((beginning,))
                if beginning.cancelled():
                    return Success(carried)
                match cases(beginning.result()):
                    case Failure(error):
                        return Failure(error)
                    case Success(begun):
                        serving = begun
                if stopping:  # it had begun just then
                    serving.stop()
                result = await serving.run()
                if result is not None:
                    return result
                carried, passes, serving = serving.carry, serving.passes, None
                beginning = loop.create_task(self._begun(carry, functions, snapshots, passes))
                if stopping:
                    beginning.cancel()

    async def _begun(
        self, carry: C, functions: Functions[C], snapshots: Snapshots[C] | None, passes: int | None
    ) -> Result[Serving[C], ListenError[C]]:
        """The server, with everything that it needs, if it can begin. `passes`: that of a server that begins again."""
        match cases(await Broker.open(self.brokers.address, self.brokers.limits.handshake)):
            case Failure(error):
                return Failure(error)
            case Success(broker):
                pass
        begun: Result[Serving[C], ListenError[C]] | None = None
        try:
            begun = await self._serving(broker, carry, functions, snapshots, passes)
            return begun
        finally:
            if not isinstance(begun, Success):
                await broker.close()

    async def _serving(
        self, broker: Broker, carry: C, functions: Functions[C], snapshots: Snapshots[C] | None, passes: int | None
    ) -> Result[Serving[C], ListenError[C]]:
        subjects, brokers = Subjects(self.name), self.brokers
        match cases(await _prepared(broker, subjects, brokers.replicas, brokers.patience)):
            case Failure(error):
                return Failure(error)
            case Success(info):
                state = info.state
        logger().info(stored(info, broker.place))
        telling = Telling(self.name, brokers.observe)
        replica = Replica(
            self.name,
            carry,
            functions,
            brokers.limits,
            passes=state.last_seq if passes is None else passes,
            adopts=self.adopts,
            report=telling.report,
            observed=brokers.observe is not None,
        )
        store = None if snapshots is None else Store(broker, subjects, snapshots, logger().warning)
        if store is None:
            unusable = unreadable(f"{subjects.stream} at {broker.place}", state.first_seq)
        else:
            unusable = await store.restore(replica, state.first_seq)
        if unusable is not None:
            return Failure(LogFailed(carry, unusable))
        serving = Serving(
            self.name,
            broker,
            replica,
            functions,
            timeout=self.timeout,
            drain=brokers.limits.drain,
            created=info.created,
            absent=brokers.absent,
            silent=brokers.silent,
            patience=brokers.patience,
            telling=telling,
            store=store,
        )
        return Success(serving)


async def _prepared(broker: Broker, subjects: Subjects, replicas: int, patience: float) -> Result[StreamInfo, UseError | LogForeign]:
    """The stream of this name, which is made if it is missing. It waits while the brokers elect a leader."""
    deadline = monotonic() + patience
    while True:
        found = await _stream(broker, subjects, replicas)
        match cases(found):
            case Failure(BrokerUnreachable()) if monotonic() < deadline and broker.ended is None:
                await asyncio.sleep(_PAUSE)
            case Failure(BrokerRefused(reason=reason)) if "temporarily unavailable" in reason and monotonic() < deadline:
                await asyncio.sleep(_PAUSE)
            case Success() | Failure():
                return found


async def _stream(broker: Broker, subjects: Subjects, replicas: int) -> Result[StreamInfo, UseError | LogForeign]:
    config = StreamConfig(
        name=subjects.stream,
        subjects=list(subjects.stored),
        retention=RetentionPolicy.LIMITS,
        storage=StorageType.FILE,
        num_replicas=replicas,
        allow_direct=True,
        metadata={_VERSION: str(VERSION)},
    )
    stream = broker.client.jetstream()
    for call in subjects.calls:
        broker.know(call)
    found = await broker.use("find the stream", stream.stream_info(subjects.stream))
    if isinstance(found, Failure) and "not found" in str(found.failure()):
        made = await broker.use("make the stream", stream.add_stream(config))
        found = made
        if isinstance(made, Failure):  # another server may have made it
            found = (await broker.use("find the stream", stream.stream_info(subjects.stream))).lash(lambda _: made)
    match cases(found):
        case Failure(error):
            return Failure(error)
        case Success(info):
            pass
    version = (info.config.metadata or {}).get(_VERSION)
    if version != str(VERSION):
        found_version = "another program's stream" if version is None else f"a stream of version {version}, and this is version {VERSION}"
        return Failure(LogForeign(f"the stream {subjects.stream} at {broker.place}", found_version))
    return Success(info)


def stored(info: StreamInfo, place: str) -> str:
    """What the stream gives, as a sentence for the operator."""
    copies = info.config.num_replicas or 1
    kept = "one broker keeps it" if copies == 1 else f"{copies} brokers keep it, and {copies // 2 + 1} of them must have an entry"
    return f"the stream {info.config.name} at {place}: {kept}; each writes it to disk at once only with sync_interval: always"
