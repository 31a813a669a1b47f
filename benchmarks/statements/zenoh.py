"""zenoh over unix sockets, without discovery."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from threading import Event, Thread
from time import monotonic, sleep
from typing import Final

import zenoh

from benchmarks.statements.seen import BRIEF, PATIENCE, Other, Say, Seen, Statement, attempt

_KEY: Final = "statements"
_MANY: Final = 10_000
_LARGE: Final = 2048
"""Bytes of a message, fewer than those that go through shared memory."""


def _opened(mode: str, way: str, directory: Path) -> zenoh.Session:
    config = zenoh.Config()
    settings = {"mode": mode, f"{way}/endpoints": [f"unixsock-stream/{directory / 'socket'}"]}
    for key, value in {**settings, "scouting/multicast/enabled": False, "scouting/gossip/enabled": False}.items():
        config.insert_json5(key, json.dumps(value))
    return zenoh.open(config)


def _listening(directory: Path) -> zenoh.Session:
    return _opened("peer", "listen", directory)


def _connected(directory: Path) -> zenoh.Session:
    return _opened("client", "connect", directory)


def serve(say: Say, directory: Path) -> None:
    """Answer queries with the process's number; fail or take long if they say so; speak without being asked."""
    session = _listening(directory)

    def answer(query: zenoh.Query) -> None:
        content = query.payload.to_bytes() if query.payload else b""
        if content == b"fail":
            raise ValueError("on purpose")
        if content == b"slow":
            sleep(BRIEF * 2)
        query.reply(_KEY, b"%d" % os.getpid())
        query.drop()

    session.declare_queryable(_KEY, answer)
    say(os.getpid())
    while True:
        sleep(BRIEF / 10)
        session.put("news", b"news")


def _asked(session: zenoh.Session, content: bytes) -> list[bytes]:
    """All replies."""
    return [reply.ok.payload.to_bytes() for reply in session.get(_KEY, payload=content) if reply.ok is not None]


def name_has_one_owner(directory: Path) -> Seen:
    """A second server beside the first, and one after a kill."""
    first = Other(serve, directory)
    first.said()
    _, beside = attempt(lambda: _listening(directory))
    goes_on = bool(_asked(_connected(directory), b"who"))
    first.kill()
    _, after = attempt(lambda: _listening(directory))
    return Seen(holds=goes_on and bool(beside) and not after, what=f"beside: refused by a lock; after a kill: {after or 'it starts'}")


def ask_slowly(say: Say, directory: Path) -> None:
    """Have a query under way."""
    session = _connected(directory)
    replies = session.get(_KEY, payload=b"slow")
    say("asked")
    list(replies)
    sleep(PATIENCE)


def survives_a_client(directory: Path) -> Seen:
    """A client that is killed with a query under way, and another one."""
    server = Other(serve, directory)
    server.said()
    client = Other(ask_slowly, directory)
    client.said()
    client.kill()
    answered = _asked(_connected(directory), b"who")
    server.kill()
    return Seen(holds=bool(answered), what="the next client was answered")


def deletes_a_file(directory: Path) -> Seen:
    """A server at the path of an ordinary file."""
    file = directory / "socket"
    file.write_text("precious")
    session = _listening(directory)
    deleted = stat.S_ISSOCK(file.stat().st_mode)
    session.close()
    return Seen(holds=deleted, what="it started, and the file is a socket")


def nobody_and_a_fault_look_the_same(directory: Path) -> Seen:
    """A query without a server, one on which the server's function fails, and the next one."""
    server = Other(serve, directory)
    server.said()
    session = _connected(directory)
    session.put("nobody/listens", b"message")
    nobody = list(session.get("nobody/answers"))
    failed = _asked(session, b"fail")
    following = _asked(session, b"who")
    server.kill()
    holds = not nobody and not failed and bool(following)
    return Seen(holds=holds, what=f"nobody: {nobody}; a fault: {failed}; the next query was answered; put without a subscriber returned")


def slow_holds_up(directory: Path) -> Seen:
    """A slow query of one session, and a query of another."""
    server = Other(serve, directory)
    server.said()
    one, two = _connected(directory), _connected(directory)
    slow = Thread(target=_asked, args=(one, b"slow"))
    slow.start()
    sleep(BRIEF / 5)  # so that it comes first
    began = monotonic()
    _asked(two, b"who")
    took = monotonic() - began
    slow.join()
    server.kill()
    return Seen(holds=took > BRIEF, what=f"the other session waited {took:.1f} s")


def speaks_unasked(directory: Path) -> Seen:
    """A session that only listens."""
    server = Other(serve, directory)
    server.said()
    session = _connected(directory)  # a session that nobody refers to is closed, whatever was declared in it
    heard = session.declare_subscriber("news").recv().payload.to_bytes()
    session.close()
    server.kill()
    return Seen(holds=heard == b"news", what=f"a session that asked nothing got {heard!r}")


def read_late(say: Say, directory: Path) -> None:
    """Count what has come, some time after it came."""
    session = _listening(directory)
    subscriber = session.declare_subscriber(_KEY)
    say("up")
    sleep(BRIEF * 2)
    count, deadline = 0, monotonic() + BRIEF
    while monotonic() < deadline:
        if subscriber.try_recv() is None:
            sleep(0.001)
        else:
            count, deadline = count + 1, monotonic() + BRIEF
    say(count)
    sleep(PATIENCE)


def never_read(say: Say, directory: Path) -> None:
    """Let messages wait."""
    session = _listening(directory)
    session.declare_subscriber(_KEY, lambda _: Event().wait())
    say("up")
    sleep(PATIENCE * 3)


def _put_many(directory: Path, strategy: zenoh.CongestionControl) -> tuple[float, int]:
    """The longest that one of many messages took, and the connections after the last one."""
    session = _connected(directory)
    publisher = session.declare_publisher(_KEY, congestion_control=strategy)
    while not publisher.matching_status.matching:
        sleep(0.001)
    longest = 0.0
    for _ in range(_MANY):
        began = monotonic()
        publisher.put(bytes(_LARGE))
        longest = max(longest, monotonic() - began)
    return longest, len(session.info.links())


def drops_by_default(directory: Path) -> Seen:
    """Many messages to a server that reads them a second later."""
    server = Other(read_late, directory)
    server.said()
    longest, _ = _put_many(directory, zenoh.CongestionControl.DROP)
    came = server.said()
    server.kill()
    what = f"{_MANY:,} messages were put, none took longer than {longest:.3f} s, {came} came"
    return Seen(holds=isinstance(came, int) and came < _MANY, what=what)


def blocking_closes(directory: Path) -> Seen:
    """Many messages to a server that does not read, where a message is to wait for its place."""
    server = Other(never_read, directory)
    server.said()
    longest, links = _put_many(directory, zenoh.CongestionControl.BLOCK)
    server.kill()
    what = f"one message took {longest:.1f} s; then there were {links} connections, and the other messages were put without an error"
    return Seen(holds=4 < longest < 7 and links == 0, what=what)


def socket_has_the_umask_s_mode(directory: Path) -> Seen:
    """The mode of a socket."""
    os.umask(0o022)
    session = _listening(directory)
    mode = stat.S_IMODE((directory / "socket").stat().st_mode)
    session.close()
    return Seen(holds=mode == 0o755, what=f"with the umask 022: {mode:#o}")


STATEMENTS: Final = (
    Statement("a name has one owner by a lock, and a dead owner's is replaced", name_has_one_owner),
    Statement("a server goes on when a client is killed with a query under way", survives_a_client),
    Statement("it deletes an ordinary file at its path", deletes_a_file),
    Statement(
        "a query has no reply and no error, both without a server and when the server's function fails", nobody_and_a_fault_look_the_same
    ),
    Statement("one client's slow request holds everybody up, if the server answers in a callback", slow_holds_up),
    Statement("a server speaks to clients that asked nothing", speaks_unasked),
    Statement("put returns when the queue is full, and drops the message", drops_by_default),
    Statement("with BLOCK it waits five seconds, closes the connection, and drops messages without an error", blocking_closes),
    Statement("a socket has the mode that the umask leaves", socket_has_the_umask_s_mode),
)
