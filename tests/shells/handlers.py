"""Handlers that the tests' server processes run; the content of a message says what to do.

Their carry is the log of what was folded, so that a test can compare it with what clients know.
"""

import os
import signal
import sys
from pathlib import Path

from ipcfold import Continuation, Message

Log = tuple[str, ...]
EMPTY: Log = ()
MEBIBYTE = Message.octets(b"x" * 2**20)
KEPT = list[Continuation[Log]]()


class Unprintable:
    """An object whose text cannot be had."""

    def __repr__(self) -> str:
        raise SystemExit(3)

    __str__ = __repr__


async def answer_later() -> None:
    """What a handler that was written for another library returns."""


def log(message: Message, continuation: Continuation[Log], carry: Log) -> Continuation[Log]:
    """Log every message and do what it says: a verb, then an argument."""
    content = message.content.decode()
    verb, _, argument = content.partition(" ")
    carry = (*carry, content)
    match verb:
        case "ping":
            return continuation.respond(carry, Message.text("pong"))
        case "echo":
            return continuation.respond(carry, message)
        case "many":
            return continuation.respond(carry, *(Message.text(str(number)) for number in range(int(argument))))
        case "large":
            return continuation.respond(carry, Message.octets(b"x" * int(argument)))
        case "close":
            return continuation.respond(carry, Message.text("closing")).close(carry)
        case "stop":
            return continuation.stop(carry)
        case "stop-now":
            return continuation.respond(carry, Message.text("bye")).stop(carry)
        case "raise":
            raise KeyError(content)
        case "interrupt":
            raise KeyboardInterrupt
        case "exit":
            sys.exit(3)
        case "block":  # until somebody opens the other end of this fifo
            Path(argument).read_bytes()
            return continuation.respond(carry, Message.text("released"))
        case "hold":  # stop the client before it can read what this gives
            os.kill(continuation.peer.pid, signal.SIGSTOP)
            while Path(f"/proc/{continuation.peer.pid}/stat").read_text().rpartition(")")[2].split()[0] != "T":
                pass
            return continuation.continue_(carry)
        case "fork":  # the child comes back from here, too
            if os.fork() == 0:
                return continuation.stop(carry)
            return continuation.respond(carry, Message.text(str(os.wait()[1])))
        case "leave":  # a child that lives on in here until the fifo is closed
            if os.fork() == 0:
                Path(argument).read_bytes()
                os._exit(0)
            return continuation.respond(carry, Message.text("left"))
        case "twice":
            return continuation.respond(carry, Message.text("1"), Message.text("2")).close(carry)
        case "last":
            return continuation.respond(carry, Message.octets(b"x" * int(argument))).close(carry)
        case "much":  # so many MiB, all of them the same one
            return continuation.respond(carry, *[MEBIBYTE] * int(argument))
        case "signal":
            return continuation.respond(carry, Message.text("innmind/ipc:heartbeat"))
        case "nothing":
            return None  # type: ignore[return-value]  # what a test is about
        case "async":
            return answer_later()  # type: ignore[return-value]  # as above
        case "unprintable":
            return Unprintable()  # type: ignore[return-value]  # as above
        case "nested":
            nested = list[object]()
            for _ in range(100_000):
                nested = [nested]
            return continuation.respond(carry, nested)  # type: ignore[arg-type]  # as above
        case "words":
            return Continuation(carry, (), "stop", continuation.peer)  # type: ignore[arg-type]  # as above
        case "keep":
            KEPT.append(continuation)
            return continuation.respond(carry, Message.text("kept"))
        case "stale":
            return KEPT[0].respond(carry, Message.text("for somebody else"))
        case "recurse":
            return log(message, continuation, carry[:-1])
        case "whoami":
            peer = continuation.peer
            return continuation.respond(carry, Message.text(f"{peer.connection} {peer.pid} {peer.uid} {peer.gid}"))
        case _:
            return continuation.continue_(carry)
