"""What a server answers instead of a wrong answer: in `ipcfold.handlers.rescue` after an exception, in the fold after it has judged.

Only the fold can judge an answer: what is too large, which tickets are open, and who is a client depends on the server. So a
rescued answer carries a guard to it.
"""

from __future__ import annotations

from typing import TypeVar

from ipcfold.continuation import Continuation, continued
from ipcfold.effects import Excuse, Guard
from ipcfold.message import Message

C = TypeVar("C")


def no_continuation(answer: object) -> TypeError:
    """The error of a handler that returns this."""
    kind = type(answer).__name__
    return TypeError(f"the handler returned {kind}, not a Continuation: return what continuation.respond(...) or continue_(...) gives")


def guarded(answer: Continuation[C], guard: Guard) -> Continuation[C]:
    """The same answer with this guard, unless it has one of a rescue nearer to the handler."""
    given = answer._given  # noqa: SLF001 - users do not see guards
    if len(given) > 3:
        return answer
    return continued(answer.carry, answer.responses, answer.outcome, answer.peer, (given[0], given[1], given[2], guard))


def guard_of(answer: object) -> Guard | None:
    """The guard of an answer, which can be any object."""
    given: object = getattr(answer, "_given", None) if type(answer) is Continuation else None
    return given[3] if type(given) is tuple and len(given) > 3 and type(given[3]) is Guard else None


def instead(continuation: Continuation[C], carry: C, excuse: Excuse | None, errors: tuple[Exception, ...]) -> Continuation[C]:
    """The answer where each one before was wrong, for these errors. The last resort is to close the connection of this client."""
    for error in errors:
        continuation = continuation.rescued(carry, error)
    if excuse is None:
        return continuation
    if len(errors) > 1:  # the excuse itself could not be sent
        return continuation.close(carry)
    try:
        response = excuse if isinstance(excuse, Message) else excuse(errors[-1])
    except Exception as error:  # noqa: BLE001 - the server must survive it, too
        return continuation.rescued(carry, error).close(carry)
    return guarded(continuation.respond(carry, response), Guard(excuse, errors))
