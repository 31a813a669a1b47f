"""Handlers for `ipcfold listen`, some of which are none."""

from pathlib import Path

from ipcfold import Continuation, Message

NUMBER = 3


class Silent:
    """What not even repr can show."""

    def __repr__(self) -> str:
        raise ValueError("no")


def echo(message: Message, continuation: Continuation[int | None], carry: int | None) -> Continuation[int | None]:
    """Respond with what was sent, and count."""
    return continuation.respond((carry or 0) + 1, message)


def five(message: Message, continuation: Continuation[int], carry: int) -> Continuation[int]:
    return continuation.stop(carry + 1) if carry == 4 else continuation.continue_(carry + 1)


def keep(message: Message, continuation: Continuation[object], carry: object) -> Continuation[object]:
    """Carry what the message names."""
    match message.content:
        case b"set":
            return continuation.stop({1})
        case b"path":
            return continuation.stop([Path("/"), b"\x00", float("nan")])
        case b"silent":
            return continuation.stop(Silent())
        case b"raise":
            raise KeyError("a\nb")
        case b"whole":
            return continuation.stop(carry)
        case _:
            return continuation.close(carry)
