"""How large a run is, and what all of its processes agree on."""

from typing import Final, final

import attrs

from ipcfold import Limits

LIMITS: Final = Limits(message=2**20, unread=2**20)  # small ones, so that clients come up against them


@final
@attrs.frozen
class Settings:
    """How large a run is: it ends after `seconds`, or with so many `messages` folded."""

    seed: int
    seconds: float = 600.0
    messages: int = 10_000_000
    clients: int = 24
