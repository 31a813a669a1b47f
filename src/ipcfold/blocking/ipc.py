"""The door of the blocking shell: who listens, connecting to them, listening oneself."""

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

_GLIMPSE: Final = 0.002  # seconds between two looks for a socket, which cost next to nothing
_PAUSE: Final = 0.01  # between two tries to connect to one
_LONGEST_PAUSE: Final = 0.32  # the same, to one that refuses again and again
_AFRESH: Final = 0.1  # after which to look from the directory on again, which may have changed
_DYING: Final = 1.0  # seconds that a killed server may take: its lock goes a moment before its socket
_GLANCE: Final = 0.1  # seconds that a server of another make has to greet, to be among those that listen
_EXHAUSTED: Final = frozenset(map(os.strerror, (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)))

DEFAULT_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def _path(directory: str | os.PathLike[str] | None) -> Path | None:
    return None if directory is None else Path(directory)


@final
@attrs.frozen
class IPC:
    """How to find and to reach servers; making one does no I/O.

    - `directory`: where the sockets are; it must exist with mode 0700. `None`: the runtime directory of this user,
      or the environment's `IPCFOLD_DIRECTORY`, made when a server needs it.
    - `heartbeat`: seconds of silence after which one says "still here".
    - `limits`: what peers may use.
    - `trust`: whom to talk to, by the kernel's word; by default this user and root. Another predicate also lets
      the directory be open to others: then its permissions say who can reach it. `True` is yes; whatever else it
      returns or raises (save `KeyboardInterrupt`) is no. It is called while the server waits, so it is a plain
      function and a quick one.
    - `observe`: called with what happens to servers, as values of `ipcfold.events`, on the thread that serves.
    """

    directory: Path | None = attrs.field(default=None, converter=_path)
    heartbeat: float = attrs.field(default=1.0, kw_only=True, validator=attrs.validators.gt(0))
    limits: Limits = attrs.field(factory=Limits, kw_only=True, validator=attrs.validators.instance_of(Limits))
    trust: Trust = attrs.field(default=same_user, kw_only=True, validator=attrs.validators.is_callable())
    observe: Observer | None = attrs.field(default=None, kw_only=True, validator=attrs.validators.optional(attrs.validators.is_callable()))

    def processes(self) -> Result[frozenset[Name], DirectoryUnusable]:
        """The names that somebody listens under now."""
        return self.peers().map(frozenset)

    def exists(self, name: Name) -> Result[bool, DirectoryUnusable]:
        """Whether somebody listens under the name now."""
        return located(self.directory, self.trust).bind(partial(self._listener, name)).map(lambda found: found is not Nothing)

    def get(self, name: Name) -> Result[Process, ConnectError]:
        """The server of that name, connected; fails at once if there is none."""
        return self._connected(name, self.limits.handshake)

    def wait(self, name: Name, timeout: float | None = None) -> Result[Process, ConnectError]:
        """The server of that name, connected, as soon as there is one; `timeout` in seconds, `None` for ever.

        A server that is full, or ends while we connect, is tried again.
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
                        pause, refused = min(2 * pause, _LONGEST_PAUSE), error  # it logs each time
                    if deadline is not None and monotonic() >= deadline:  # the last try may have had no time to be refused
                        return Failure(refused or TimedOut(name, timeout or 0.0, "the server"))
                case _:
                    return attempt
            _rest(error, pause, inf if deadline is None else deadline)

    def listen(self, name: Name, timeout: float | None = None, *, signals: Iterable[signal.Signals] = DEFAULT_SIGNALS) -> Server:
        """A server for that name, not started yet.

        With `timeout` it stops, successfully, after so many seconds without a message. In the main thread the
        `signals` end it in good order; their previous handlers are put back. So does Ctrl-C where that raises a
        `KeyboardInterrupt`, which meanwhile it does in the handler only.
        """
        return Server(self, name, timeout, tuple(signals))

    def peers(self) -> Result[dict[Name, Peer], DirectoryUnusable]:
        """Who listens now, by name; part of listing. Of who holds a name only the process is known from here."""
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
            case Failure(SystemFailure(reason=reason)) if reason in _EXHAUSTED:  # it was not even asked
                return Failure(DirectoryUnusable(directory, f"whether anybody listens under {str(name)!r} cannot be seen: {reason}"))
            case Failure():
                return Success(Nothing)


@final
@attrs.frozen
class Server:
    """A server that is not started: call it with the first carry and the handler, and it blocks until it ends."""

    ipc: IPC
    name: Name
    timeout: float | None
    signals: tuple[signal.Signals, ...]

    def __call__(self, carry: C, handler: Handler[C]) -> Result[C, ListenError[C]]:
        """Fold the handler over every message that comes; the last carry, or why there is none.

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
        """The claim, if no server of another make, which knows no locks, listens there."""
        deadline = monotonic() + _DYING
        while True:
            match cases(_stranger(self.ipc, self.name, claim.path, self.ipc.limits.handshake)):
                case Success(peer) | Failure(PeerUntrusted(peer=peer)):
                    return Failure(NameTaken(self.name, claim.path, peer.pid))
                case Failure(NoServer()):
                    return Success(claim)
                case Failure(ConnectionRefused()) if monotonic() < deadline:
                    time.sleep(_GLIMPSE)
                case Failure(SystemFailure() as error):  # nobody knows: out of descriptors, for one
                    return Failure(error)
                case Failure():  # there is somebody, though not one to talk to: nothing that lives is taken over
                    return Failure(NameTaken(self.name, claim.path, 0))

    def _run(self, carry: C, handler: Handler[C], claim: Claim) -> Result[C, HandlerFailed[C] | UsedAfterFork | SystemFailure]:
        ipc = self.ipc
        try:
            from ipcfold.blocking.server import Loop  # noqa: PLC0415 - as above
            from ipcfold.core.server import ServerCore  # noqa: PLC0415 - a quarter of the time to import this library, and clients never need them
            from ipcfold.local.log import ServerLog  # noqa: PLC0415 - as above

            core = ServerCore(carry, heartbeat=ipc.heartbeat, limits=ipc.limits, timeout=self.timeout, now=monotonic(), user=os.geteuid())
            loop = Loop(self.name, claim, core, handler, ipc.trust, ServerLog(self.name, ipc.observe), ipc.heartbeat)
        except OSError as error:
            return Failure(SystemFailure("serve at", claim.path, error.strerror or str(error)))
        except ImportError as error:  # compiled, what is to be imported cannot be opened either, where there is no descriptor left
            return Failure(SystemFailure("serve at", claim.path, str(error)))
        return loop.run(self.signals, 0o600 if ipc.trust is same_user else 0o666)


def _rest(error: ConnectError, pause: float, deadline: float) -> None:
    """Wait until it is worth to try again, after this error."""
    if not isinstance(error, NoServer) or os.path.lexists(error.path):
        time.sleep(max(0.0, min(pause, deadline - monotonic())))
        return
    until = min(monotonic() + _AFRESH, deadline)
    while (left := until - monotonic()) > 0 and not os.path.lexists(error.path):
        time.sleep(min(_GLIMPSE, left))


def _reached(ipc: IPC, name: Name, timeout: float, path: Path) -> Result[Process, ConnectError]:
    """The server at this path, connected."""
    if not is_socket(path):  # costs a fifth of finding out with a socket, which matters while waiting
        return Failure(NoServer(name, path))
    return connected(name, path, heartbeat=ipc.heartbeat, limits=ipc.limits, trust=ipc.trust, timeout=timeout)


def _stranger(ipc: IPC, name: Name, path: Path, timeout: float) -> Result[Peer, ConnectError]:
    """Who listens at this path without holding the name, as a server of another make does.

    It is talked to in good order, since such a server might not survive a connection that says nothing.
    """
    reached = _reached(ipc, name, timeout, path)
    reached.map(lambda process: process.close())
    return reached.map(lambda process: process.peer)
