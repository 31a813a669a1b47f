"""The shells over NATS: the same fold on more than one machine. The extra `nats` installs what they need."""

from __future__ import annotations

from ipcfold.extras import needs

needs("nats", "nats")
