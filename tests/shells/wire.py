"""One end of a stream, spoken by hand.

It frames and reads bytes with a few lines of its own, so that the library is not tested against itself.
"""

import select
import socket
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from ipcfold import Name
from tests.shells.support import NAME, PATIENCE, beside

START = "innmind/ipc:connection.start"
START_OK = "innmind/ipc:connection.start-ok"
RECEIVED = "innmind/ipc:message.received"
HEARTBEAT = "innmind/ipc:heartbeat"
CLOSE = "innmind/ipc:connection.close"
CLOSE_OK = "innmind/ipc:connection.close-ok"


def frame(content: str, media_type: str = "text/plain") -> bytes:
    encoded = content.encode()
    return len(media_type).to_bytes(2) + media_type.encode() + len(encoded).to_bytes(4) + encoded + b"\xce"


class Wire(AbstractContextManager["Wire"]):
    def __init__(self, stream: socket.socket) -> None:
        stream.settimeout(PATIENCE)
        self.stream = stream
        self._data = b""

    @classmethod
    def to(cls, directory: Path, name: Name = NAME) -> Self:
        stream = socket.socket(socket.AF_UNIX)
        try:
            stream.connect(str(directory / f"{name}.sock"))
        except OSError:
            stream.close()
            raise
        return cls(stream)

    @classmethod
    def talking(cls, directory: Path, name: Name = NAME) -> Self:
        """A client that was greeted and accepted. It accepts at once, so that it keeps any limit however busy the machine is."""
        wire = cls.to(directory, name)
        return wire.write(START_OK).expect(START)

    def greet(self) -> Self:
        """Greet a client, as a server does, and let it accept."""
        return self.write(START).expect(START_OK)

    def write(self, *contents: str) -> Self:
        self.stream.sendall(b"".join(map(frame, contents)))
        return self

    def expect(self, *contents: str) -> Self:
        """These are the contents of the next frames; heartbeats are left out."""
        assert self.read(len(contents)) == ",".join(contents)
        return self

    def expect_end(self) -> Self:
        """Nothing but heartbeats comes any more."""
        assert self.ended()
        return self

    def expect_heartbeats(self, count: int) -> Self:
        """Heartbeats come next, so many of them."""
        assert [self.read_any() for _ in range(count)] == [HEARTBEAT] * count
        return self

    def ping(self) -> None:
        """The server answers."""
        self.write("ping").expect(RECEIVED, "pong")

    def read(self, count: int = 1) -> str:
        """The content of the next `count` frames, joined by commas; heartbeats are left out; "" at the end of the stream."""
        found = list[str]()
        while len(found) < count:
            content = self.read_any()
            if not content:
                break
            if content != HEARTBEAT:
                found.append(content)
        return ",".join(found)

    def read_any(self) -> str:
        """The content of the next frame, heartbeats too; "" at the end of the stream."""
        while True:
            if len(self._data) > 2:
                start = 2 + int.from_bytes(self._data[:2]) + 4
                end = start + int.from_bytes(self._data[start - 4 : start]) if len(self._data) >= start else start
                if len(self._data) > end >= start and len(self._data) >= start:
                    content, self._data = self._data[start:end].decode(), self._data[end + 1 :]
                    return content
            try:
                data = self.stream.recv(65536)
            except ConnectionResetError:
                data = b""
            if not data:
                return ""
            self._data += data

    def heard(self, seconds: float) -> bool:
        """Whether anything comes within that time."""
        return bool(self._data or select.select([self.stream], [], [], seconds)[0])

    def ended(self) -> bool:
        """Whether nothing but heartbeats comes any more."""
        return self.read() == ""

    def close(self) -> None:
        self.stream.close()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


@contextmanager
def many_clients(directory: Path, count: int) -> Iterator[list[Wire]]:
    with ExitStack() as stack:
        yield [stack.enter_context(Wire.talking(directory)) for _ in range(count)]


@contextmanager
def listening(directory: Path, name: Name = NAME) -> Iterator[socket.socket]:
    """A bare socket under that name: a server spoken by hand."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(directory / f"{name}.sock"))
        listener.listen()
        listener.settimeout(PATIENCE)
        yield listener
    (directory / f"{name}.sock").unlink(missing_ok=True)


@contextmanager
def spoken(directory: Path, serve: Callable[[Wire], object]) -> Iterator[None]:
    """A server by hand for one client."""

    def accept() -> None:
        with Wire(listener.accept()[0]) as wire:
            serve(wire)

    with listening(directory) as listener, beside(accept):
        yield


def flood(wire: Wire, data: bytes, turn: Callable[[], object]) -> None:
    """Write until the other end has read nothing in twenty of its turns; each call of `turn` lets it take one."""
    wire.stream.setblocking(False)
    left, idle = memoryview(data), 0
    while idle < 20:
        try:
            left = left[wire.stream.send(left[:65536]) :]
            idle = 0
        except BlockingIOError:
            idle += 1
            turn()
        assert left, "it read everything"
