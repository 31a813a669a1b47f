"""Reads `--trust`: which users the command talks to."""

from __future__ import annotations

from pwd import getpwnam
from typing import Final

from returns.result import Failure, Result, Success

from ipcfold.cli.printable import shown
from ipcfold.cli.status import Misused
from ipcfold.local.credentials import same_user
from ipcfold.peer import Peer, Trust

_HOW: Final = "write same-user, any, or users separated by commas, as in --trust 33 or --trust www-data,1001"
_LARGEST: Final = 2**32 - 2  # the largest user id; the next number stands for none


def anyone(_: Peer) -> bool:
    """Trust every user. The permissions of the directory say who can connect."""
    return True


def trusting(text: str) -> Result[Trust, Misused]:
    """The rule for this text.

    >>> trusting("33").unwrap()(Peer(uid=33)), trusting("33").unwrap()(Peer(uid=34))
    (True, False)
    >>> str(trusting("33,").failure())[:33]
    "--trust: there is no user ''; wri"
    """
    if text == "same-user":
        return Success(same_user)
    if text == "any":
        return Success(anyone)
    users = set[int]()
    for word in text.split(","):
        user = _user(word.strip())
        if user is None:
            return Failure(Misused(f"--trust: there is no user {shown(word, 80)}; {_HOW}"))
        users.add(user)
    return Success(lambda peer: same_user(peer) or peer.uid in users)


def _user(word: str) -> int | None:
    if word.isascii() and word.isdigit():
        return int(word) if len(word) <= len(str(_LARGEST)) and int(word) <= _LARGEST else None
    try:
        return getpwnam(word).pw_uid
    except (KeyError, ValueError):  # ValueError: the name contains a NUL
        return None
