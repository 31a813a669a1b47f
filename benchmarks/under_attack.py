"""What 200 clients notice of an attack: the time of their requests with and without it.

    python -m benchmarks.under_attack [ROUNDS]

The attackers are 400 connections beside them: half of them say nothing, half drip a byte of a large frame each second;
whoever is ended comes again. Rounds with and without them are interleaved, since machines are shared and noisy: only
the ratios of one run count.
"""

import selectors
import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median, quantiles
from tempfile import TemporaryDirectory
from time import monotonic, perf_counter
from typing import Final

from returns.pipeline import is_successful

from benchmarks.peers.ipcfold import echo
from ipcfold import IPC, Limits, Message, Name

_NAME: Final = Name("attacked")
_CLIENTS: Final = 200
_ATTACKERS: Final = 400
_PATIENCE: Final = 20.0
_LIMITS: Final = Limits(handshake=2, frame=4)  # so that a round sees them end, too

_ACCEPT: Final = b"\x00\x0atext/plain\x00\x00\x00\x1finnmind/ipc:connection.start-ok\xce"
_LARGE: Final = b"\x00\x0atext/plain\x00\x10\x00\x00"


def serve(directory: str) -> None:
    """Echo through the library."""
    if not is_successful(IPC(directory, limits=_LIMITS).listen(_NAME)(0, echo)):
        raise SystemExit(1)


def attack(path: str, orders: Connection) -> None:
    """Attack while told to; answers each order with the number of connections that the server has ended."""
    selector = selectors.DefaultSelector()
    selector.register(orders, selectors.EVENT_READ)
    attackers = dict[socket.socket, Iterator[bytes]]()
    ended, drip_at = 0, monotonic()
    while True:
        for key, _ in selector.select(max(0.0, drip_at - monotonic())):
            if key.fileobj is orders:
                wanted = orders.recv()
                while len(attackers) < wanted:
                    attackers[joined(path, selector)] = dripping() if len(attackers) % 2 else silent()
                if not wanted:
                    for attacker in attackers:
                        selector.unregister(attacker)
                        attacker.close()
                    attackers.clear()
                orders.send(ended)
                if wanted < 0:
                    return
            elif isinstance(stream := key.fileobj, socket.socket) and not heard(stream):
                ended += 1
                selector.unregister(stream)
                drips = next(attackers.pop(stream)) != b""
                stream.close()
                attackers[joined(path, selector)] = dripping() if drips else silent()
        if monotonic() >= drip_at:
            drip_at += 1.0
            for stream, said in attackers.items():
                try:
                    stream.send(next(said))
                except OSError:
                    continue  # it was ended, and is seen to be in the next turn


def joined(path: str, selector: selectors.BaseSelector) -> socket.socket:
    """One attacker more."""
    stream = socket.socket(socket.AF_UNIX)
    stream.connect(path)
    stream.setblocking(False)
    selector.register(stream, selectors.EVENT_READ)
    return stream


def heard(stream: socket.socket) -> bool:
    """Whether the server still talks to it."""
    try:
        return bool(stream.recv(65536))
    except OSError:
        return False


def silent() -> Iterator[bytes]:
    """What is said each second by who connects and says nothing."""
    while True:
        yield b""


def dripping() -> Iterator[bytes]:
    """What is said each second by who drips a byte at a time."""
    yield _ACCEPT + _LARGE
    while True:
        yield b"x"


def main(rounds: int) -> None:
    """Measure and print."""
    spawn = get_context("spawn")
    orders, theirs = spawn.Pipe()
    times: dict[str, list[float]] = {"without": [], "under attack": []}
    with TemporaryDirectory() as directory, ExitStack() as stack:
        server = spawn.Process(target=serve, args=(directory,))
        attacker = spawn.Process(target=attack, args=(str(Path(directory, f"{_NAME}.sock")), theirs))
        server.start()
        clients = [stack.enter_context(IPC(directory).wait(_NAME, _PATIENCE).unwrap()) for _ in range(_CLIENTS)]
        attacker.start()
        message = Message.octets(b"0123456789abcdef")
        ended = 0
        for _ in range(rounds):
            for name, attackers in (("without", 0), ("under attack", _ATTACKERS)):
                orders.send(attackers)
                ended = orders.recv()
                began = monotonic()
                while monotonic() - began < _LIMITS.frame + 2:  # long enough for every attacker to be ended
                    for client in clients:
                        asked = perf_counter()
                        client.ask(message).unwrap()
                        times[name].append(perf_counter() - asked)
        orders.send(-1)
        ended = orders.recv()
        attacker.join(_PATIENCE)
        clients[0].send(Message.octets(b"")).unwrap()
        server.join(_PATIENCE)
    base = times["without"]
    print(f"{'one request of 200 clients':28} {'median':>9} {'99 of 100':>10} {'x without':>10}")  # noqa: T201 - the table is its purpose
    for name, each in times.items():
        late = quantiles(each, n=100)[98]
        ratio = f"{median(each) / median(base):.2f}, {late / quantiles(base, n=100)[98]:.2f}"
        print(f"{name:28} {median(each) * 1e6:6.1f} us {late * 1e6:7.1f} us {ratio:>10}")  # noqa: T201 - as above
    print(f"attackers ended by the server: {ended}")  # noqa: T201 - as above


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 6)
