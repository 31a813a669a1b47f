"""The fold of a server over an iterable of inputs, without a server."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from math import inf
from typing import TYPE_CHECKING, Final, TypeVar

from returns.result import Result

from ipcfold.continuation import Continuation, Handler, Leaving, Outcome, Waking
from ipcfold.core.wire import Encoder
from ipcfold.errors import HandlerFailed
from ipcfold.limits import Limits
from ipcfold.message import Message
from ipcfold.peer import NOBODY, Name, Peer

if TYPE_CHECKING:
    from ipcfold.effects import Effect
    from ipcfold.inputs import Input

C = TypeVar("C")

_NAME: Final = Name("fold")


def _no_clock() -> float:
    return 0.0


def fold(
    handler: Handler[C],
    carry: C,
    messages: Iterable[Input],
    *,
    left: Leaving[C] | None = None,
    woken: Waking[C] | None = None,
    clock: Callable[[], float] = _no_clock,
    limits: Limits | None = None,
) -> Result[Continuation[C], HandlerFailed[C]]:
    """Fold the messages exactly as a server does, but without any I/O.

    The result has all responses and effects of the handler, the last carry, and the last outcome. Inputs of a client that was closed
    are not folded, and none but departures after a stop.

    - `messages`: those of one client; or `Came`, `Left` and `Woken`, for many clients.
    - `left`, `woken`: as those of a server. An alarm rings for a `Woken`, and before an input whose time is later.
    - `clock` gives the time of a plain message, in seconds since the epoch.
    - `limits` are those of the server.

    >>> def count(message, continuation, counter):
    ...     return continuation.respond(counter + 1, Message.text("pong"))
    >>> folded = fold(count, 0, [Message.text("ping"), Message.text("ping")]).unwrap()
    >>> folded.carry, [response.content for response in folded.responses]
    (2, [b'pong', b'pong'])
    """
    from ipcfold.core.fold import Fold  # noqa: PLC0415 - a client never folds, and the events take a tenth of the time to import this library
    from ipcfold.core.functions import Handlers  # noqa: PLC0415 - as above
    from ipcfold.effects import Effects  # noqa: PLC0415 - as above
    from ipcfold.inputs import Came, Left, Woken  # noqa: PLC0415 - as above

    handlers, encoder = Handlers(handler, left, woken), Encoder(limits or Limits())
    folding = Fold(
        carry,
        name=_NAME,
        timeout=None,
        prepare=encoder.encode,
        mark=encoder.marked,
        now=0.0,
        left=left is not None,
        woken=woken is not None,
    )
    responses: list[Message] = []
    effects: Effects[Effect] | None = None
    outcome = Outcome.CONTINUE
    numbers = Counter[Peer]()
    closed = set[Peer]()
    for each in messages:
        match each:
            case Message():
                peer, message, time = NOBODY, each, clock()
            case Came(time, peer, message):
                pass
            case Left(time, peer):
                folding.depart(peer)
            case Woken(time):
                folding.asked = folding.alarm(time)
        if isinstance(each, Message | Came) and peer not in closed:
            folding.join(peer)
            numbers[peer] += 1
            folding.offer(peer, message, numbers[peer])
        if not isinstance(each, Message | Woken):
            folding.asked = folding.take(time)
        while (asked := folding.ask(time if isinstance(each, Message) else -inf)) is not None:
            try:
                continuation = handlers(*asked)
                if folding.answered(continuation, 0.0, 0.0) is not None:
                    continuation = folding.instead or continuation
                    responses += continuation.responses
                    for effect in continuation.effects:
                        effects = Effects(effects, effect)
                    outcome = continuation.outcome
                    if outcome is Outcome.CLOSE:
                        closed.add(continuation.peer)
            except KeyboardInterrupt:
                folding.interrupted()
                outcome = Outcome.STOP
            except BaseException as error:  # noqa: BLE001 - the handler may raise anything, and each exception is its failure
                folding.failed(error)
        if NOBODY in closed or (folding.stopped and left is None):
            break
    return folding.result().map(lambda last: Continuation(last, tuple(responses), outcome, effects=effects))
