"""Handlers made of handlers. Each is a pure function, so that it works in `fold`, `simulate` and every server, and they nest.

A server of `ipcfold.aio` takes them, too. Of an `async def` handler they make another one.

>>> from ipcfold import Message, fold
>>> def total(message, continuation, so_far):
...     return continuation.respond(so_far + int(message.content), Message.text("added"))
>>> kind = rescue(total, lambda error: Message.text(f"not added: {type(error).__name__}"))
>>> folded = fold(kind, 0, [Message.text("1"), Message.text("two"), Message.text("3")]).unwrap()
>>> folded.carry, [response.content for response in folded.responses]
(4, [b'added', b'not added: ValueError', b'added'])
"""

from ipcfold.handlers.remembering import Open, Remembered, once, once_left, once_woken
from ipcfold.handlers.rescuing import rescue, rescue_left, rescue_woken
from ipcfold.handlers.routing import route

__all__ = ["Open", "Remembered", "once", "once_left", "once_woken", "rescue", "rescue_left", "rescue_woken", "route"]
