"""A connection to a broker: what nats-py raises, as values.

Two things of nats-py are avoided. `flush` is never called: if it times out, the connection reads nothing more. And nothing
but an answer from the other side counts as a sign that something was sent.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from enum import Enum
from typing import Any, Final, TypeAlias, TypeVar, final

from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.js.errors import APIError
from returns.result import Failure, Result, Success

from ipcfold.errors.brokers import BrokerRefused, BrokerUnreachable, NotAuthorized, NotPermitted
from ipcfold.nats.address import Address
from ipcfold.nats.connection import Connection
from ipcfold.nats.identity import unfit
from nats import errors as raised

T = TypeVar("T")

SILENT: Final = "no answer came"
"""The beginning of the reason of a `BrokerUnreachable`, if nothing refused the connection."""
UNANSWERED: Final = "nobody answers for JetStream"
"""The reason of a `BrokerRefused`, if no broker has JetStream, or none has it yet."""
_PATIENCE: Final = 5.0  # seconds, for an answer of the broker
_PAUSE: Final = 0.1  # seconds between two attempts to connect again
_PING: Final = 5  # seconds; a broker that answers two of these pings in a row too late is given up
_DENIED: Final = re.compile(r'permissions violation for (publish|subscription) to "([^"]*)"', re.IGNORECASE)

_LEAST: Final = 2**18 + 2**12
"""Bytes; the largest payload that clients and servers publish: items of a session, or a part of a snapshot."""

Lost: TypeAlias = BrokerUnreachable | NotAuthorized
"""Why there is no connection to a broker any more, or why it cannot be made."""

OpenError: TypeAlias = Lost | BrokerRefused
"""Why there is no connection to a broker."""

UseError: TypeAlias = Lost | NotPermitted | BrokerRefused
"""Why a broker does not do what it is asked."""


class Unanswered(Enum):
    """Why a request has no answer."""

    NOBODY = "nobody is there"
    LATE = "no answer came in time"


def _ignored() -> None:
    pass


def _told(error: BaseException) -> str:
    if isinstance(error, raised.SecureConnWantedError):
        return "the broker there does not use TLS"
    return str(error) or type(error).__name__


@final
class Broker:
    """A connection to one of several brokers, which is made again when it is lost."""

    def __init__(self, address: Address) -> None:
        """`Broker.open` makes these."""
        self.client = Connection()
        self.place = address.place
        self.ended: Lost | None = None
        """Why the connection is over for good, if it is."""
        self.reconnected: Callable[[], None] = _ignored
        """Called after the connection was made again."""
        self.over: Callable[[], None] = _ignored
        """Called when the connection is over for good."""
        self.denied: Callable[[NotPermitted], None] = lambda _: None
        """Called when the broker denies an action."""
        self.failing: Callable[[str], None] = lambda _: None
        """Called with the text of any other error of the connection, or of an attempt to make it again."""
        self._last = "it ended the connection"
        self._failing: asyncio.Future[Exception] | None = None
        self._attempts = 0
        self._waiting = set[asyncio.Future[NotPermitted]]()
        self._known = dict[str, str]()  # the subjects that are used, by their texts in lower case, as errors have them

    @classmethod
    async def open(cls, address: Address, timeout: float) -> Result[Broker, OpenError]:
        """Connect to one of the brokers, each of which is tried once."""
        unusable = unfit(address)
        if unusable is not None:
            return Failure(unusable)
        broker, opened = cls(address), None
        try:
            opened = await broker._open(address, timeout)
            return opened.map(lambda _: broker)
        finally:
            if not isinstance(opened, Success):  # it failed, or was cancelled
                await broker.close()

    async def _open(self, address: Address, timeout: float) -> Result[None, OpenError]:
        loop = asyncio.get_running_loop()
        self._failing, self._attempts = loop.create_future(), len(address.servers)
        if address.tls is not None:
            self.client.encrypt()
        connecting = loop.create_task(
            self.client.connect(
                list(address.servers),
                error_cb=self._error,
                reconnected_cb=self._again,
                closed_cb=self._closed,
                connect_timeout=max(1, int(timeout)),
                reconnect_time_wait=_PAUSE,  # type: ignore[arg-type]  # it is only slept for
                max_reconnect_attempts=-1,
                ping_interval=_PING,
                tls=address.tls,
                user=address.user,
                password=address.password,
                token=address.token,
                user_credentials=address.credentials,
                nkeys_seed=address.nkey,
                inbox_prefix=address.inbox,
                skip_subject_validation=True,  # all of them are made here, or checked by `is_inbox`
            )
        )
        try:
            await asyncio.wait((connecting, self._failing), timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
            error: BaseException | None = None
            if connecting.done():
                error = connecting.exception()
                if error is None:
                    return self._accepted()
            elif self._failing.done():
                error = self._failing.result()
        finally:
            failing, self._failing = self._failing, None
            failing.cancel()
            if not connecting.done():
                connecting.cancel()
                await asyncio.wait((connecting,))
        return Failure(self._lost(f"{SILENT} within {timeout:g} s" if error is None else _told(error)))

    def _lost(self, reason: str) -> Lost:
        lowered = reason.lower()
        if "authorization" in lowered or "authentication" in lowered:
            return NotAuthorized(self.place, reason.removeprefix("nats: ").strip("'"))
        return BrokerUnreachable(self.place, reason)

    def _accepted(self) -> Result[None, BrokerRefused]:
        """Whether the broker takes all that is published. Otherwise the library would raise later, in the middle of something."""
        most = self.client.max_payload
        if most >= _LEAST:
            return Success(None)
        return Failure(BrokerRefused(f"carry payloads of {_LEAST} bytes", f"its max_payload is {most}"))

    async def _error(self, error: Exception) -> None:
        self._last = _told(error)
        failing = self._failing
        if failing is not None:
            self._attempts -= 1
            if self._attempts <= 0 and not failing.done():
                failing.set_result(error)
            return
        found = _DENIED.search(self._last)
        if found is not None:
            subject = self._known.get(found[2], re.sub("^_inbox", "_INBOX", found[2]))
            denied = NotPermitted("publish" if found[1].lower() == "publish" else "subscribe", subject)
            for waiting in self._waiting:
                if not waiting.done():
                    waiting.set_result(denied)
            self.denied(denied)
        else:
            self.failing(self._last)

    async def _again(self) -> None:
        self.reconnected()

    async def _closed(self) -> None:
        if self.ended is None:
            self.ended = self._lost(self._last)
        self.over()

    @property
    def connected(self) -> bool:
        """Whether there is a connection now."""
        return self.client.is_connected

    @property
    def unreachable(self) -> Lost:
        """The error if there is none."""
        return self._lost(self._last)

    def know(self, subject: str) -> None:
        """Note a subject, so that errors can name it."""
        self._known[subject.lower()] = subject

    async def publish(self, subject: str, data: bytes, reply: str = "") -> None:
        """Publish something, which may get lost."""
        with suppress(raised.OutboundBufferLimitError, raised.ConnectionClosedError):  # as if it had got lost on its way
            await self.client.publish(subject, data, reply)

    async def subscribe(self, subject: str, take: Callable[[Msg], Awaitable[None]]) -> Result[Subscription, Lost]:
        """Call this for each message there. The broker tells later if it does not permit that."""
        self.know(subject)
        try:
            return Success(await self.client.subscribe(subject, cb=take))
        except raised.Error:
            return Failure(self.unreachable)

    async def unsubscribe(self, subscription: Subscription) -> None:
        """End a subscription."""
        with suppress(raised.Error):  # the connection is over
            await subscription.unsubscribe()

    async def request(self, subject: str, data: bytes = b"", timeout: float = _PATIENCE) -> Result[bytes, Unanswered | NotPermitted | Lost]:
        """Ask somebody who listens there."""
        self.know(subject)
        asked = await self._raced(self.client.request(subject, data, timeout))
        match asked:
            case Msg():
                return Success(asked.data)
            case NotPermitted():
                return Failure(asked)
            case raised.NoRespondersError():
                return Failure(Unanswered.NOBODY)
            case raised.TimeoutError() | asyncio.TimeoutError():
                return Failure(Unanswered.LATE)
            case _:
                return Failure(self.unreachable)

    async def use(self, action: str, coroutine: Coroutine[Any, Any, T]) -> Result[T, UseError]:
        """Run a call of JetStream's."""
        done = await self._raced(coroutine)
        match done:
            case NotPermitted():
                return Failure(done)
            case APIError():
                return Failure(BrokerRefused(action, done.description or str(done)))
            case raised.NoRespondersError():
                return Failure(BrokerRefused(action, UNANSWERED))
            case raised.TimeoutError() | asyncio.TimeoutError():
                return Failure(BrokerUnreachable(self.place, f"no answer came in time to the request to {action}"))
            case Exception():
                return Failure(self.unreachable if not self.connected else BrokerRefused(action, str(done) or type(done).__name__))
            case _:
                return Success(done)

    async def _raced(self, coroutine: Coroutine[Any, Any, T]) -> T | NotPermitted | Exception:
        """What it returns or raises, unless the broker denies something meanwhile: then it would come to no end for a while."""
        loop = asyncio.get_running_loop()
        running = loop.create_task(coroutine)
        denied: asyncio.Future[NotPermitted] = loop.create_future()
        self._waiting.add(denied)
        try:
            await asyncio.wait((running, denied), return_when=asyncio.FIRST_COMPLETED)
            if not running.done():
                return denied.result()
            error = running.exception()
            if error is None:
                return running.result()
            return error if isinstance(error, Exception) else raised.ConnectionClosedError()
        finally:
            self._waiting.discard(denied)
            denied.cancel()
            if not running.done():
                running.cancel()

    async def close(self) -> None:
        """End the connection, after everything was sent that was published."""
        with suppress(OSError, raised.Error, AssertionError):  # it is over in any case, or never began
            await self.client.close()
