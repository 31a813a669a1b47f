"""The recordings of the original talking to itself, and what its two users did in them."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Literal

import attrs

from ipcfold import Continuation, Message
from ipcfold.core.wire import Signal

HEARTBEAT: Final = Signal.HEARTBEAT.frame
Side = Literal["client", "server"]


@attrs.frozen
class Recording:
    scenario: str
    exchange: tuple[tuple[Side, bytes], ...]
    """Who sent what, in order; empty bytes are the end of that side's stream."""
    script: tuple[tuple[str, tuple[str, ...]], ...]
    """What the client's user did, and what ours must get: ("send", contents), ("wait", (response,) or ()), ("close", ())."""
    carry: int

    def sent_by(self, side: Side) -> bytes:
        """All that this side sent; heartbeats aside, since they are a matter of time."""
        return without_heartbeats(b"".join(data for sender, data in self.exchange if sender == side))


def without_heartbeats(data: bytes) -> bytes:
    return data.replace(HEARTBEAT, b"")


def handle(message: Message, continuation: Continuation[int], carry: int) -> Continuation[int]:
    """The recorded server's handler: it counts what it echoes."""
    match message.content:
        case b"quiet":
            return continuation.continue_(carry)
        case b"close":
            return continuation.close(carry)
        case b"stop":
            return continuation.stop(carry)
        case _:
            return continuation.respond(carry + 1, message)


def recordings() -> list[Recording]:
    return [_read(file) for file in sorted(Path(__file__).parent.glob("*.json"))]


def _read(file: Path) -> Recording:
    recorded = json.loads(file.read_text())
    printed = recorded["client_printed"]
    carry = recorded["server_printed"].removeprefix("ended").strip()
    if recorded["scenario"] == "batch-responses":  # where the original's client fails
        printed = ["send one,two:ok", "wait:one", "wait:two", "close:ok"]
    if recorded["scenario"] == "kill":  # where the original's server loses the carry
        carry = "1"
    return Recording(
        recorded["scenario"],
        tuple((step["from"], bytes.fromhex(step["bytes"] or "")) for step in recorded["exchange"]),
        tuple(_scripted(printed)),
        int(carry),
    )


def _scripted(printed: list[str]) -> Iterator[tuple[str, tuple[str, ...]]]:
    for line in printed:
        done, _, result = line.partition(":")
        verb, _, contents = done.partition(" ")
        match verb:
            case "send":
                assert result == "ok"
                yield "send", tuple(contents.split(","))
            case "wait":
                yield "wait", () if result == "nothing" else (result,)
            case _:
                assert line == "close:ok"
                yield "close", ()
