"""The fold of a server over an iterable of messages, without a server."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, TypeVar

from returns.result import Result

from ipcfold.continuation import Continuation, Handler, Outcome
from ipcfold.core.wire import Encoder
from ipcfold.errors import HandlerFailed
from ipcfold.limits import Limits
from ipcfold.message import Message
from ipcfold.peer import NOBODY, Name

C = TypeVar("C")

_NAME: Final = Name("fold")


def fold(
    handler: Handler[C], carry: C, messages: Iterable[Message], *, limits: Limits | None = None
) -> Result[Continuation[C], HandlerFailed[C]]:
    """Fold the messages of one client exactly as a server does, but without any I/O.

    The result has all responses of the handler, the last carry, and the last outcome. Messages after a close or a stop
    are not folded. `limits` are those of the server.

    >>> def count(message, continuation, counter):
    ...     return continuation.respond(counter + 1, Message.text("pong"))
    >>> folded = fold(count, 0, [Message.text("ping"), Message.text("ping")]).unwrap()
    >>> folded.carry, [response.content for response in folded.responses]
    (2, [b'pong', b'pong'])
    """
    from ipcfold.core.fold import Fold  # noqa: PLC0415 - a client never folds, and the events take a tenth of the time to import this library

    folding = Fold(carry, name=_NAME, timeout=None, prepare=Encoder(limits or Limits()).encode, now=0.0)
    responses: list[Message] = []
    outcome = Outcome.CONTINUE
    for message in messages:
        folding.offer(NOBODY, message)
        while (asked := folding.ask()) is not None:
            try:
                continuation = handler(message, asked[1], asked[1].carry)
                if folding.answered(continuation, 0.0, 0.0) is not None:
                    responses += continuation.responses
                    outcome = continuation.outcome
            except KeyboardInterrupt:
                folding.interrupted()
                outcome = Outcome.STOP
            except BaseException as error:  # noqa: BLE001 - the handler may raise anything, and each exception is its failure
                folding.failed(error)
        if folding.stopped or outcome is Outcome.CLOSE:
            break
    return folding.result().map(lambda last: Continuation(last, tuple(responses), outcome))
