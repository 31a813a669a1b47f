"""A server that is driven by hand, in one of three builds, and the handler that all of them run."""

from __future__ import annotations

import select
import socket
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from time import monotonic
from typing import Any, Final

import attrs
from returns.result import Result

from ipcfold import Continuation, HandlerFailed, Limits, Message, Name, Peer
from ipcfold.accelerator import accelerated, fast
from ipcfold.blocking.loop import Loop
from ipcfold.core.functions import Handlers
from ipcfold.core.server import ServerCore
from ipcfold.core.server_connection import ServerConnection
from ipcfold.handlers import rescue
from ipcfold.local.claim import Claim
from ipcfold.local.credentials import own_user, same_user
from ipcfold.local.engine import Engine
from ipcfold.local.log import Log

NAME: Final = Name.of("built").unwrap()
LIMITS: Final = Limits(message=2**18, unsent=2**17, unread=2**17, handshake=3600, frame=3600, drain=3600)
HEARTBEAT: Final = 3600.0  # seconds, so that none comes

folded: Final = Counter[str]()
"""How many messages the accelerator has folded: `here`, and `elsewhere` in other processes of pytest."""


def handler(message: Message, continuation: Continuation[int], carry: int) -> object:
    """Everything that a handler may answer, as the first byte of the message says; `object`, because some of it is not valid."""
    carry += 1
    match message.content[:1]:
        case b"n":
            return continuation.continue_(carry)
        case b"m":
            return continuation.respond(carry, *[message] * 5)
        case b"t":
            return continuation.respond(carry, Message.octets(message.content))
        case b"u":
            return continuation.respond(carry).respond(carry, message).respond(carry, message)
        case b"l":
            return continuation.respond(carry, Message.text("l" * 100_000))
        case b"h":
            return continuation.respond(carry, *[Message.text("h" * 30_000)] * 3)
        case b"x":
            return continuation.respond(carry, Message.text("innmind/ipc:heartbeat"))
        case b"g":
            return continuation.respond(carry, Message.text("innmind/ipc:no signal"))
        case b"o":
            return continuation.respond(carry, Message.text("o" * (LIMITS.message + 1)))
        case b"c":
            return continuation.respond(carry, message).close(carry)
        case b"s":
            return continuation.respond(carry, message).stop(carry)
        case b"r":
            raise ValueError(message.content)
        case b"k":
            raise KeyboardInterrupt
        case b"i":
            return Continuation(carry)
        case b"d":
            return continuation.defer(carry).answer(carry, continuation.ticket, message)
        case b"v":
            return continuation.respond(carry, Message.text(str(continuation.number))).tell(carry, continuation.peer, message)
        case b"y":
            return to_earlier(continuation, carry, message).respond(carry, message)
        case b"w":
            return continuation.tell(carry, Continuation(carry).peer, message)
        case b"b":
            return carry
        case _:
            return continuation.respond(carry, message)


def left(peer: Peer, continuation: Continuation[int], carry: int) -> Continuation[int]:
    return to_earlier(continuation, carry + 1000, Message.text(f"{peer.connection} is gone"))


def to_earlier(continuation: Continuation[int], carry: int, message: Message) -> Continuation[int]:
    """Tell all clients that came before this one, also those that are gone."""
    for connection in range(1, continuation.peer.connection):
        continuation = continuation.tell(carry, attrs.evolve(continuation.peer, connection=connection), message)
    return continuation.continue_(carry)


def excuse(error: Exception) -> Message:
    """Most errors are told to the client. Some are not, so that its connection is closed."""
    if isinstance(error, ValueError):
        raise error
    return Message.text(type(error).__name__)


class Build:
    """One server; each step runs until nothing is left to do."""

    def __init__(
        self,
        directory: Path,
        *,
        accelerate: bool,
        compiled: bool = True,
        handler: Callable[..., object] = handler,
        departures: bool = False,
        rescued: bool = False,
    ) -> None:
        """`accelerate`: whether to fold plain messages in few calls; `compiled`: whether the accelerator does that, where it is built.

        `departures`: whether to fold departures, too. `rescued`: whether to go on after wrong answers.
        """
        self.path = directory / f"{NAME}.sock"
        self._claim = Claim.of(NAME, self.path).unwrap()
        self.core = ServerCore(
            0,
            name=NAME,
            heartbeat=HEARTBEAT,
            limits=LIMITS,
            timeout=None,
            now=monotonic(),
            user=own_user(),
            observed=False,
            left=departures,
        )
        self.engine = Engine(self.core, self._claim, same_user, Log(NAME), None)
        plain: Any = handler  # Any: it is as wrong as one that no type checker has seen
        handlers: Handlers[int] = Handlers(rescue(plain, excuse) if rescued else plain, left if departures else None)
        before = accelerated and fast.enable(compiled)
        try:
            self._loop = Loop(NAME, self._claim, self.engine, handlers, accelerate=accelerate)
        finally:
            if accelerated:
                fast.enable(before)
        self.engine.listen(3600.0, self._claim.publish(0o600).unwrap()).unwrap()
        self._clients: list[socket.socket] = []

    def connect(self) -> bool:
        """Whether the server accepts connections."""
        client = socket.socket(socket.AF_UNIX)
        try:
            client.connect(str(self.path))
        except OSError:
            client.close()
            return False
        client.setblocking(False)
        self._clients.append(client)
        return True

    def send(self, client: int, data: bytes) -> bool:
        """Whether the server took the bytes, or how many, as the kernel has room."""
        try:
            return self._clients[client].send(data) == len(data)
        except OSError:
            return False

    def leave(self, client: int) -> None:
        self._clients[client].shutdown(socket.SHUT_WR)

    def settle(self) -> list[bytes]:
        """Turn until nothing changes; what each client got, with `|` at the end of its stream."""
        got = [b""] * len(self._clients)
        moved = True
        while moved and not self.engine.over:
            moved = self._turn()
            for number, client in enumerate(self._clients):
                while data := _received(client):
                    got[number] += data
                    moved = True
        return [data + _received(client, ended=b"|") if self.engine.over else data for data, client in zip(got, self._clients, strict=True)]

    def received(self, client: int) -> bytes:
        """This client reads what has arrived since the last call; returns the bytes."""
        return _received(self._clients[client])

    def result(self) -> Result[int, HandlerFailed[int]]:
        return self.engine.result()

    @property
    def folded(self) -> int:
        """How many messages the accelerator has folded."""
        burst = self.engine.burst
        return 0 if burst is None else burst.folded

    @property
    def admitted(self) -> int:
        """How many clients the accelerator has let in."""
        return 0 if self.engine.burst is None else self.engine.burst.admitted

    @property
    def parted(self) -> int:
        """How many connections it has closed."""
        return 0 if self.engine.burst is None else self.engine.burst.parted

    def close(self) -> None:
        folded["here"] += self.folded
        for client in self._clients:
            client.close()
        self._loop.close()
        self.engine.wakeup.close()
        self._claim.release()

    def end(self) -> ServerConnection:
        """The server's end of the only client."""
        (end,) = self.core._ends.values()  # noqa: SLF001 - no byte tells of all that a test looks at
        return end

    def facts(self) -> list[object]:
        """The server describes each of its connections, without the times."""
        facts = list[object]()
        for number, end in self.core._ends.items():  # noqa: SLF001 - compared in full
            decoder = end._decoder  # noqa: SLF001 - as above
            own = end.state, end._begun is None, end.waiting, end.behind, end.hearing, end.told, end.fault  # noqa: SLF001 - as above
            facts.append((number, own, end.outbox.size, decoder.buffered, decoder.fresh, decoder._data[decoder._at :]))  # noqa: SLF001
        return facts

    def members(self) -> object:
        """Who is there for the fold, and what waits for it."""
        fold = self.core._fold  # noqa: SLF001 - compared in full
        members = fold._members  # noqa: SLF001 - as above
        return members._peers, members._most, members._open, list(fold.waiting)  # noqa: SLF001 - as above

    def _turn(self) -> bool:
        try:
            asked = self.engine.turn(0.0)
            if asked is not None:
                self._loop.fold(asked)
        except KeyboardInterrupt:  # from the handler; the loop does the same
            self.engine.interrupted()
            return True
        return asked is not None or bool(select.select([self.engine], [], [], 0)[0])


def _received(client: socket.socket, ended: bytes = b"") -> bytes:
    try:
        return client.recv(2**16) or ended
    except BlockingIOError:
        return b""
    except OSError:
        return ended
