"""A client whose signal handler forks without the hooks of Python while a verb waits: `python -m tests.accelerator.forked DIRECTORY VERB`.

Prints what the verb gave the child, and then what it gave the parent. No thread runs, because a child would miss it.
"""

import ctypes
import os
import signal
import socket
import sys

from ipcfold import IPC
from tests.shells.support import NAME, PATIENCE, PING
from tests.shells.wire import RECEIVED, Wire


def serve(listener: socket.socket, client: int, handled: int, *, waits: bool) -> None:
    """Interrupt the client's verb until it has forked and its child is gone, then answer."""
    wire = Wire(listener.accept()[0]).greet()
    if not waits:
        wire.expect("ping")
    os.set_blocking(handled, False)
    while True:
        os.kill(client, signal.SIGUSR1)  # the first ones may come before the client waits for bytes
        if not wire.heard(0.01):
            try:
                os.read(handled, 1)
            except BlockingIOError:
                continue
        break
    wire.write(*[RECEIVED] * (not waits), "pong").ended()


def main(directory: str, verb: str) -> None:
    owner = os.getpid()
    handled, handle = os.pipe()
    ready = False

    def fork(*_: object) -> None:
        nonlocal ready
        if ready:
            ready = False  # before the fork, which may take until the next signal
            child = ctypes.PyDLL(None).fork()
            if os.getpid() == owner:
                os.waitpid(child, 0)
                os.write(handle, b"1")

    signal.signal(signal.SIGUSR1, fork)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"{directory}/{NAME}.sock")
        listener.listen()
        if not (server := os.fork()):
            serve(listener, owner, handled, waits=verb == "wait")
            os._exit(0)
        process = IPC(directory).wait(NAME, PATIENCE).unwrap()
        ready = True
        result = process.wait() if verb == "wait" else process.ask(PING) if verb == "ask" else process.send(PING)
        print(str(result).replace(str(owner), "PID"), flush=True)  # noqa: T201 - the output is its purpose
        if os.getpid() != owner:
            os._exit(0)
        process.abandon()
        os.waitpid(server, 0)


if __name__ == "__main__":
    main(*sys.argv[1:])
