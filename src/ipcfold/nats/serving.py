"""Runs a server: it folds the entries of the stream as they come, and leads if it is its turn."""

from __future__ import annotations

import asyncio
from inspect import isawaitable
from math import inf
from secrets import token_hex
from time import monotonic, time
from typing import TYPE_CHECKING, Any, Final, Generic, TypeAlias, TypeVar, final

from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from returns.result import Failure, Result, Success

from ipcfold.continuation import Continuation
from ipcfold.errors import HandlerFailed, LogFailed, LogUnusable
from ipcfold.errors.brokers import BrokerRefused, NotPermitted
from ipcfold.events import Ending, Stopping
from ipcfold.inputs import Left, Woken
from ipcfold.message import Message
from ipcfold.nats.broker import Broker, Unanswered
from ipcfold.nats.entries import Adopted, Check, Gone, Lead, OfServer, Over, Rang, decode_client, decode_server, encode
from ipcfold.nats.leading import Outbox, Presence
from ipcfold.nats.reader import Reader
from ipcfold.nats.replica import Replica
from ipcfold.nats.store import Store
from ipcfold.nats.subjects import Subjects
from ipcfold.nats.telling import Telling
from ipcfold.nats.trouble import Trouble
from ipcfold.peer import Name
from ipcfold.result import cases

if TYPE_CHECKING:
    from datetime import datetime  # only in a signature

    from ipcfold.aio.functions import Functions  # clients never need the shell over sockets

C = TypeVar("C")

Stopped: TypeAlias = HandlerFailed[C] | LogFailed[C] | NotPermitted | BrokerRefused
"""Why a server that has a broker ends, if not in good order."""

_TICK: Final = 0.1  # seconds between two looks at everything that tells nothing by itself
_BEAT: Final = 0.25  # seconds between two looks at the leader
_ANSWER: Final = 0.3  # seconds; the answer to a question that the leader had when it died never comes
_DEAF: Final = 3.0  # seconds; a leader that does not answer for so long is replaced
_CHECK: Final = 5.0  # seconds between two digests of all answers
_CLAIM: Final = 1.0  # seconds; after so long a server that has not become the leader tries again
_AHEAD: Final = 5.0  # seconds; so long the stream may have fewer entries than this server has folded, while brokers elect a leader
_OUTRUN: Final = "it has dropped entries that this server had not folded yet"
_LOST: Final = "brokers have lost entries that this server has folded"


@final
class Serving(Generic[C]):
    """A server that runs."""

    def __init__(
        self,
        name: Name,
        broker: Broker,
        replica: Replica[C],
        functions: Functions[C],
        *,
        timeout: float | None,
        drain: float,
        created: datetime | None,
        absent: float,
        silent: float,
        patience: float,
        telling: Telling,
        store: Store[C] | None = None,
    ) -> None:
        """`created`: when the stream was made. `patience`: so many seconds it goes on if the broker does not let it read."""
        self._name = name
        self._broker = broker
        self._subjects = Subjects(name)
        self._replica = replica
        self._functions = functions
        self._timeout = inf if timeout is None else timeout
        self._drain = drain
        self._patience = patience
        self._telling = telling
        self._store = store
        self._place = f"{Subjects(name).stream} at {broker.place}"
        self._checked = 0, 0.0  # the place of the last digest that this server wrote, and when
        self._rang = -1, 0.0  # the place of the last alarm when this server wrote that the next one rings, and when it did
        self._server = token_hex(11)
        self._reader = Reader(broker, self._subjects, replica.at)
        self._trouble = Trouble(broker, self._subjects, created)
        self._outbox = Outbox(broker, replica)
        self._presence = Presence(broker, replica, self._outbox, absent, silent)
        self._deadline = monotonic() + self._timeout
        self._reconnected = False
        self._stopping = False
        self._standby: Subscription | None = None
        self.caught_up = asyncio.Event()
        """Set when it has folded all there was."""

    @property
    def leading(self) -> bool:
        """Whether it leads."""
        return self._telling.leading

    def stop(self) -> None:
        """End in good order."""
        self._stopping = True
        self._reader.wake()

    @property
    def carry(self) -> C:
        """The carry so far."""
        return self._replica.carry

    @property
    def passes(self) -> int:
        """See `Replica`."""
        return self._replica.passes

    async def run(self) -> Result[C, Stopped[C]] | None:
        """Serve until the end, and end the connection to the broker.

        `None`: this server was so slow that it must begin again, with the newest snapshot.
        """
        self._broker.reconnected = self._again
        self._broker.over = self._reader.wake
        duties = [asyncio.get_running_loop().create_task(each) for each in (self._duty(), self._tick(), self._watch())]
        try:
            for subject in (self._subjects.find, self._subjects.beat(self._server)):
                await self._broker.subscribe(subject, self._found)
            await self._stand_by()
            return await self._served()
        except asyncio.CancelledError:
            self._stopping = True
            return await self._finished()
        finally:
            for duty in duties:
                duty.cancel()
            await asyncio.wait(duties)
            await self._reader.close()
            await self._broker.close()

    async def _found(self, msg: Msg) -> None:
        if msg.reply:
            await self._broker.publish(msg.reply, self._server.encode())

    async def _stand_by(self) -> None:
        """Tell the leader, if it asks, that another server is there."""
        self._standby = (await self._broker.subscribe(self._subjects.standby, self._found)).value_or(None)

    def _again(self) -> None:
        self._trouble.over()
        self._reconnected = True
        self._reader.broken = True
        self._reader.wake()

    async def _served(self) -> Result[C, Stopped[C]] | None:
        while self._replica.over is None and not self._stopping:
            failed = await self._step()
            if self._reader.outrun:
                if self._store is not None:
                    return None
                failed = self._failed(_OUTRUN, "start it again, with snapshots")
            if failed is not None:
                self._telling.report(Stopping(self._name, Ending.BROKEN))
                return Failure(failed)
            if monotonic() >= self._deadline:
                self._stopping, self._telling.ending = True, Ending.TIMED_OUT
        return await self._finished()

    async def _step(self) -> LogFailed[C] | NotPermitted | BrokerRefused | None:
        """Fold the next entry, if one comes in time."""
        if self._broker.ended is not None:
            return self._failed(str(self._broker.ended))
        if self._trouble.denied is not None:
            return self._failed(str(self._trouble.denied)) if self.leading else self._trouble.denied
        if self._broker.connected and (self._reader.broken or self._reader.silent):
            refused = await self._reader.start()
            if isinstance(refused, NotPermitted | BrokerRefused):
                if not self._reader.began:
                    return refused
                since = self._reader.refused  # meanwhile a leader would keep the others from reading, and reads nothing itself
                late = since is not None and monotonic() - since >= self._patience
                if isinstance(refused, NotPermitted) or "not found" in refused.reason or late:
                    return self._failed(str(refused))
            if refused is None:
                replaced = await self._trouble.replaced()
                if replaced is True:
                    return self._failed("the stream was removed, and made again", "start the server again: its fold begins anew")
                self._reader.broken = self._reader.broken or replaced is None
            if refused is not None:
                await asyncio.sleep(_TICK)  # for example while the brokers elect a leader
        ahead = self._reader.ahead
        if self._reader.replaced or (ahead is not None and monotonic() - ahead >= _AHEAD):
            return self._failed(_LOST, "start all servers again, which fold what it has")
        if self._reconnected and self.leading and self._broker.connected:  # what was sent last may be lost
            self._reconnected = False
            self._outbox.forget()
            await self._outbox.send()
        entry = await self._reader.read()
        if entry is not None:
            await self._fold(*entry)
        if self._reader.pending == 0 and not self._reader.broken:
            self._replica.caught_up()
            self.caught_up.set()
        return None

    def _failed(self, reason: str, advice: str = "check the broker") -> LogFailed[C]:
        return LogFailed(self._replica.carry, LogUnusable(self._place, reason, advice))

    async def _fold(self, at: int, now: float, subject: str, data: bytes) -> None:
        replica = self._replica
        session = self._subjects.session(subject)
        if session is not None:
            replica.take(at, now, decode_client(data), session)
        elif subject == self._subjects.lead:
            replica.take(at, now, decode_server(data))
            await self._lead()
        else:
            return  # a part of a snapshot
        while (asked := replica.ask()) is not None:
            await self._handle(*asked)
        if not self.leading:
            self._outbox.discard()
            return
        await self._outbox.send()
        if replica.failure is not None:
            await self._outbox.failed()

    async def _handle(self, what: Message | Left | Woken, given: Continuation[C]) -> None:
        since = monotonic()
        self._deadline = since + self._timeout if isinstance(what, Message) else self._deadline
        try:
            answer: Any = self._functions(what, given)  # Any: it may be awaitable, or something wrong
            if isawaitable(answer):
                answer = await answer
            self._replica.answered(answer, monotonic() - since)
        except asyncio.CancelledError:
            self._replica.interrupted()
            raise
        except KeyboardInterrupt:
            self._replica.interrupted()
        except BaseException as error:  # noqa: BLE001 - the handler may raise anything, and each exception is its failure
            self._replica.failed(error)

    async def _lead(self) -> None:
        """Notice whether this server leads now."""
        leads = self._replica.leader == self._server
        if leads == self.leading:
            return
        if not leads:
            self._telling.leading = False
            await self._stand_by()
            return
        self._telling.lead(session.peer for session in self._replica.sessions.open)
        if self._standby is not None:
            await self._broker.unsubscribe(self._standby)
        self._presence.forget()
        self._outbox.forget()

    async def _write(self, entry: OfServer) -> None:
        await self._broker.publish(self._subjects.lead, encode(entry))

    async def _tick(self) -> None:
        """Let the server look at everything that tells nothing by itself."""
        while True:
            await asyncio.sleep(_TICK)
            self._reader.wake()

    async def _duty(self) -> None:
        """Everything that does not come from the stream, and is in a hurry: alarms, digests, and who leads."""
        await self.caught_up.wait()
        claimed, deaf = -_CLAIM, monotonic()
        while True:
            replica = self._replica
            if self.leading:
                deaf = monotonic()
                if replica.alarm <= time():
                    await self._ring()
                if replica.at > self._checked[0] and monotonic() - self._checked[1] >= _CHECK:
                    await self._check()
                await asyncio.sleep(min(_TICK, max(0.001, replica.alarm - time())))
                continue
            if self._broker.connected:
                answer = Failure(Unanswered.NOBODY) if not replica.leader else await self._asked_leader()
                match cases(answer):
                    case Success():
                        deaf = monotonic()
                    case Failure(Unanswered.LATE) if monotonic() - deaf < _DEAF:
                        pass
                    case Failure(Unanswered()) if monotonic() - claimed >= _CLAIM and not self._stopping:
                        claimed = monotonic()
                        await self._trouble.write(Lead(self._server, replica.term), _CLAIM)
                    case Failure():
                        pass
            await asyncio.sleep(_BEAT)

    async def _ring(self) -> None:
        """Let the alarm ring, unless that is written and not folded yet. It may have got lost, or be too early for the stream."""
        replica, now = self._replica, monotonic()
        if replica.rang != self._rang[0] or now - self._rang[1] >= _TICK:
            self._rang = replica.rang, now
            await self._write(Rang(replica.term, replica.at))

    async def _watch(self) -> None:
        """What a leader does that may take long: look who is gone, and store snapshots."""
        replica = self._replica
        while True:
            await asyncio.sleep(_TICK)
            if not self.leading:
                continue
            gone = await self._presence.look()
            if gone and self.leading:
                await self._write(Gone(replica.term, gone))
            if self._store is not None and self.leading and self._store.due(replica.at):
                await self._store.write(replica)

    async def _check(self) -> None:
        """Tell all servers what this one has answered. One that has adopted another handler says so first."""
        replica = self._replica
        if replica.digests.adopts:
            await self._write(Adopted(replica.term))
        elif replica.digests.place is not None:
            at, digest = replica.digests.place
            self._checked = at + 1, monotonic()  # that entry itself is no progress
            await self._trouble.write(Check(replica.term, at, digest), _CLAIM)

    async def _asked_leader(self) -> Result[bytes, object]:
        return await self._broker.request(self._subjects.beat(self._replica.leader), b"", _ANSWER)

    async def _finished(self) -> Result[C, Stopped[C]]:
        """End in good order: hand over to another server, or tell all clients if there is none."""
        replica = self._replica
        if replica.over is None and self.leading and self._broker.connected:
            await self._farewell()
            if replica.over is None:  # another server goes on
                self._telling.report(Stopping(self._name, Ending.SIGNALLED))
        if self._store is not None and self.leading and self._broker.connected:
            await self._store.write(replica)
        if replica.digests.refused:
            differs = "this server answers in another way than the leader did: its handler is not pure, or was changed"
            advice = "start with the handler of the leader, or accept the new one from now on with listen(...).adopting()"
            return Failure(LogFailed(replica.carry, LogUnusable(self._place, differs, advice)))
        failure = replica.failure
        return Success(replica.carry) if failure is None else Failure(failure)

    async def _farewell(self) -> None:
        match cases(await self._broker.request(self._subjects.standby, b"", 1.0)):
            case Failure(Unanswered.NOBODY):
                pass
            case Success() | Failure():
                return
        await self._check()
        if not await self._trouble.write(Over(self._replica.term), _CLAIM):
            return
        deadline = monotonic() + self._drain + _CLAIM
        while self._replica.over is None and self.leading and monotonic() < deadline:
            if await self._step() is not None:
                return
