"""gRPC, with the server that has a pool of threads."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from time import monotonic, sleep
from typing import Final

import grpc

from benchmarks.statements.seen import BRIEF, PATIENCE, Other, Say, Seen, Statement, attempt

_SLOW: Final = BRIEF * 2


def echo(content: bytes, _: grpc.ServicerContext) -> bytes:
    """Fail or take long if the content says so; say the process's number if it asks."""
    if content == b"fail":
        raise ValueError("on purpose")
    if content == b"slow":
        sleep(_SLOW)
    return b"%d" % os.getpid() if content == b"who" else content


def follow(_: bytes, __: grpc.ServicerContext) -> Iterator[bytes]:
    """Speak as long as the stream is open."""
    while True:
        sleep(BRIEF / 10)
        yield b"news"


def _server(workers: int, path: Path) -> grpc.Server:
    server = grpc.server(ThreadPoolExecutor(workers))
    methods = {"Echo": grpc.unary_unary_rpc_method_handler(echo), "Follow": grpc.unary_stream_rpc_method_handler(follow)}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("statements", methods),))
    server.add_insecure_port(f"unix:{path}")
    server.start()
    return server


def serve(say: Say, directory: Path) -> None:
    """A server with two workers."""
    server = _server(2, directory / "socket")
    say(os.getpid())
    server.wait_for_termination()


def serve_one(say: Say, directory: Path) -> None:
    """A server with one worker."""
    server = _server(1, directory / "socket")
    say(os.getpid())
    server.wait_for_termination()


def _call(directory: Path) -> grpc.UnaryUnaryMultiCallable:
    """The method, on a connection of its own."""
    options = (("grpc.use_local_subchannel_pool", 1),)
    return grpc.insecure_channel(f"unix:{directory / 'socket'}", options=options).unary_unary("/statements/Echo")


def _asked(directory: Path, content: bytes) -> bytes:
    return _call(directory)(content, timeout=PATIENCE, wait_for_ready=True)


def takes_the_name(directory: Path) -> Seen:
    """A second server at the path of the first."""
    first = Other(serve, directory)
    first.said()
    second = Other(serve, directory)
    number = second.said()
    answered = int(_asked(directory, b"who"))
    holds = answered == number and not first.ended
    first.kill()
    second.kill()
    return Seen(holds=holds, what="the second one answers a new client, the first one runs on")


def removes_the_successor_s_path(directory: Path) -> Seen:
    """A second server at the path of the first, which stops after that."""
    path = directory / "socket"
    first = _server(1, path)
    second = Other(serve, directory)
    number = second.said()
    answered = int(_asked(directory, b"who"))
    first.stop(None).wait()
    gone = not path.exists()
    runs = not second.ended
    second.kill()
    return Seen(holds=answered == number and gone and runs, what="the second one had answered, and runs on; its path is gone")


def ask_slowly(say: Say, directory: Path) -> None:
    """Have a call under way."""
    slow = _call(directory).future(b"slow", timeout=PATIENCE)
    say("asked")
    slow.result()
    sleep(PATIENCE)


def survives_a_client(directory: Path) -> Seen:
    """A client that is killed with a call under way, and another one."""
    server = Other(serve, directory)
    server.said()
    client = Other(ask_slowly, directory)
    client.said()
    client.kill()
    answered = _asked(directory, b"next")
    server.kill()
    return Seen(holds=answered == b"next", what="the next call was answered")


def _beside_a_slow_one(server: Other, directory: Path) -> float:
    """How long a request takes beside a slow one of another client."""
    server.said()
    _asked(directory, b"first")
    slow = _call(directory).future(b"slow", timeout=PATIENCE)
    sleep(BRIEF / 5)  # so that it comes first
    began = monotonic()
    _asked(directory, b"quick")
    took = monotonic() - began
    slow.result()
    server.kill()
    return took


def slow_waits_for_a_worker(directory: Path) -> Seen:
    """The same request beside a slow one, with one worker and with two."""
    with_one = _beside_a_slow_one(Other(serve_one, _made(directory / "one")), directory / "one")
    with_two = _beside_a_slow_one(Other(serve, _made(directory / "two")), directory / "two")
    return Seen(holds=with_one > with_two + _SLOW / 3, what=f"one worker: {with_one:.2f} s; two workers: {with_two:.3f} s")


def _made(directory: Path) -> Path:
    directory.mkdir()
    return directory


def speaks_in_a_stream_only(directory: Path) -> Seen:
    """A client that is connected and asked nothing, and one that opened a stream."""
    server = _server(2, directory / "socket")
    channel = grpc.insecure_channel(f"unix:{directory / 'socket'}")
    ready = Event()
    channel.subscribe(lambda state: ready.set() if state is grpc.ChannelConnectivity.READY else None, try_to_connect=True)
    connected = ready.wait(PATIENCE)
    methods = sorted(name for name in dir(server) if not name.startswith("_"))
    heard = next(channel.unary_stream("/statements/Follow")(b"", timeout=PATIENCE))
    known = {
        "add_generic_rpc_handlers",
        "add_insecure_port",
        "add_registered_method_handlers",
        "add_secure_port",
        "start",
        "stop",
        "wait_for_termination",
    }
    what = f"nothing of the server takes a connected client: it has {', '.join(methods)}; in a stream it sent {heard!r}"
    return Seen(holds=connected and set(methods) <= known and heard == b"news", what=what)


def fault_costs_the_request(directory: Path) -> Seen:
    """A call that raises, and the next one."""
    server = Other(serve, directory)
    server.said()
    _, raised = attempt(lambda: _asked(directory, b"fail"))
    answered = _asked(directory, b"next")
    server.kill()
    return Seen(holds=bool(raised) and answered == b"next", what="the call raised RpcError, the next one was answered")


def socket_has_the_umask_s_mode(directory: Path) -> Seen:
    """The mode of a socket."""
    os.umask(0o022)
    server = Other(serve, directory)
    server.said()
    mode = (directory / "socket").stat().st_mode & 0o777
    server.kill()
    return Seen(holds=mode == 0o755, what=f"with the umask 022: {mode:#o}")


STATEMENTS: Final = (
    Statement("a second server under the same path succeeds, and the first notices nothing", takes_the_name),
    Statement("when the first one stops, it removes the path of the second", removes_the_successor_s_path),
    Statement("one client's slow request holds nobody up, while the pool has a free worker", slow_waits_for_a_worker),
    Statement("a server speaks only in a stream that the client has opened", speaks_in_a_stream_only),
    Statement("a server goes on when a client is killed with a call under way", survives_a_client),
    Statement("a request on which the handler fails costs no more than that request", fault_costs_the_request),
    Statement("a socket has the mode that the umask leaves", socket_has_the_umask_s_mode),
)
