"""The errors of logs. Each says which log it is, and what to do next."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, Literal, TypeAlias, TypeVar, final

import attrs

from ipcfold.cause import Cause, shown
from ipcfold.message import Message

if TYPE_CHECKING:
    from ipcfold.inputs import Left, Woken  # few programs name them

C_co = TypeVar("C_co", covariant=True)


@final
@attrs.frozen(repr=False, eq=False)
class LogTaken(Cause):
    """Another server writes to the log; `pid` is its process id, or 0 if nobody reports it. `place` is the path or the address."""

    place: str
    pid: int = 0

    def __str__(self) -> str:
        holder = f"process {self.pid}" if self.pid else "another server"
        return f"{holder} writes to the log {self.place}: end that server first, or use another log"


@final
@attrs.frozen(repr=False, eq=False)
class LogFull(Cause):
    """There is no space left for the log."""

    place: str
    reason: str

    def __str__(self) -> str:
        return f"there is no space left for the log {self.place} ({self.reason}): free some, and start the server again"


@final
@attrs.frozen(repr=False, eq=False)
class LogReadOnly(Cause):
    """This user may not write to the log, or its file system is read-only."""

    place: str
    reason: str

    def __str__(self) -> str:
        return f"the log {self.place} cannot be written ({self.reason}): make it and its directory writable for this user"


@final
@attrs.frozen(repr=False, eq=False)
class LogCorrupt(Cause):
    """What stands in the log is not what was written. The first `at` entries can be read."""

    place: str
    at: int
    reason: str

    def __str__(self) -> str:
        salvage = "copy what can be read with `ipcfold salvage`, " if self.place.startswith("/") else ""  # a file, and no broker
        return (
            f"the log {self.place} is damaged behind entry {self.at} ({self.reason}): restore it from a backup, "
            f"{salvage}or move it away and start with a new one"
        )


@final
@attrs.frozen(repr=False, eq=False)
class LogForeign(Cause):
    """The file is not a log, or another version of ipcfold wrote it. `found` says what it is."""

    place: str
    found: str

    def __str__(self) -> str:
        advice = "use the version of ipcfold that wrote it, or another path" if "version" in self.found else "use another path"
        salvage = "; `ipcfold salvage` copies what can be read of a damaged log" if "damaged" in self.found else ""
        return f"{self.place} is {self.found}: {advice}{salvage}"


@final
@attrs.frozen(repr=False, eq=False)
class LogUnusable(Cause):
    """The system or the database refused something with the log; `reason` is its own text."""

    place: str
    reason: str
    advice: str = "check the path, this user's permissions, and the disk"

    def __str__(self) -> str:
        return f"the log {self.place} cannot be used: {self.reason}; {self.advice}"


LogError: TypeAlias = LogTaken | LogFull | LogReadOnly | LogCorrupt | LogForeign | LogUnusable
"""What is wrong with a log."""


@final
@attrs.frozen(repr=False, eq=False)
class LogFailed(Cause, Generic[C_co]):
    """The log failed, when the server began, while it served, or at its end.

    `carry` is the last one that is in the log: no later message was acknowledged. It is the first carry if the log could not be opened
    or read: the server has not served then.
    """

    carry: C_co
    reason: LogError

    def __str__(self) -> str:
        return f"the log failed, and the server has ended: {self.reason}"


@final
@attrs.frozen(repr=False, eq=False)
class ReplayDiverged(Cause, Generic[C_co]):
    """The handler makes something else of the log than it did: it is not pure, or it was changed.

    - `carry`: the carry before this input.
    - `at`: the number of the entry in the log `place`; 1 is the first.
    - `message`: the message, or the departure or alarm.
    - `error`: what the handler raised now, if that is the difference.
    - `part`: what differs.
        - `answer`: the answer to this input.
        - `carry`: the carry after entry `at`. The log has a snapshot of it, which is `carry` then.
        - `adopted`: an answer to an entry before `at`, where the log says that another handler was adopted. It is not known which one.

    If that entry is no input, `message` is the last one before it that was folded, or an alarm at its time if none was.
    """

    carry: C_co
    place: str
    at: int
    message: Message | Left | Woken
    error: BaseException | None = None
    part: Literal["answer", "carry", "adopted"] = "answer"

    def __str__(self) -> str:
        of = f"entry {self.at} of the log {self.place}"
        how = f"answers {of} in another way than it did"
        advice = "or accept the new one from now on with log.adopting()"
        if self.error is not None:
            how = f"raises {shown(self.error)} for {of}, which it has folded"
            advice = "or change the new one so that it folds this, because one that raises cannot be adopted"
        elif self.part == "carry":
            how = f"makes another carry up to {of} than it did, as the snapshot there shows"
        elif self.part == "adopted":
            how = f"is not known to answer what is before {of} as the handler did that was adopted there"
        return (
            f"the handler {how}: it is not pure, or it was changed, or the first carry or limits.message is another one; "
            f"start with those of that time, {advice}"
        )


@final
@attrs.frozen(repr=False, eq=False)
class ReplayInterrupted(Cause):
    """The server was ended in good order before it served: while it replayed its log, or while it stood by. The log is unchanged.

    It had folded `at` entries of the log `place`, which is empty if a server that stood by has none.
    """

    place: str
    at: int

    def __str__(self) -> str:
        folded = f", when it had folded {self.at} entries of the log {self.place}" if self.place else ""
        return f"the server was ended before it served, by a signal or by the program{folded}: nothing is lost, start it again to serve"
