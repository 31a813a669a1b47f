"""What a round trip costs: a 16-byte message there and back between two processes, beside the peers.

    python -m benchmarks.round_trip [ROUNDS]

Rounds of all contestants are interleaved, since machines are shared and noisy: only the ratios of one run count.
Where the two processes run decides more than anything else (waking another core costs tens of microseconds), and the
system's choice changes from run to run; so each is measured with both processes on one core, and on two.
"""

import os
import socket
import sys
from collections.abc import Callable
from contextlib import ExitStack
from multiprocessing import get_context
from multiprocessing.connection import Client, Listener
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Final

from returns.pipeline import is_successful

from ipcfold import IPC, Continuation, Message, Name, Process

_TRIPS: Final = 2000  # a round
_CONTENT: Final = b"0123456789abcdef"
_NAME: Final = Name("bench")
_PATIENCE: Final = 20.0


def echo(message: Message, continuation: Continuation[int], carry: int) -> Continuation[int]:
    """Respond with what came; stop at an empty one."""
    return continuation.respond(carry + 1, message) if message.content else continuation.stop(carry)


def serve_ipcfold(directory: str) -> None:
    """Echo through the library."""
    if not is_successful(IPC(directory).listen(_NAME)(0, echo)):
        raise SystemExit(1)


def serve_raw(path: str) -> None:
    """Echo through a bare blocking socket."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        stream, _ = listener.accept()
        with stream:
            while data := stream.recv(65536):
                stream.sendall(data)


def serve_multiprocessing(path: str) -> None:
    """Echo through the standard library's connections."""
    with Listener(path, "AF_UNIX") as listener, listener.accept() as connection:
        while data := connection.recv_bytes():
            connection.send_bytes(data)


def timed(trip: Callable[[], object]) -> float:
    """Seconds for one trip, over a round."""
    began = perf_counter()
    for _ in range(_TRIPS):
        trip()
    return (perf_counter() - began) / _TRIPS


def connected(path: Path) -> socket.socket:
    """A bare socket to a server that may not be up yet."""
    while True:
        stream = socket.socket(socket.AF_UNIX)
        try:
            stream.connect(str(path))
        except OSError:
            stream.close()
        else:
            return stream


def main(rounds: int) -> None:
    """Measure and print."""
    spawn = get_context("spawn")
    with TemporaryDirectory() as directory, ExitStack() as stack:
        raw, pipe = Path(directory, "raw"), Path(directory, "pipe")
        targets = [(serve_ipcfold, directory), (serve_raw, str(raw)), (serve_multiprocessing, str(pipe))]
        servers = [spawn.Process(target=target, args=(argument,)) for target, argument in targets]
        for server in servers:
            server.start()
        message = Message.octets(_CONTENT)
        process: Process = stack.enter_context(IPC(directory).wait(_NAME, _PATIENCE).unwrap())
        stream = stack.enter_context(connected(raw))
        while not pipe.exists():
            pass
        connection = stack.enter_context(Client(str(pipe), "AF_UNIX"))

        def through_raw() -> None:
            stream.sendall(_CONTENT)
            stream.recv(65536)

        def through_multiprocessing() -> None:
            connection.send_bytes(_CONTENT)
            connection.recv_bytes()

        def send_then_wait() -> None:
            process.send(message).unwrap()
            process.wait().unwrap()

        contestants: dict[str, Callable[[], object]] = {
            "raw blocking socket": through_raw,
            "multiprocessing.connection": through_multiprocessing,
            "ipcfold, send then wait": send_then_wait,
            "ipcfold, ask": lambda: process.ask(message).unwrap(),
            "ipcfold, ask with timeout": lambda: process.ask(message, _PATIENCE).unwrap(),
        }
        for title, client_cores, server_cores in placements():
            place(0, client_cores)
            for server in servers:
                place(server.pid or 0, server_cores)
            times: dict[str, list[float]] = {name: [] for name in contestants}
            for _ in range(rounds):
                for name, trip in contestants.items():
                    times[name].append(timed(trip))
            show(title, times)
        process.send(Message.octets(b"")).unwrap()
        process.wait()
        connection.send_bytes(b"")
        stream.close()
        for server in servers:
            server.join(_PATIENCE)


def placements() -> list[tuple[str, set[int], set[int]]]:
    """Where to run: a title, the client's cores, the servers' cores."""
    if sys.platform != "linux":
        return [("wherever the system puts them", set(), set())]
    one, *others = sorted(os.sched_getaffinity(0))
    return [("on one core", {one}, {one}), *(("on two cores", {one}, {other}) for other in others[:1])]


def place(pid: int, cores: set[int]) -> None:
    """Keep that process on those cores; 0 is this one."""
    if sys.platform == "linux":
        os.sched_setaffinity(pid, cores)


def show(title: str, times: dict[str, list[float]]) -> None:
    """Print the table of one placement."""
    base = median(times["raw blocking socket"])
    print(f"{title:28} {'median':>9} {'fastest':>9} {'x raw':>7}")  # noqa: T201 - the table is its purpose
    for name, each in times.items():
        print(f"{name:28} {median(each) * 1e6:6.1f} us {min(each) * 1e6:6.1f} us {median(each) / base:7.2f}")  # noqa: T201 - as above


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 15)
