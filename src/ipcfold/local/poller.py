"""Waiting for many sockets at once: the best way that there is on this system."""

import sys

__all__ = ["Poller"]

if sys.platform == "linux":
    from ipcfold.local.epoll import Epoll as Poller
else:
    from ipcfold.local.portable import Portable as Poller
