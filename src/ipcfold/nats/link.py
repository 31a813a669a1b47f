"""Moves what a session wants: from the client to the stream, and from the inbox to the tasks that wait for it.

It looks after the session, too. It asks again for what may be lost, and notices when nobody is there any more.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from secrets import token_hex
from time import monotonic
from typing import Final, TypeAlias, final

from nats.aio.msg import Msg
from returns.result import Failure, Result, Success

from ipcfold.errors import ConnectionLost, TimedOut
from ipcfold.errors.brokers import BrokerRefused, EndedAtBroker, NotPermitted
from ipcfold.limits import Limits
from ipcfold.message import Message
from ipcfold.nats.arrivals import Answered, Arrived, Event, Folded, Over, Resend
from ipcfold.nats.broker import Broker, Unanswered
from ipcfold.nats.caller import Caller
from ipcfold.nats.entries import Hello, encode
from ipcfold.nats.errors import ConnectError
from ipcfold.nats.items import State, decode
from ipcfold.nats.subjects import Subjects
from ipcfold.peer import Name
from ipcfold.result import cases

_TICK: Final = 0.25  # seconds between two looks at whether all goes well
_FIRST: Final = 0.5  # seconds without progress after which the client asks how far its messages are folded
_LONGEST: Final = 8.0  # seconds; the same, when it has asked often
_RARELY: Final = 60.0  # seconds; a client whose server is silent for long, because its handler is busy, asks no more often for that reason
_SILENCE: Final = 3.0  # seconds without anything from a leader after which the client looks whether there is a server

Asked: TypeAlias = "asyncio.Future[Message | None]"
"""The response to a message; `None` if there is none."""


@final
class Link:
    """The way between a client's end of a session and the broker."""

    def __init__(self, name: Name, broker: Broker, inbox: str, limits: Limits, patience: float) -> None:
        self._name = name
        self.broker = broker
        """The connection to the broker."""
        self._subjects = Subjects(name)
        self._session = token_hex(11)
        self._inbox = f"{inbox}.{self._session}"
        self._subject = self._subjects.of_session(self._session)
        self._patience = patience
        self.caller = Caller(name, limits, self._inbox)
        """This end of the session."""
        self.loop = asyncio.get_running_loop()
        """The loop in which it may be used."""
        self.closing = False
        """Whether `close` was called."""
        self.dropped = False
        """Whether `close` has ended the connection to the broker."""
        self.asks = dict[int, Asked]()
        """Who waits for the response to a message, by the number of the message."""
        self.sends = deque[tuple[int, asyncio.Future[None]]]()
        """Who waits until all messages up to a number are folded, by the numbers."""
        self.waits = deque[asyncio.Future[None]]()
        """Who waits for a message that nobody asked for, the oldest first."""
        self._greeted: asyncio.Future[None] = self.loop.create_future()
        self.confirmed: asyncio.Future[None] = self.loop.create_future()
        """Done when the session is over."""
        self._pumping = self._more = self._suspicious = False
        self._poke = asyncio.Event()
        self._heard = monotonic()  # when anything came last
        self._asks_again = 0.0  # when it may do so because its server is silent
        self._pause = _SILENCE
        self._reconnected = False
        self._tending: asyncio.Task[None] | None = None
        broker.know(self._subject)
        broker.reconnected, broker.over, broker.denied = self._again, self._over, self._denied

    async def greet(self, timeout: float) -> Result[None, ConnectError]:
        """Begin the session."""
        subscribed = await self.broker.subscribe(self._inbox, self._take)
        if isinstance(subscribed, Failure):
            return Failure(self.broker.unreachable)
        deadline = monotonic() + timeout
        pause = _FIRST
        while (left := deadline - monotonic()) > 0:
            hello = encode(Hello(self._inbox))
            if pause == _FIRST:
                await self.broker.publish(self._subject, hello)
            elif (refused := await self._stored(hello, left)) is not None:
                return Failure(refused)
            await asyncio.wait((self._greeted,), timeout=min(pause, left))
            pause *= 2
            ended = self.caller.ended
            if isinstance(ended, NotPermitted | BrokerRefused):
                return Failure(ended)
            if ended is not None:
                return Failure(self.broker.unreachable)
            if self._greeted.done():
                self._tending = self.loop.create_task(self._tend())
                return Success(None)
        return Failure(TimedOut(self._name, round(timeout, 1), "the greeting of"))

    async def pump(self) -> None:
        """Publish what is to be published, in its order."""
        self._more = True
        if self._pumping:
            return
        self._pumping = True
        try:
            while self._more:
                self._more = False
                for payload in self.caller.outgoing():
                    if not self._suspicious:
                        await self.broker.publish(self._subject, payload)
                        continue
                    self._suspicious = False
                    refused = await self._stored(payload)
                    if refused is not None:
                        self._dispatch(self.caller.end(refused))
                        return
        finally:
            self._pumping = False

    async def _take(self, msg: Msg) -> None:
        """Take what came to the inbox."""
        self._heard, self._pause = monotonic(), _SILENCE
        if msg.reply:
            await self.broker.publish(msg.reply, b"")
        given = decode(msg.data)
        if given is None:
            return
        resend = self._dispatch(self.caller.receive(given))
        if self.caller.peer is not None and not self._greeted.done():
            self._greeted.set_result(None)
        if resend and isinstance(given, State):  # the stream does not have what was sent: perhaps it says why
            self._suspicious = True
            self._poke.set()
        elif resend:
            await self.pump()
        if self.caller.gap or self.caller.confirms:
            self._poke.set()

    def _dispatch(self, events: list[Event]) -> bool:
        """Wake the tasks that these events are for. Returns whether there is something to publish."""
        resend = False
        for event in events:
            match event:
                case Answered(number, message):
                    asked = self.asks.pop(number, None)
                    if asked is not None and not asked.done():
                        asked.set_result(message)
                case Folded(number):
                    while self.sends and self.sends[0][0] <= number:
                        waiting = self.sends.popleft()[1]
                        if not waiting.done():
                            waiting.set_result(None)
                case Arrived():
                    self.wake()
                case Resend():
                    resend = True
                case Over():
                    self.wake_all()
        return resend

    def wake(self) -> None:
        """Let the next one look for a message that nobody asked for."""
        while self.waits:
            waiting = self.waits.popleft()
            if not waiting.done():
                waiting.set_result(None)
                return

    def wake_all(self) -> None:
        """Let everybody look: the session is over, or is closed."""
        for each in (*(waiting for _, waiting in self.sends), *self.waits):
            if not each.done():
                each.set_result(None)
        self.sends.clear()
        self.waits.clear()
        for asked in self.asks.values():
            if not asked.done():
                asked.set_result(None)
        if self.caller.ended is not None:
            for future in (self._greeted, self.confirmed):
                if not future.done():
                    future.set_result(None)
        self._poke.set()

    def _again(self) -> None:
        self._reconnected = True
        self._poke.set()

    def _over(self) -> None:
        self._dispatch(self.caller.end(self.broker.unreachable))

    def _denied(self, denied: NotPermitted) -> None:
        self._dispatch(self.caller.end(denied))  # it needs all that it does

    async def _tend(self) -> None:
        """Look after the session: ask again for what may be lost, and notice when nobody is there any more."""
        caller = self.caller
        pause, since, seen = _FIRST, monotonic(), (0, 0)
        alone: float | None = None  # since when nobody is known to be there
        while caller.ended is None and not self.closing:
            try:
                async with asyncio.timeout(_TICK):
                    await self._poke.wait()
            except TimeoutError:
                pass
            self._poke.clear()
            if self._suspicious:
                await self.pump()
            now = monotonic()
            progress = caller.acknowledged, caller.got
            if progress != seen or caller.idle:
                pause, since, seen = _FIRST, now, progress
            if self._reconnected or caller.gap or caller.confirms:
                self._reconnected = False
                await self.broker.publish(self._subject, caller.sync())
            elif now - since >= pause:
                pause, since = min(2 * pause, _LONGEST), now
                refused = await self._stored(caller.sync())
                if refused is not None:
                    self._dispatch(caller.end(refused))
            if self.broker.connected and now - self._heard < _SILENCE and now - since < _SILENCE:
                alone = None
                continue
            reason = await self._missing()
            if reason is None:
                alone = None
                continue
            alone = alone or now
            if monotonic() - alone >= self._patience:
                self._dispatch(caller.end(reason))

    async def _stored(self, payload: bytes, timeout: float = 2.0) -> BrokerRefused | NotPermitted | None:
        """Publish this to the stream, and wait until it says that it has it. Returns why it will never have it."""
        match cases(await self.broker.request(self._subject, payload, min(timeout, 2.0))):
            case Success(data):
                reason = _refusal(data)
                return None if reason is None else BrokerRefused("store a message", reason)
            case Failure(NotPermitted() as denied):
                return denied
            case Failure():
                return None  # whether somebody is there is looked at elsewhere

    async def _missing(self) -> EndedAtBroker | None:
        """Why nobody can answer now, if nobody can."""
        if not self.broker.connected:
            return self.broker.unreachable
        match cases(await self.broker.request(self._subjects.find, b"", 2.0)):
            case Success():
                self._heard = monotonic()
                await self._ask_again()
                return None
            case Failure(Unanswered.NOBODY):
                return ConnectionLost(self._name)
            case Failure():
                return None  # a server is there, and busy

    async def _ask_again(self) -> None:
        """A server is there, and silent for this client. If it does not know the session, it says so.

        It forgets sessions that are long over. It knows none if somebody has removed the stream, and a server has made it again.
        """
        if monotonic() >= self._asks_again:
            self._pause = min(2 * self._pause, _RARELY)
            self._asks_again = monotonic() + self._pause
            await self.broker.publish(self._subject, self.caller.sync())

    async def bye(self, timeout: float) -> None:
        """End the session, and wait at most so many seconds for the confirmation."""
        await self.broker.publish(self._subject, self.caller.bye())
        await asyncio.wait((self.confirmed,), timeout=timeout)

    async def drop(self) -> None:
        """End the connection to the broker."""
        self.dropped = True
        if self._tending is not None:
            self._tending.cancel()
        await self.broker.close()


def _refusal(data: bytes) -> str | None:
    """Why the stream has not taken a message, as it says itself."""
    if b'"error"' not in data:
        return None
    try:
        return str(json.loads(data)["error"]["description"])
    except (ValueError, KeyError, TypeError):
        return data.decode(errors="replace")
