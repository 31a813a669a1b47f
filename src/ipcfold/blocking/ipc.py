"""`IPC` of the blocking shell: it finds servers, connects to them, and listens."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterable
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Final, final

import attrs
from returns.maybe import Nothing
from returns.result import Failure, Result, Success

from ipcfold.accelerator import accelerate
from ipcfold.blocking.client import Process
from ipcfold.blocking.connecting import connected, probe
from ipcfold.blocking.server import Server
from ipcfold.core.verbs import Attempts, Pause, Standing
from ipcfold.errors import ConnectError, DirectoryUnusable, LogError, NoServer, PathTooLong
from ipcfold.limits import Limits
from ipcfold.local.credentials import same_user
from ipcfold.local.directory import located, socket_path
from ipcfold.local.names import Probe, found, listener, listening
from ipcfold.local.signals import catchable
from ipcfold.local.watch import Watch, standing_at
from ipcfold.peer import Name, Peer, Trust
from ipcfold.result import cases

if TYPE_CHECKING:
    from ipcfold.blocking.steady import Steady
    from ipcfold.events import Observer  # a tenth of the time to import this library, and few observe
    from ipcfold.log.journal import Log

DEFAULT_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


_LIMITS: Final = Limits()
_PATH: Final = type(Path())  # of this system


def _path(directory: str | os.PathLike[str] | None) -> Path | None:
    return directory if directory is None or type(directory) is _PATH else Path(directory)


@final
@attrs.frozen
class IPC:
    """Finds servers, connects to them, and listens. Creating an `IPC` does no I/O.

    - `directory`: the directory of the sockets; it must exist with mode 0700. `None` means the default one, which a server creates
      when it is missing. It is the first of these that applies, and `ipcfold where` prints it:
        - `IPCFOLD_DIRECTORY` of the environment
        - `ipcfold` in `XDG_RUNTIME_DIR`, or else in `/run/user/UID`, if that is a directory of this user, where nobody else can write
        - on macOS, `ipcfold` in this user's own directory for temporary files
        - `~/.local/state/ipcfold-HOST`
    - `heartbeat`: seconds of silence after which a client sends a heartbeat; a server waits half as long again.
    - `limits`: limits on what a peer may use.
    - `trust`: decides by the peer credentials whether to talk to a peer; by default to this user and root. With another
      predicate the directory may be open to other users: then its permissions say who can reach it. Only `True` means
      yes. Whatever else the predicate returns or raises (except `KeyboardInterrupt`) means no. The server waits while
      it runs, so it must be a plain and quick function.
    - `observe`: a function that the serving thread calls with values of `ipcfold.events`.
    """

    directory: Path | None = attrs.field(default=None, converter=_path)
    heartbeat: float = attrs.field(default=1.0, kw_only=True, validator=attrs.validators.gt(0))
    limits: Limits = attrs.field(default=_LIMITS, kw_only=True, validator=attrs.validators.instance_of(Limits))
    trust: Trust = attrs.field(default=same_user, kw_only=True, validator=attrs.validators.is_callable())
    observe: Observer | None = attrs.field(default=None, kw_only=True, validator=attrs.validators.optional(attrs.validators.is_callable()))

    def processes(self) -> Result[frozenset[Name], DirectoryUnusable]:
        """The names under which a server listens now."""
        return self.peers().map(frozenset)

    def exists(self, name: Name) -> Result[bool, DirectoryUnusable]:
        """Whether a server listens under the name now."""
        return (
            located(self.directory, self.trust)
            .bind(lambda directory: found(listener(name, directory), self._probe))
            .map(lambda peer: peer is not Nothing)
        )

    def get(self, name: Name) -> Result[Process, ConnectError]:
        """Connect to the server of that name; fails at once if no server listens."""
        return self._connected(name, self.limits.handshake)

    def wait(self, name: Name, timeout: float | None = None) -> Result[Process, ConnectError]:
        """Connect to the server of that name as soon as it listens; `timeout` in seconds, `None` for ever.

        If the server is full or ends during the attempt, `wait` tries again.
        """
        attempts = Attempts(name, timeout, self.limits.handshake, now := monotonic())
        attempt = self._connected(name, attempts.timeout(now))
        return attempt if isinstance(attempt, Success) else self._wait(name, attempts, attempt)

    def _wait(self, name: Name, attempts: Attempts, attempt: Result[Process, ConnectError]) -> Result[Process, ConnectError]:
        """Try again after this attempt, before which nothing was looked at."""
        watch, standing, looked = Watch(), None, False
        try:
            while True:
                match cases(attempt):
                    case Success():
                        watch.leave()
                        return attempt
                    case Failure(NoServer()) if not looked:
                        looked = True
                    case Failure(error):
                        match cases(attempts.failed(error, standing, monotonic())):
                            case Success(pause):
                                _rest(pause, error, standing, watch)
                            case Failure(final):
                                return Failure(final)
                # Looked at before the attempt: a server that appears between the two is then a change, which ends the rest.
                standing = self._path(name).map(standing_at).value_or(None)
                attempt = self._connected(name, attempts.timeout(monotonic()))
        finally:
            watch.close()

    def steady(self, name: Name, timeout: float | None = None) -> Steady:
        """A client that connects again when its connection ends, and sends again what was not acknowledged.

        `timeout`: how many seconds each verb waits for a server that listens, `None` for ever.
        """
        from ipcfold.blocking.steady import Steady  # noqa: PLC0415 - few clients are

        return Steady(self.wait, name, timeout)

    def listen(
        self,
        name: Name,
        timeout: float | None = None,
        *,
        signals: Iterable[int] = DEFAULT_SIGNALS,
        log: Log | Result[Log, LogError] | None = None,
        standby: bool = False,
    ) -> Server:
        """A server for that name, not started yet.

        With `timeout` the server stops, successfully, after that many seconds without a message. In the main thread the
        `signals` end it in good order, and their previous handlers are restored afterwards. If SIGINT is left to
        Python, Ctrl-C also ends the server in good order: it interrupts only the handler. A signal that is ignored, as
        after `nohup`, stays ignored. A number that no handler can be set for raises a `ValueError`.

        With a `log`, such as `SQLiteLog.of(path)`, the server acknowledges nothing before the log has it, and begins with the carry
        of the log. With `standby` it follows the log while another server has the name, and takes the name once it is free.
        A server that is ended before it serves, while it stands by or replays its log, returns `ReplayInterrupted`.

        Under systemd, the server takes the socket that is passed for its path (`LISTEN_FDS`). In the main thread it tells
        systemd that it is ready, lives and stops (`NOTIFY_SOCKET`, `WATCHDOG_USEC`). It takes these variables out of the
        environment.
        """
        return Server(self, name, timeout, catchable(signals), log, standby)

    def peers(self) -> Result[dict[Name, Peer], DirectoryUnusable]:
        """The servers that listen now, by name; for `discovery`. Of the holder of a lock only the pid is known."""
        return located(self.directory, self.trust).bind(lambda directory: found(listening(directory), self._probe))

    @property
    def _probe(self) -> Probe:
        return probe(self.heartbeat, self.limits, self.trust)

    def _path(self, name: Name) -> Result[Path, DirectoryUnusable | PathTooLong]:
        match cases(located(self.directory, self.trust)):
            case Success(directory):
                return socket_path(name, directory)
            case Failure(unusable):
                return Failure(unusable)

    @accelerate("find")
    def _connected(self, name: Name, timeout: float) -> Result[Process, ConnectError]:
        match cases(self._path(name)):
            case Success(path):
                return connected(name, path, heartbeat=self.heartbeat, limits=self.limits, trust=self.trust, timeout=timeout)
            case Failure(unusable):
                return Failure(unusable)


def _rest(pause: Pause, error: ConnectError, standing: Standing | None, watch: Watch) -> None:
    """Wait until another attempt makes sense, after this error."""
    if pause.watch and isinstance(error, NoServer):
        watch.rest(error.path, standing, pause.until)
    else:
        time.sleep(max(0.0, pause.until - monotonic()))
