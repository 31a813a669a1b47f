"""The size of a run, and the settings that all its processes share."""

from typing import Final, final

import attrs

from ipcfold import Limits

LIMITS: Final = Limits(message=2**20, unread=2**20)  # They are small, so clients reach them.


@final
@attrs.frozen
class Settings:
    """The size of a run. It ends after `seconds`, or when the server has folded `messages`."""

    seed: int
    seconds: float = 600.0
    messages: int = 10_000_000
    clients: int = 24
