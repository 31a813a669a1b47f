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

    - `messages`: those of one client; or a record of many clients, as a server folds them: `Came`, `Left` and `Woken`.
    - `left`, `woken`: as those of a server. In a record an alarm rings for its `Woken` only, because a server may fold messages that
      waited before it. A record that no server can have folded raises a `ValueError`.
    - `clock` gives the time of a plain message, in seconds since the epoch. An alarm rings before the first plain message whose time
      is not earlier, or after a message that asks for it at once. If `woken` asks for it at once, it rings before the next message.
    - `limits` are those of the server.

    >>> def count(message, continuation, counter):
    ...     return continuation.respond(counter + 1, Message.text("pong"))
    >>> folded = fold(count, 0, [Message.text("ping"), Message.text("ping")]).unwrap()
    >>> folded.carry, [response.content for response in folded.responses]
    (2, [b'pong', b'pong'])
    """
    from ipcfold.core.fold import Fold  # noqa: PLC0415 - a client never folds, and the events take a tenth of the time to import this library
    from ipcfold.core.functions import Handlers  # noqa: PLC0415 - as above
    from ipcfold.core.record import Order  # noqa: PLC0415 - as above
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
        timeless=True,
    )
    order = Order()
    responses: list[Message] = []
    effects: Effects[Effect] | None = None
    outcome = Outcome.CONTINUE
    numbers = Counter[Peer]()
    closed = set[Peer]()

    def offer(peer: Peer, message: Message) -> None:
        if peer not in closed:
            folding.join(peer)
            numbers[peer] += 1
            folding.offer(peer, message, numbers[peer])

    for each in messages:
        time = -inf  # of a record, in which no alarm rings by itself
        if isinstance(each, Message):
            folding.clock(0.0)  # so that an alarm rings that waits for it
            time = clock()
            offer(NOBODY, each)
        else:
            order.check(each, None if folding.stopped else folding.due)
            match each:
                case Came(now, peer, message):
                    offer(peer, message)
                    folding.asked = folding.take(now)
                case Left(now, peer):
                    folding.join(peer)  # perhaps it said nothing
                    folding.depart(peer)
                    folding.asked = folding.take(now)
                case Woken(now):
                    folding.asked = folding.alarm(now)
        while (asked := folding.ask(time)) is not None:
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
