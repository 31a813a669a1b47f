"""`IPC` of the blocking shell: it finds servers, connects to them, and listens."""

from __future__ import annotations

import errno
import os
import signal
import time
from collections.abc import Iterable
from math import inf
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Final, TypeVar, final

import attrs
from returns.curry import partial
from returns.maybe import Maybe, Nothing, Some
from returns.pipeline import flow
from returns.result import Failure, Result, Success

from ipcfold.blocking.client import Process
from ipcfold.blocking.connect import connected
from ipcfold.continuation import Handler
from ipcfold.errors import (
    ConnectError,
    ConnectionRefused,
    DirectoryUnusable,
    HandlerFailed,
    ListenError,
    NameTaken,
    NoServer,
    PeerUntrusted,
    SystemFailure,
    TimedOut,
    UsedAfterFork,
)
from ipcfold.limits import Limits
from ipcfold.local.claim import Claim, holder_of, is_socket
from ipcfold.local.credentials import same_user
from ipcfold.local.directory import located, prepared, socket_path
from ipcfold.peer import Name, Peer, Trust
from ipcfold.result import cases, flat_map

if TYPE_CHECKING:
    from ipcfold.events import Observer  # a tenth of the time to import this library, and few observe

C = TypeVar("C")

_GLIMPSE: Final = 0.002  # seconds between two checks whether the socket is there, which cost little
_PAUSE: Final = 0.01  # seconds between two attempts to connect
_LONGEST_PAUSE: Final = 0.32  # seconds; the same, while the server goes on refusing
_AFRESH: Final = 0.1  # seconds after which the directory is checked again, because it may have changed
_DYING: Final = 1.0  # seconds; the kernel drops the lock of a killed server a moment before it closes the socket
_GLANCE: Final = 0.1  # seconds; a server without a lock file must greet within this time to be listed
_EXHAUSTED: Final = frozenset(map(os.strerror, (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)))

DEFAULT_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def _path(directory: str | os.PathLike[str] | None) -> Path | None:
    return None if directory is None else Path(directory)


@final
@attrs.frozen
class IPC:
    """Finds servers, connects to them, and listens. Creating an `IPC` does no I/O.

    - `directory`: the directory of the sockets; it must exist with mode 0700. `None` means `IPCFOLD_DIRECTORY` of the
      environment, or else the runtime directory of this user. A server creates that one when it is missing.
    - `heartbeat`: seconds of silence after which an end sends a heartbeat.
    - `limits`: limits on what a peer may use.
    - `trust`: decides by the peer credentials whether to talk to a peer; by default to this user and root. With another
      predicate the directory may be open to other users: then its permissions say who can reach it. Only `True` means
      yes. Whatever else the predicate returns or raises (except `KeyboardInterrupt`) means no. The server waits while
      it runs, so it must be a plain and quick function.
    - `observe`: a function that the serving thread calls with values of `ipcfold.events`.
    """

    directory: Path | None = attrs.field(default=None, converter=_path)
    heartbeat: float = attrs.field(default=1.0, kw_only=True, validator=attrs.validators.gt(0))
    limits: Limits = attrs.field(factory=Limits, kw_only=True, validator=attrs.validators.instance_of(Limits))
    trust: Trust = attrs.field(default=same_user, kw_only=True, validator=attrs.validators.is_callable())
    observe: Observer | None = attrs.field(default=None, kw_only=True, validator=attrs.validators.optional(attrs.validators.is_callable()))

    def processes(self) -> Result[frozenset[Name], DirectoryUnusable]:
        """The names under which a server listens now."""
        return self.peers().map(frozenset)

    def exists(self, name: Name) -> Result[bool, DirectoryUnusable]:
        """Whether a server listens under the name now."""
        return located(self.directory, self.trust).bind(partial(self._listener, name)).map(lambda found: found is not Nothing)

    def get(self, name: Name) -> Result[Process, ConnectError]:
        """Connect to the server of that name; fails at once if no server listens."""
        return self._connected(name, self.limits.handshake)

    def wait(self, name: Name, timeout: float | None = None) -> Result[Process, ConnectError]:
        """Connect to the server of that name as soon as it listens; `timeout` in seconds, `None` for ever.

        If the server is full or ends during the attempt, `wait` tries again.
        """
        deadline = None if timeout is None else monotonic() + timeout
        pause, refused = _PAUSE, None
        while True:
            left = self.limits.handshake if deadline is None else max(0.0, deadline - monotonic())
            attempt = self._connected(name, min(left, self.limits.handshake))
            match cases(attempt):
                case Failure(NoServer() | ConnectionRefused() | TimedOut() as error):
                    if isinstance(error, NoServer):
                        pause, refused = _PAUSE, None
                    elif isinstance(error, ConnectionRefused):
                        pause, refused = min(2 * pause, _LONGEST_PAUSE), error  # the server logs each refusal
                    if deadline is not None and monotonic() >= deadline:  # the last attempt may have had no time for a refusal
                        return Failure(refused or TimedOut(name, timeout or 0.0, "the server"))
                case _:
                    return attempt
            _rest(error, pause, inf if deadline is None else deadline)

    def listen(self, name: Name, timeout: float | None = None, *, signals: Iterable[signal.Signals] = DEFAULT_SIGNALS) -> Server:
        """A server for that name, not started yet.

        With `timeout` the server stops, successfully, after that many seconds without a message. In the main thread the
        `signals` end it in good order, and their previous handlers are restored afterwards. If SIGINT is left to
        Python, Ctrl-C also ends the server in good order: it interrupts only the handler.
        """
        return Server(self, name, timeout, tuple(signals))

    def peers(self) -> Result[dict[Name, Peer], DirectoryUnusable]:
        """The servers that listen now, by name; for `discovery`. Of the holder of a lock only the pid is known."""
        return located(self.directory, self.trust).bind(self._listed)

    def _connected(self, name: Name, timeout: float) -> Result[Process, ConnectError]:
        return flow(
            located(self.directory, self.trust),
            flat_map(partial(socket_path, name)),
            flat_map(partial(_reached, self, name, timeout)),
        )

    def _listed(self, directory: Path) -> Result[dict[Name, Peer], DirectoryUnusable]:
        try:
            files = os.listdir(directory)
        except FileNotFoundError:
            return Success({})
        except OSError as error:
            return Failure(DirectoryUnusable(directory, f"it cannot be read: {error.strerror}"))
        names = (Name.maybe(file.removesuffix(".sock")).value_or(None) for file in files if file.endswith(".sock"))
        listening = dict[Name, Peer]()
        for name in names:
            if name is not None:
                match cases(self._listener(name, directory)):
                    case Failure(hidden):
                        return Failure(hidden)
                    case Success(found):
                        listening |= {name: found.unwrap()} if found is not Nothing else {}
        return Success(listening)

    def _listener(self, name: Name, directory: Path) -> Result[Maybe[Peer], DirectoryUnusable]:
        path = socket_path(name, directory).value_or(None)
        if path is None or not is_socket(path):
            return Success(Nothing)
        holder = holder_of(path)
        if holder is not Nothing:
            return Success(holder.map(lambda pid: Peer(pid=pid)))
        match cases(_stranger(self, name, path, _GLANCE)):
            case Success(peer):
                return Success(Some(peer))
            case Failure(SystemFailure(reason=reason)) if reason in _EXHAUSTED:  # the attempt failed on this side, so nothing is known
                return Failure(DirectoryUnusable(directory, f"whether anybody listens under {str(name)!r} cannot be seen: {reason}"))
            case Failure():
                return Success(Nothing)


@final
@attrs.frozen
class Server:
    """A server that has not started. Calling it with the first carry and the handler blocks until the server ends."""

    ipc: IPC
    name: Name
    timeout: float | None
    signals: tuple[signal.Signals, ...]

    def __call__(self, carry: C, handler: Handler[C]) -> Result[C, ListenError[C]]:
        """Fold the handler over every message; returns the last carry, or the error.

        Folding ends with a `stop` of the handler, one of the signals, or the timeout; then every client is asked
        to close and has `limits.drain` seconds to confirm.
        """
        if not callable(handler):
            raise TypeError(f"a handler is wanted behind the carry, not {handler!r:.80}")
        return flow(
            prepared(self.ipc.directory, self.ipc.trust),
            flat_map(partial(socket_path, self.name)),
            flat_map(partial(Claim.of, self.name)),
            flat_map(partial(self._served, carry, handler)),
        )

    def _served(self, carry: C, handler: Handler[C], claim: Claim) -> Result[C, ListenError[C]]:
        try:
            return flow(self._unshared(claim), flat_map(partial(self._run, carry, handler)))
        finally:
            claim.release()

    def _unshared(self, claim: Claim) -> Result[Claim, NameTaken | SystemFailure]:
        """The claim, unless a server that uses no lock file listens at the path."""
        deadline = monotonic() + _DYING
        while True:
            match cases(_stranger(self.ipc, self.name, claim.path, self.ipc.limits.handshake)):
                case Success(peer) | Failure(PeerUntrusted(peer=peer)):
                    return Failure(NameTaken(self.name, claim.path, peer.pid))
                case Failure(NoServer()):
                    return Success(claim)
                case Failure(ConnectionRefused()) if monotonic() < deadline:
                    time.sleep(_GLIMPSE)
                case Failure(SystemFailure() as error):  # for example no descriptor is left, so nothing is known
                    return Failure(error)
                case Failure():  # a server is there but does not talk to this process: its name is not taken
                    return Failure(NameTaken(self.name, claim.path, 0))

    def _run(self, carry: C, handler: Handler[C], claim: Claim) -> Result[C, HandlerFailed[C] | UsedAfterFork | SystemFailure]:
        ipc = self.ipc
        try:
            # Clients never need these modules, and importing them takes a quarter of the time to import this library.
            from ipcfold.blocking.server import Loop  # noqa: PLC0415 - see above
            from ipcfold.core.server import ServerCore  # noqa: PLC0415 - see above
            from ipcfold.local.log import ServerLog  # noqa: PLC0415 - see above

            core = ServerCore(carry, heartbeat=ipc.heartbeat, limits=ipc.limits, timeout=self.timeout, now=monotonic(), user=os.geteuid())
            loop = Loop(self.name, claim, core, handler, ipc.trust, ServerLog(self.name, ipc.observe), ipc.heartbeat)
        except OSError as error:
            return Failure(SystemFailure("serve at", claim.path, error.strerror or str(error)))
        except ImportError as error:  # compiled, what is to be imported cannot be opened either, where there is no descriptor left
            return Failure(SystemFailure("serve at", claim.path, str(error)))
        return loop.run(self.signals, 0o600 if ipc.trust is same_user else 0o666)


def _rest(error: ConnectError, pause: float, deadline: float) -> None:
    """Wait until another attempt makes sense, after this error."""
    if not isinstance(error, NoServer) or os.path.lexists(error.path):
        time.sleep(max(0.0, min(pause, deadline - monotonic())))
        return
    until = min(monotonic() + _AFRESH, deadline)
    while (left := until - monotonic()) > 0 and not os.path.lexists(error.path):
        time.sleep(min(_GLIMPSE, left))


def _reached(ipc: IPC, name: Name, timeout: float, path: Path) -> Result[Process, ConnectError]:
    """The server at this path, connected."""
    if not is_socket(path):  # this check costs a fifth of an attempt to connect, which matters while waiting
        return Failure(NoServer(name, path))
    return connected(name, path, heartbeat=ipc.heartbeat, limits=ipc.limits, trust=ipc.trust, timeout=timeout)


def _stranger(ipc: IPC, name: Name, path: Path, timeout: float) -> Result[Peer, ConnectError]:
    """The server that listens at this path without holding the lock, as the PHP original does.

    The connection is opened and closed in good order, because such a server might not survive one that says nothing.
    """
    reached = _reached(ipc, name, timeout, path)
    reached.map(lambda process: process.close())
    return reached.map(lambda process: process.peer)
