"""RPyC, with its threaded server."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from time import monotonic, sleep
from typing import Final

import rpyc
from rpyc.utils.factory import unix_connect
from rpyc.utils.server import ThreadedServer

from benchmarks.contestant import patiently
from benchmarks.statements.seen import BRIEF, PATIENCE, Other, Say, Seen, Statement, attempt


class Service(rpyc.Service):
    """The functions that clients may call."""

    def exposed_echo(self, content: bytes) -> bytes:
        """Fail or take long if the content says so."""
        if content == b"fail":
            raise ValueError("on purpose")
        if content == b"slow":
            sleep(BRIEF * 4)
        return content

    def exposed_keep(self, tell: Callable[[bytes], object]) -> None:
        """Speak to the client later."""

        def speak() -> None:
            sleep(BRIEF / 5)
            tell(b"news")

        Thread(target=speak, daemon=True).start()


def serve(say: Say, directory: Path) -> None:
    """The server."""
    server = ThreadedServer(Service, socket_path=str(directory / "socket"))
    say(os.getpid())
    server.start()


def _started(directory: Path) -> tuple[Other, rpyc.Connection]:
    server = Other(serve, directory)
    server.said()
    path = str(directory / "socket")
    return server, patiently(lambda: unix_connect(path), path)  # it listens a moment after it is made


def refuses_a_second(directory: Path) -> Seen:
    """A second server at the path of the first."""
    server, _ = _started(directory)
    _, refused = attempt(lambda: ThreadedServer(Service, socket_path=str(directory / "socket")))
    answered = unix_connect(str(directory / "socket")).root.echo(b"who")
    server.kill()
    return Seen(holds=bool(refused) and answered == b"who", what=f"the second: {refused}; the first answers a new client")


def ask_slowly(say: Say, directory: Path) -> None:
    """Have a call under way."""
    client = unix_connect(str(directory / "socket"))
    slow = rpyc.async_(client.root.echo)(b"slow")
    say("asked")
    sleep(PATIENCE + len(slow.value))


def survives_a_client(directory: Path) -> Seen:
    """A client that is killed with a call under way, and another one."""
    server, other = _started(directory)
    client = Other(ask_slowly, directory)
    client.said()
    client.kill()
    answered = other.root.echo(b"who")
    server.kill()
    return Seen(holds=answered == b"who", what="the next call was answered")


def blocked_by_a_stale_socket(directory: Path) -> Seen:
    """A server at the path that a dead one left."""
    path = str(directory / "socket")
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(path)
    _, refused = attempt(lambda: ThreadedServer(Service, socket_path=path))
    return Seen(holds=bool(refused), what=refused)


def fault_costs_the_request(directory: Path) -> Seen:
    """A call that raises, and the next one."""
    server, client = _started(directory)
    _, raised = attempt(lambda: client.root.echo(b"fail"))
    answered = client.root.echo(b"next")
    server.kill()
    return Seen(holds="on purpose" in raised and answered == b"next", what="the call raised ValueError, the next one was answered")


def slow_holds_nobody_up(directory: Path) -> Seen:
    """A slow call of one client, and a call of another."""
    server, client = _started(directory)
    other = unix_connect(str(directory / "socket"))
    slow = rpyc.async_(client.root.echo)(b"slow")
    began = monotonic()
    other.root.echo(b"quick")
    took = monotonic() - began
    late = slow.value == b"slow" and monotonic() - began > took
    server.kill()
    return Seen(holds=late and took < BRIEF * 4, what=f"the other client was answered in {took * 1000:.0f} ms")


def speaks_unasked(directory: Path) -> Seen:
    """A client that gave the server a function, and serves in the background."""
    server, client = _started(directory)
    heard: SimpleQueue[bytes] = SimpleQueue()
    client.root.keep(heard.put)
    rpyc.BgServingThread(client)
    told = heard.get(timeout=PATIENCE)
    server.kill()
    return Seen(holds=told == b"news", what="the server called the client's function")


def socket_has_the_umask_s_mode(directory: Path) -> Seen:
    """The mode of a socket."""
    os.umask(0o022)
    server, _ = _started(directory)
    mode = (directory / "socket").stat().st_mode & 0o777
    server.kill()
    return Seen(holds=mode == 0o755, what=f"with the umask 022: {mode:#o}")


STATEMENTS: Final = (
    Statement("a second server under the same path fails, and the first goes on", refuses_a_second),
    Statement("the socket of a dead server blocks the next one", blocked_by_a_stale_socket),
    Statement("a server goes on when a client is killed with a call under way", survives_a_client),
    Statement("a request on which the handler fails costs no more than that request", fault_costs_the_request),
    Statement("one client's slow request holds nobody up", slow_holds_nobody_up),
    Statement("a server speaks to clients that asked nothing", speaks_unasked),
    Statement("a socket has the mode that the umask leaves", socket_has_the_umask_s_mode),
)
