"""A session with the servers of a name, for the tasks of an event loop. Each verb returns a `Result`."""

from __future__ import annotations

import asyncio
import os
from collections import deque
from secrets import token_hex
from time import monotonic
from types import TracebackType
from typing import Final, NoReturn, TypeAlias, final

from nats.aio.msg import Msg
from returns.maybe import Maybe
from returns.result import Failure, Result, Success

from ipcfold.core.wire import Encoder, RefusedError
from ipcfold.errors import ConnectionClosed, ConnectionLost, InUse, ProcessClosed, TimedOut, UsedAfterFork
from ipcfold.errors.brokers import BrokerRefused, EndedAtBroker, NobodyListens, NotPermitted, Unacknowledged
from ipcfold.limits import Limits
from ipcfold.message import Message
from ipcfold.nats.broker import Broker, Unanswered
from ipcfold.nats.caller import Answered, Arrived, Caller, Event, Folded, Over, Resend
from ipcfold.nats.entries import Hello, encode
from ipcfold.nats.errors import AskError, CloseError, ConnectError, ReceiveError, SendError
from ipcfold.nats.items import State, decode
from ipcfold.nats.subjects import Subjects
from ipcfold.peer import NOBODY, Name, Peer
from ipcfold.result import cases

_TICK: Final = 0.25  # seconds between two looks at whether all goes well
_FIRST: Final = 0.5  # seconds without progress after which the client asks how far its messages are folded
_LONGEST: Final = 8.0  # seconds; the same, when it has asked often
_SILENCE: Final = 3.0  # seconds without anything from a leader after which the client looks whether there is a server

_Asked: TypeAlias = "asyncio.Future[Message | None]"


@final
class Process:
    """A session with the servers of a name: send messages, wait for responses, close.

    The session outlives each of the servers. Any number of tasks of one event loop may use it at once, and each gets its own answers. In
    another loop or thread, and in a forked process, its verbs return an error. With `async with`, it closes the session at the end.

    Each verb may be cancelled at any time. The message of a cancelled verb may still be folded. Its answer is dropped.
    """

    def __init__(self, name: Name, broker: Broker, inbox: str, limits: Limits, patience: float) -> None:
        """`NATS.get` and `NATS.wait` make these."""
        self._name = name
        self._broker = broker
        self._subjects = Subjects(name)
        self._session = token_hex(11)
        self._inbox = f"{inbox}.{self._session}"
        self._subject = self._subjects.of_session(self._session)
        self._limits = limits
        self._patience = patience
        self._encoder = Encoder(limits)
        self._caller = Caller(name, limits)
        self._loop = asyncio.get_running_loop()
        self._owner = os.getpid()
        self._closing = False
        self.dropped = False
        """Whether `close` has ended the connection to the broker."""
        self._asks = dict[int, _Asked]()
        self._sends = deque[tuple[int, asyncio.Future[None]]]()  # by numbers
        self._waits = deque[asyncio.Future[None]]()
        self._greeted: asyncio.Future[None] = self._loop.create_future()
        self._confirmed: asyncio.Future[None] = self._loop.create_future()
        self._pumping = self._more = self._suspicious = False
        self._poke = asyncio.Event()
        self._heard = monotonic()  # when anything came last
        self._reconnected = False
        self._tending: asyncio.Task[None] | None = None
        broker.know(self._subject)
        broker.reconnected, broker.over, broker.denied = self._again, self._over, self._denied

    @property
    def name(self) -> Name:
        """The name of the servers."""
        return self._name

    @property
    def peer(self) -> Peer:
        """Nobody: which server answers may change at any time, and nobody vouches for it."""
        return NOBODY

    @property
    def epoch(self) -> Maybe[int]:
        """When the fold of the servers began, in nanoseconds since the epoch. If it is another one, the stream is another one, too."""
        return Maybe.from_optional(self._caller.epoch or None)

    @property
    def closed(self) -> bool:
        """Whether this end knows that the session is over."""
        return self._closing or self._caller.ended is not None

    async def greet(self, timeout: float) -> Result[None, ConnectError]:
        """Begin the session. `NATS` calls this."""
        subscribed = await self._broker.subscribe(self._inbox, self._take)
        if isinstance(subscribed, Failure):
            return Failure(self._broker.unreachable)
        deadline = monotonic() + timeout
        pause = _FIRST
        while (left := deadline - monotonic()) > 0:
            await self._broker.publish(self._subject, encode(Hello(self._inbox)))
            await asyncio.wait((self._greeted,), timeout=min(pause, left))
            pause *= 2
            ended = self._caller.ended
            if isinstance(ended, NotPermitted | BrokerRefused):
                return Failure(ended)
            if ended is not None:
                return Failure(self._broker.unreachable)
            if self._greeted.done():
                self._tending = self._loop.create_task(self._tend())
                return Success(None)
        return Failure(TimedOut(self._name, timeout, "the greeting of"))

    async def send(self, *messages: Message) -> Result[Process, SendError]:
        """Send the messages at once. Success means that every one of them is stored in the stream, and folded.

        Responses that arrive meanwhile are kept for `wait`.
        """
        unusable = self._unusable()
        if unusable is not None:
            return Failure(unusable)
        if self._closing:
            return Failure(ProcessClosed(self._name))
        try:
            frames = [b"".join(self._encoder.encode((message,))) for message in messages]
        except RefusedError as error:
            return Failure(error.refusal)
        caller = self._caller
        before = caller.sent
        if caller.ended is None and frames:
            last = caller.send(frames)
            waiting: asyncio.Future[None] = self._loop.create_future()
            self._sends.append((last, waiting))
            await self._pump()
            await waiting
        return self._sent(before, len(messages)).map(lambda _: self)

    def _sent(self, before: int, count: int) -> Result[None, ProcessClosed | Unacknowledged]:
        acknowledged = min(max(self._caller.acknowledged - before, 0), count)
        ended = self._caller.ended
        if acknowledged == count and (count or ended is None):
            return Success(None)
        if self._closing:
            return Failure(ProcessClosed(self._name))
        return Failure(Unacknowledged(acknowledged, count, ended or ConnectionLost(self._name)))

    async def wait(self, timeout: float | None = None) -> Result[Message, ReceiveError]:
        """The next response or told message, in the order they were sent; `timeout` in seconds, `None` for as long as it takes."""
        unusable = self._unusable()
        if unusable is not None:
            return Failure(unusable)
        deadline = None if timeout is None else monotonic() + timeout
        caller = self._caller
        while not self._closing:
            message = caller.take() if not self._waits else None
            if message is not None:
                return Success(message)
            if caller.ended is not None:
                return Failure(caller.ended)
            waiting: asyncio.Future[None] = self._loop.create_future()
            self._waits.append(waiting)
            try:
                await asyncio.wait((waiting,), timeout=None if deadline is None else max(0.0, deadline - monotonic()))
            finally:
                if waiting in self._waits:
                    self._waits.remove(waiting)
                elif self._caller.unread:  # this task may be cancelled, and what it was woken for is for the next one
                    self._loop.call_soon(self._wake)
            message = caller.take()
            if message is not None:
                return Success(message)
            if timeout is not None and caller.ended is None and deadline is not None and monotonic() >= deadline:
                return Failure(TimedOut(self._name, timeout, "a response of"))
        return Failure(ProcessClosed(self._name))

    async def ask(self, message: Message, timeout: float | None = None) -> Result[Message, AskError]:
        """Send the message and wait for the first response to it, both within `timeout` seconds. The server may answer later.

        Responses to other messages, and what the server tells, stay for `wait`. A response that comes after the timeout is dropped.
        """
        unusable = self._unusable()
        if unusable is not None:
            return Failure(unusable)
        if self._closing:
            return Failure(ProcessClosed(self._name))
        deadline = None if timeout is None else monotonic() + timeout
        try:
            frames = [b"".join(self._encoder.encode((message,)))]
        except RefusedError as error:
            return Failure(error.refusal)
        caller = self._caller
        number = caller.sent + 1
        if caller.ended is None:
            caller.asking.add(caller.send(frames))
            waiting: _Asked = self._loop.create_future()
            self._asks[number] = waiting
            try:
                await self._pump()
                if deadline is None:
                    await waiting
                else:
                    await asyncio.wait((waiting,), timeout=max(0.0, deadline - monotonic()))
            finally:
                self._asks.pop(number, None)
                caller.forget(number)
            response = waiting.result() if waiting.done() else None
            if response is not None:
                return Success(response)
        if self._closing:
            return Failure(ProcessClosed(self._name))
        if caller.acknowledged < number:
            ended: EndedAtBroker | None = caller.ended
            return Failure(TimedOut(self._name, timeout or 0.0, "the response of") if ended is None else Unacknowledged(0, 1, ended))
        return Failure(caller.ended or TimedOut(self._name, timeout or 0.0, "the response of", 1))

    async def close(self) -> Result[None, CloseError]:
        """End the session, and wait for the confirmation for at most `limits.drain` seconds. A second call does nothing."""
        unusable = self._unusable()
        if unusable is not None:
            return Failure(unusable)
        if self._closing:
            return Success(None)
        ended = self._caller.ended
        self._closing = True
        self._wake_all()
        try:
            if ended is None:
                await self._broker.publish(self._subject, self._caller.bye())
                await asyncio.wait((self._confirmed,), timeout=self._limits.drain)
                if self._caller.ended is None:
                    return Failure(TimedOut(self._name, self._limits.drain, "the confirmation to close of"))
            ended = ended or self._caller.ended
        finally:
            await self._drop()
        return Success(None) if ended is None or isinstance(ended, ConnectionClosed) else Failure(ended)

    async def _drop(self) -> None:
        self.dropped = True
        if self._tending is not None:
            self._tending.cancel()
        await self._broker.close()

    async def __aenter__(self) -> Process:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"<Process {self._name} at {self._broker.place}{' closed' if self.closed else ''}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            f"the session with {str(self._name)!r} belongs to this process and cannot be pickled: connect again in the other one"
        )

    def _unusable(self) -> UsedAfterFork | InUse | None:
        if os.getpid() != self._owner:
            return UsedAfterFork(self._name, self._owner)
        return None if asyncio.get_running_loop() is self._loop else InUse(self._name)

    async def _pump(self) -> None:
        """Publish what is to be published, in its order."""
        self._more = True
        if self._pumping:
            return
        self._pumping = True
        try:
            while self._more:
                self._more = False
                for payload in self._caller.outgoing():
                    if not self._suspicious:
                        await self._broker.publish(self._subject, payload)
                        continue
                    self._suspicious = False
                    refused = await self._stored(payload)
                    if refused is not None:
                        self._dispatch(self._caller.end(refused))
                        return
        finally:
            self._pumping = False

    async def _take(self, msg: Msg) -> None:
        """Take what came to the inbox."""
        self._heard = monotonic()
        if msg.reply:
            await self._broker.publish(msg.reply, b"")
        given = decode(msg.data)
        if given is None:
            return
        resend = self._dispatch(self._caller.receive(given))
        if self._caller.peer is not None and not self._greeted.done():
            self._greeted.set_result(None)
        if resend and isinstance(given, State):  # the stream does not have what was sent: perhaps it says why
            self._suspicious = True
            self._poke.set()
        elif resend:
            await self._pump()
        if self._caller.gap or self._caller.confirms:
            self._poke.set()

    def _dispatch(self, events: list[Event]) -> bool:
        """Wake the tasks that these events are for. Returns whether there is something to publish."""
        resend = False
        for event in events:
            match event:
                case Answered(number, message):
                    asked = self._asks.pop(number, None)
                    if asked is not None and not asked.done():
                        asked.set_result(message)
                case Folded(number):
                    while self._sends and self._sends[0][0] <= number:
                        waiting = self._sends.popleft()[1]
                        if not waiting.done():
                            waiting.set_result(None)
                case Arrived():
                    self._wake()
                case Resend():
                    resend = True
                case Over():
                    self._wake_all()
        return resend

    def _wake(self) -> None:
        while self._waits:
            waiting = self._waits.popleft()
            if not waiting.done():
                waiting.set_result(None)
                return

    def _wake_all(self) -> None:
        for each in (*(waiting for _, waiting in self._sends), *self._waits):
            if not each.done():
                each.set_result(None)
        self._sends.clear()
        self._waits.clear()
        for asked in self._asks.values():
            if not asked.done():
                asked.set_result(None)
        if self._caller.ended is not None:
            for future in (self._greeted, self._confirmed):
                if not future.done():
                    future.set_result(None)
        self._poke.set()

    def _again(self) -> None:
        self._reconnected = True
        self._poke.set()

    def _over(self) -> None:
        self._dispatch(self._caller.end(self._broker.unreachable))

    def _denied(self, denied: NotPermitted) -> None:
        if denied.subject in (self._subject, self._inbox):
            self._dispatch(self._caller.end(denied))

    async def _tend(self) -> None:
        """Look after the session: ask again for what may be lost, and notice when nobody is there any more."""
        caller = self._caller
        pause, since, seen = _FIRST, monotonic(), (0, 0)
        alone: float | None = None  # since when nobody is known to be there
        while caller.ended is None and not self._closing:
            try:
                async with asyncio.timeout(_TICK):
                    await self._poke.wait()
            except TimeoutError:
                pass
            self._poke.clear()
            if self._suspicious:
                await self._pump()
            now = monotonic()
            progress = caller.acknowledged, caller.got
            if progress != seen or caller.idle:
                pause, since, seen = _FIRST, now, progress
            if self._reconnected or caller.gap or caller.confirms:
                self._reconnected = False
                await self._broker.publish(self._subject, caller.sync())
            elif now - since >= pause:
                pause, since = min(2 * pause, _LONGEST), now
                refused = await self._stored(caller.sync())
                if refused is not None:
                    self._dispatch(caller.end(refused))
            if self._broker.connected and now - self._heard < _SILENCE and now - since < _SILENCE:
                alone = None
                continue
            reason = await self._missing()
            if reason is None:
                alone = None
                continue
            alone = alone or now
            if monotonic() - alone >= self._patience:
                self._dispatch(caller.end(reason))

    async def _stored(self, payload: bytes) -> BrokerRefused | NotPermitted | None:
        """Publish this to the stream, and wait until it says that it has it. Returns why it will never have it."""
        match cases(await self._broker.request(self._subject, payload, 2.0)):
            case Success(data):
                return BrokerRefused("store a message", data.decode(errors="replace")) if b'"error"' in data else None
            case Failure(NotPermitted() as denied):
                return denied
            case Failure():
                return None  # whether somebody is there is looked at elsewhere

    async def _missing(self) -> EndedAtBroker | None:
        """Why nobody can answer now, if nobody can."""
        if not self._broker.connected:
            return self._broker.unreachable
        match cases(await self._broker.request(self._subjects.find, b"", 2.0)):
            case Success():
                self._heard = monotonic()
                return None
            case Failure(Unanswered.NOBODY):
                return ConnectionLost(self._name)
            case Failure():
                return None  # a server is there, and busy


async def connected(
    broker: Broker, name: Name, inbox: str, limits: Limits, patience: float, timeout: float
) -> Result[Process, ConnectError]:
    """A session with the servers of that name, over this connection."""
    match cases(await broker.request(Subjects(name).find, b"", timeout)):
        case Failure(Unanswered.NOBODY):
            return Failure(NobodyListens(name, broker.place))
        case Failure(Unanswered.LATE):
            return Failure(TimedOut(name, timeout, "an answer of"))
        case Failure(NotPermitted() as denied):
            return Failure(denied)
        case Failure():
            return Failure(broker.unreachable)
        case Success():
            pass
    process = Process(name, broker, inbox, limits, patience)
    return (await process.greet(timeout)).map(lambda _: process)
