"""Chooses how to wait for many sockets: epoll on Linux, `selectors` elsewhere."""

import sys

__all__ = ["Poller"]

if sys.platform == "linux":
    from ipcfold.local.epoll import Epoll as Poller
else:
    from ipcfold.local.portable import Portable as Poller
