"""This library: the server folds with a handler that responds with what came; clients use each of the public verbs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Final, final

from returns.pipeline import is_successful

from benchmarks.client_pool import entered
from benchmarks.contestant import PATIENCE, SOCKET, Client, ClientPool, Contestant, Standing, Wire
from benchmarks.subscribers import Subscribers
from ipcfold import IPC, Continuation, Limits, Message, Name, Peer, Process
from ipcfold.accelerator import accelerated, fast
from ipcfold.core.wire import Encoder, Signal, encode

NAME: Final = Name(SOCKET.removesuffix(".sock"))


def echo(message: Message, continuation: Continuation[int], carry: int) -> Continuation[int]:
    """Respond with what came; stop at an empty one."""
    return continuation.respond(carry + 1, message) if message.content else continuation.stop(carry)


def serve(directory: str) -> None:
    """Fold until a signal or an empty message."""
    if not is_successful(IPC(directory).listen(NAME)(0, echo)):
        raise SystemExit(1)


def _frame(content: bytes) -> bytes:
    return encode(Message.octets(content))


def _answer(content: bytes) -> bytes:
    return Signal.RECEIVED.frame + _frame(content)


class Sending(Client):
    """`send`, then `wait`."""

    def __init__(self, process: Process) -> None:
        self._process = process

    def trip(self, content: bytes) -> bytes:
        """There and back."""
        process = self._process
        process.send(Message.octets(content)).unwrap()
        return process.wait().unwrap().content

    def batch(self, contents: Sequence[bytes]) -> Sequence[bytes]:
        """All of them in one `send`, which succeeds when all are acknowledged; then every response."""
        process = self._process
        process.send(*map(Message.octets, contents)).unwrap()
        return [process.wait().unwrap().content for _ in contents]

    def close(self) -> None:
        """Close in good order."""
        self._process.close().unwrap()


@final
class Asking(Sending):
    """`ask`, without a timeout."""

    def trip(self, content: bytes) -> bytes:
        """There and back."""
        return self._process.ask(Message.octets(content)).unwrap().content


@final
class AskingWithTimeout(Sending):
    """`ask`, with a timeout."""

    def trip(self, content: bytes) -> bytes:
        """There and back."""
        return self._process.ask(Message.octets(content), PATIENCE).unwrap().content


class Ipcfold(Contestant):
    """The verbs `send` and `wait`, with any number of messages."""

    title = "ipcfold"
    standing = Standing.OURS
    enters = frozenset({"acknowledged", "pipelined", "bulk", "clients", "idle-connections", "connect", "idle-server", "wait", "import"})
    wire = Wire(_frame, _answer, Signal.START.frame, Signal.START_OK.frame, Signal.HEARTBEAT.frame)
    verbs: ClassVar[type[Sending]] = Sending

    def serve(self, address: str) -> None:
        """Fold in this process."""
        serve(str(Path(address).parent))

    def connect(self, address: str) -> Sending:
        """Wait for the server."""
        return self.verbs(IPC(Path(address).parent).wait(NAME, PATIENCE).unwrap())


@final
class IpcfoldSendThenWait(Ipcfold):
    """The same, one message at a time."""

    title = "ipcfold, send then wait"
    enters = frozenset({"round-trip"})


@final
class IpcfoldAsk(Ipcfold):
    """The verb `ask`."""

    title = "ipcfold, ask"
    enters = frozenset({"round-trip"})
    verbs = Asking


@final
class IpcfoldAskWithTimeout(Ipcfold):
    """The verb `ask`, with a timeout."""

    title = "ipcfold, ask with timeout"
    enters = frozenset({"round-trip"})
    verbs = AskingWithTimeout


@final
class IpcfoldInPython(Ipcfold):
    """`send` and `wait`, without the accelerator."""

    title = "ipcfold, pure Python"
    enters = frozenset({"round-trip", "acknowledged", "pipelined", "clients"} if accelerated else ())

    def serve(self, address: str) -> None:
        """Fold in this process."""
        fast.enable(False)
        super().serve(address)

    def connect(self, address: str) -> Sending:
        """Wait for the server."""
        fast.enable(False)
        return super().connect(address)


_SUBSCRIBE: Final = Message.text("subscribe")
_NOBODY: Final[tuple[Peer, ...]] = ()


def publish(
    message: Message, continuation: Continuation[tuple[Peer, ...]], subscribers: tuple[Peer, ...]
) -> Continuation[tuple[Peer, ...]]:
    """Tell all subscribers what came."""
    if message == _SUBSCRIBE:
        return continuation.continue_((*subscribers, continuation.peer))
    for peer in subscribers:
        continuation = continuation.tell(subscribers, peer, message)
    return continuation


def leave(peer: Peer, continuation: Continuation[tuple[Peer, ...]], subscribers: tuple[Peer, ...]) -> Continuation[tuple[Peer, ...]]:
    """Forget a subscriber."""
    return continuation.continue_(tuple(each for each in subscribers if each != peer))


class IpcfoldTell(Ipcfold):
    """A handler that tells its subscribers. The publisher waits until its message is folded."""

    title = "ipcfold, tell"
    enters = frozenset({"told"})

    def serve(self, address: str) -> None:
        """Fold in this process."""
        if not is_successful(IPC(Path(address).parent).listen(NAME)(_NOBODY, publish, leave)):
            raise SystemExit(1)

    def crowd(self, address: str, clients: int, content: bytes) -> ClientPool:
        """Subscribers, and a publisher."""
        message = Message.octets(content)
        publisher = IPC(Path(address).parent).wait(NAME, PATIENCE).unwrap()
        streams = [entered(self.wire, address) for _ in range(clients)]
        for stream in streams:
            stream.sendall(encode(_SUBSCRIBE))
        (frame,) = Encoder(Limits()).marked((message,), 0)
        return Subscribers(streams, lambda: publisher.send(message).unwrap(), frame, self.wire.noise)


@final
class IpcfoldTellInPython(IpcfoldTell):
    """The same without the accelerator."""

    title = "ipcfold, tell, pure Python"
    enters = frozenset({"told"} if accelerated else ())

    def serve(self, address: str) -> None:
        """Fold in this process."""
        fast.enable(False)
        super().serve(address)


CONTESTANTS: Final = (
    Ipcfold(),
    IpcfoldSendThenWait(),
    IpcfoldAsk(),
    IpcfoldAskWithTimeout(),
    IpcfoldInPython(),
    IpcfoldTell(),
    IpcfoldTellInPython(),
)
