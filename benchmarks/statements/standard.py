"""`multiprocessing.connection` and asyncio's streams."""

from __future__ import annotations

import asyncio
import os
import stat
from asyncio import StreamReader, StreamWriter
from contextlib import suppress
from multiprocessing.connection import Client, Connection, Listener
from pathlib import Path
from threading import Event, Thread
from typing import Final

from benchmarks.statements.seen import BRIEF, Other, Say, Seen, Statement, attempt

_LARGE: Final = 2**20
_SHORT: Final = b"\x00\x00\x00\x10half"
"""The beginning of a frame of `multiprocessing.connection`: sixteen bytes are to come, and four do."""


def listen_and_accept(say: Say, directory: Path) -> None:
    """Accept a client, and never read."""
    with Listener(str(directory / "socket"), "AF_UNIX") as listener:
        say("up")
        with listener.accept():
            Event().wait()


def sends_into_a_buffer(directory: Path) -> Seen:
    """A message to a server that never reads."""
    server = Other(listen_and_accept, directory)
    server.said()
    with Client(str(directory / "socket"), "AF_UNIX") as client:
        client.send_bytes(b"message")
        server.kill()
    return Seen(holds=True, what="send_bytes returned, and the server never called recv_bytes")


def answer_one_by_one(say: Say, directory: Path) -> None:
    """The usual loop: wait for one of the clients, read a message, answer."""
    with Listener(str(directory / "socket"), "AF_UNIX") as listener:
        say("up")
        first, second = listener.accept(), listener.accept()
        while True:
            for client in (first, second):
                if client.poll(0.01):
                    client.send_bytes(client.recv_bytes())


def hangs_in_half_a_message(directory: Path) -> Seen:
    """A client that sends half a message, and another one that asks."""
    server = Other(answer_one_by_one, directory)
    server.said()
    path = str(directory / "socket")
    with Client(path, "AF_UNIX") as half, Client(path, "AF_UNIX") as other:
        other.send_bytes(b"question")
        before = other.recv_bytes()
        os.write(half.fileno(), _SHORT)
        other.send_bytes(b"question")
        silent = not other.poll(BRIEF * 2)
    server.kill()
    return Seen(holds=before == b"question" and silent, what=f"no answer to the other client after {BRIEF * 2:.0f} s")


def name_blocked_after_kill(directory: Path) -> Seen:
    """A second listener beside the first, and one after the first was killed."""
    server = Other(listen_and_accept, directory)
    server.said()
    path = str(directory / "socket")
    _, beside = attempt(lambda: Listener(path, "AF_UNIX"))
    Client(path, "AF_UNIX").close()
    server.kill()
    _, after = attempt(lambda: Listener(path, "AF_UNIX"))
    return Seen(holds=bool(beside and after), what=f"beside the first: {beside}; after a kill: {after}")


def serve_streams(say: Say, directory: Path) -> None:
    """Answer lines with the process's number; fail at `fail`, and take long at `slow`."""

    async def answer(reader: StreamReader, writer: StreamWriter) -> None:
        while line := await reader.readline():
            if line == b"fail\n":
                raise ValueError("on purpose")
            if line == b"slow\n":
                await asyncio.sleep(60)
            writer.write(b"%d\n" % os.getpid())
            await writer.drain()
        writer.close()

    async def serve() -> None:
        async with await asyncio.start_unix_server(answer, directory / "socket") as server:
            say(os.getpid())
            await server.serve_forever()

    asyncio.run(serve())


async def _asked(path: Path, *lines: bytes) -> bytes:
    """The last answer on one connection."""
    reader, writer = await asyncio.open_unix_connection(path)
    answer = b""
    for line in lines:
        writer.write(line)
        answer = await asyncio.wait_for(reader.readline(), BRIEF * 4)
    writer.close()
    return answer


def streams_take_the_name(directory: Path) -> Seen:
    """A second server at the path of the first, and at the path of an ordinary file."""
    first = Other(serve_streams, directory)
    first.said()
    second = Other(serve_streams, directory)
    number = second.said()
    answered = int(asyncio.run(_asked(directory / "socket", b"who\n")))
    file = directory / "file"
    file.write_text("precious")
    _, refused = attempt(lambda: asyncio.run(_start_at(file)))
    holds = answered == number and not first.ended and bool(refused) and file.read_text() == "precious"
    first.kill()
    second.kill()
    return Seen(holds=holds, what=f"the second answers, the first runs on; an ordinary file stays: {refused[:40]}")


async def _start_at(path: Path) -> None:
    await asyncio.start_unix_server(lambda _, __: None, path)


def serve_unread(say: Say, directory: Path) -> None:
    """Accept clients, and never read."""

    async def idle(_: StreamReader, __: StreamWriter) -> None:
        await asyncio.sleep(3600)

    async def serve() -> None:
        async with await asyncio.start_unix_server(idle, directory / "socket", limit=1) as server:
            say("up")
            await server.serve_forever()

    asyncio.run(serve())


def streams_buffer_without_limit(directory: Path) -> Seen:
    """Writes to a server that never reads, without `drain`, and one small message with it."""
    server = Other(serve_unread, directory)
    server.said()

    async def buffered() -> int:
        _, writer = await asyncio.open_unix_connection(directory / "socket")
        writer.write(b"message")
        await asyncio.wait_for(writer.drain(), BRIEF)
        for _ in range(64):
            writer.write(bytes(_LARGE))
        size = writer.transport.get_write_buffer_size()
        writer.transport.abort()
        return size

    size = asyncio.run(buffered())
    server.kill()
    return Seen(holds=size > 60 * _LARGE, what=f"drain returned after a small message; then {size >> 20} MiB were in the buffer")


def streams_lose_a_connection(directory: Path) -> Seen:
    """A handler that raises, and another connection."""
    server = Other(serve_streams, directory)
    number = server.said()

    async def asked() -> tuple[bytes, bytes]:
        reader, writer = await asyncio.open_unix_connection(directory / "socket")
        failed = asyncio.ensure_future(_silent(reader, writer))
        await asyncio.sleep(0)
        other = await _asked(directory / "socket", b"who\n")
        return await failed, other

    failed, other = asyncio.run(asked())
    server.kill()
    return Seen(holds=not failed and int(other) == number, what=f"on its connection: {failed!r}, on another one: an answer")


async def _silent(reader: StreamReader, writer: StreamWriter) -> bytes:
    writer.write(b"fail\nwho\n")
    with suppress(TimeoutError):
        return await asyncio.wait_for(reader.readline(), BRIEF)
    return b""


def streams_hold_nobody_up(directory: Path) -> Seen:
    """A handler that awaits for long, and another connection."""
    server = Other(serve_streams, directory)
    server.said()

    async def asked() -> bytes:
        _, writer = await asyncio.open_unix_connection(directory / "socket")
        writer.write(b"slow\n")
        await writer.drain()
        return await _asked(directory / "socket", b"who\n")

    answer = asyncio.run(asked())
    server.kill()
    return Seen(holds=bool(answer), what="another client was answered meanwhile")


def sockets_have_the_umask_s_mode(directory: Path) -> Seen:
    """The modes of both libraries' sockets."""
    umask = os.umask(0o022)
    one, two = Other(listen_and_accept, _made(directory / "one")), Other(serve_streams, _made(directory / "two"))
    one.said()
    two.said()
    os.umask(umask)
    modes = {oct(stat.S_IMODE((directory / name / "socket").stat().st_mode)) for name in ("one", "two")}
    one.kill()
    two.kill()
    return Seen(holds=modes == {"0o755"}, what=f"with the umask 022: {', '.join(sorted(modes))}")


def _made(directory: Path) -> Path:
    directory.mkdir()
    return directory


def threads_mix_bytes(directory: Path) -> Seen:
    """Two threads that send large messages through one connection."""
    client, server = _pair(directory)
    for letter in b"ab":
        Thread(target=_send, args=(client, letter), daemon=True).start()
    mixed = _mixed(server)
    return Seen(holds=mixed > 0, what=f"{mixed} messages had bytes of both, until a length meant nothing")


def forks_mix_bytes(directory: Path) -> Seen:
    """A process and its child, which send large messages through one connection."""
    client, server = _pair(directory)
    child = os.fork()
    if not child:
        server.close()  # its copy would keep the child from noticing the end
        _send(client, ord("a"))
        os._exit(0)
    Thread(target=_send, args=(client, ord("b")), daemon=True).start()
    mixed = _mixed(server)
    server.close()
    os.waitpid(child, 0)
    return Seen(holds=mixed > 0, what=f"{mixed} messages had bytes of both, until a length meant nothing")


def _pair(directory: Path) -> tuple[Connection, Connection]:
    with Listener(str(directory / "socket"), "AF_UNIX") as listener:
        client = Client(str(directory / "socket"), "AF_UNIX")
        return client, listener.accept()


def _send(client: Connection, letter: int) -> None:
    with suppress(OSError):  # the other end stops at the first length that means nothing
        for _ in range(20):
            client.send_bytes(bytes([letter]) * _LARGE)


def _mixed(server: Connection) -> int:
    """How many messages have bytes of more than one sender, as far as messages can be told apart."""
    mixed = 0
    with suppress(EOFError, OSError):
        while server.poll(BRIEF):
            mixed += len(set(server.recv_bytes(2 * _LARGE))) > 1
    return mixed


STATEMENTS: Final = (
    Statement("`send_bytes` of multiprocessing.connection succeeds even if nobody ever reads the bytes", sends_into_a_buffer),
    Statement(
        "a server of multiprocessing.connection hangs while it reads from a client that has sent half a message", hangs_in_half_a_message
    ),
    Statement("a second Listener is refused; after a kill none can start until somebody deletes the socket", name_blocked_after_kill),
    Statement("threads that use one connection of multiprocessing.connection mix their bytes", threads_mix_bytes),
    Statement("so do a process and its child after a fork", forks_mix_bytes),
    Statement(
        "a second asyncio server takes the path of the first, which notices nothing; it leaves an ordinary file", streams_take_the_name
    ),
    Statement("asyncio's streams buffer without a limit, unless the program calls drain after each write", streams_buffer_without_limit),
    Statement("a request on which an asyncio handler fails costs its connection", streams_lose_a_connection),
    Statement("one client's slow request holds nobody up with asyncio, if the handler awaits", streams_hold_nobody_up),
    Statement("multiprocessing.connection and asyncio create sockets with the mode that the umask leaves", sockets_have_the_umask_s_mode),
)
