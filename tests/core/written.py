"""Takes the bytes that an end wants to write, as a wire does."""

from typing import Protocol

from ipcfold.core.buffers import Outbox


class End(Protocol):
    @property
    def outbox(self) -> Outbox: ...


def written(end: End) -> bytes:
    """All bytes of the outbox. The outbox is empty afterwards."""
    out = list[bytes]()
    while end.outbox.size:
        out.append(bytes(end.outbox.head()))
        assert out[-1], "something waits, and there is nothing to write"
        end.outbox.sent(len(out[-1]))
    return b"".join(out)
