"""Servers of which one memory allocation fails: `python -m tests.shells.starved DIRECTORY FIRST LAST`.

Each line is what became of one of them: which allocation failed, the carry, how many messages were acknowledged, and
which files, descriptors, blocked signals and signal handlers are left. The last line is of a server that ended before that allocation,
or of the LAST allocation.
"""

import _testcapi  # type: ignore[import-not-found]  # it is CPython's, for its own tests
import os
import signal
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from returns.result import Failure, Success

from ipcfold import IPC, Continuation, Limits, Message, cases
from ipcfold.events import Connected, Event
from tests.shells.support import NAME
from tests.shells.wire import CLOSE, CLOSE_OK, RECEIVED, START, START_OK, frame

MESSAGES = 6


def converse(directory: str, report: int) -> None:
    """In a forked child, whose memory never fails: send messages, and report how many were acknowledged."""
    acknowledged = 0
    with socket.socket(socket.AF_UNIX) as stream, suppress(OSError):
        stream.settimeout(60)
        stream.connect(f"{directory}/{NAME}.sock")
        stream.sendall(frame(START_OK) + frame("ping") * (MESSAGES // 2))
        data = b""
        more = True
        while taken := stream.recv(65536):
            data += taken
            if more and data.count(frame(RECEIVED)):
                more = False
                stream.sendall(frame("ping") * (MESSAGES - MESSAGES // 2))
            acknowledged = data.count(frame(RECEIVED))
            if frame(CLOSE) in data:
                stream.sendall(frame(CLOSE_OK))
                data = data.replace(frame(CLOSE), b"")
            assert data.count(frame(START)) <= 1
    os.write(report, bytes([acknowledged]))
    os._exit(0)


def descriptors() -> list[str]:
    """What is behind each open descriptor."""
    targets = list[str]()
    for descriptor in os.listdir("/dev/fd"):
        with suppress(FileNotFoundError):  # it is that of the listing itself
            targets.append(f"{descriptor} {os.readlink(f'/dev/fd/{descriptor}')}")
    return targets


def handlers() -> list[object]:
    """The handlers of the signals that end a server, and the descriptor that the interpreter writes signals to."""
    return [*map(signal.getsignal, (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)), signal.set_wakeup_fd(-1)]


def spent(number: int) -> bool:
    """Whether the allocation of that number has failed already."""
    try:
        for _ in range(number + 1):
            bytearray(1000)
    except MemoryError:
        return False
    return True


def serve(directory: str, begin: Callable[[], None], end: Callable[[], None]) -> str:
    """One server and one client of it; the failures begin once it is accepted."""
    read, write = os.pipe()
    started, child = list[int](), 0

    def observe(event: Event) -> None:
        if isinstance(event, Connected) and not started:
            started.append(1)
            begin()

    def count(message: Message, continuation: Continuation[int], carry: int) -> Continuation[int]:
        answer = continuation.respond(carry + 1, message)
        return answer.stop(carry + 1) if carry + 1 == MESSAGES else answer

    child = os.fork()
    if child == 0:
        signal.alarm(20)  # should the server never listen
        while not os.path.exists(f"{directory}/{NAME}.sock"):
            pass
        converse(directory, write)
    ipc = IPC(directory, heartbeat=0.2, limits=Limits(drain=0.5, handshake=1.0, frame=1.0), observe=observe)
    try:
        result = ipc.listen(NAME, 1.0)(0, count)
    finally:
        end()
    os.close(write)
    acknowledged = (os.read(read, 1) or b"\xff")[0]
    os.close(read)
    os.waitpid(child, 0)
    left = os.listdir(directory), descriptors(), signal.pthread_sigmask(signal.SIG_BLOCK, ()), handlers()
    match cases(result):
        case Success(carry):
            return f"{carry} {acknowledged} {left}"
        case Failure(error):
            return f"{getattr(error, 'carry', None)} {acknowledged} {left} {error}"


def main(directory: str, first: str, last: str) -> None:
    serve(directory, lambda: None, lambda: None)  # import everything
    for number in range(int(first), int(last) + 1):
        reached = list[bool]()

        def end(number: int = number, reached: list[bool] = reached) -> None:
            reached.append(spent(number))
            _testcapi.remove_mem_hooks()

        said = serve(directory, partial(_testcapi.set_nomemory, number, number + 1), end)
        print(number, said, flush=True)  # noqa: T201 - the output is its purpose
        if not reached[0]:
            break


if __name__ == "__main__":
    main(*sys.argv[1:])
