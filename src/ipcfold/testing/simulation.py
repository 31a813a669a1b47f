"""Simulates a server and many clients with the real protocol, without sockets and without waiting.

>>> from ipcfold import Continuation, Message
>>> from ipcfold.testing import Hold, Kill, Send, simulate
>>> def count(message, continuation, counter):
...     return continuation.respond(counter + 1, Message.text(f"pong {counter + 1}"))
>>> ping = Message.text("ping")
>>> simulated = simulate(count, 0, [Send("ann", ping), Hold("bob"), Send("bob", ping), Send("ann", ping), Kill("bob", lost=3)])
>>> simulated.result
<Success: 2>
>>> [response.content for response in simulated.clients["ann"].responses]
[b'pong 1', b'pong 2']
>>> print(simulated)
   0.00 s  ann     connects
   0.00 s  ann     sends text/plain b'ping'
   0.00 s  server  folds text/plain b'ping' of ann, responds text/plain b'pong 1': the carry is 1
   0.00 s  ann     gets text/plain b'pong 1'
   0.00 s  bob     connects
   0.00 s  bob     is held
   0.00 s  bob     sends text/plain b'ping'
   0.00 s  ann     sends text/plain b'ping'
   0.00 s  server  folds text/plain b'ping' of ann, responds text/plain b'pong 2': the carry is 2
   0.00 s  ann     gets text/plain b'pong 2'
   0.00 s  bob     dies, and the last 3 bytes it wrote are lost
   0.00 s  bob     is released
   0.00 s  server  has no bob any more: its stream ended
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextvars import ContextVar
from typing import Any, Generic, TypeVar, final

import attrs
from hypothesis import currently_in_test_context, note
from returns.result import Result

from ipcfold.continuation import Handler, Leaving, Outcome, Waking
from ipcfold.errors import HandlerFailed
from ipcfold.events import Event, Observer
from ipcfold.handlers.showing import Shows
from ipcfold.limits import Limits
from ipcfold.testing.player import Client, ScriptPlayer, last_carry
from ipcfold.testing.script import Step

C = TypeVar("C")

kept: ContextVar[list[Simulation[Any]] | None] = ContextVar("kept", default=None)  # Any: simulations of every carry
"""The simulations of a test. `ipcfold.testing.plugin` shows the last one if the test fails."""


@final
@attrs.frozen(repr=False)
class Simulation(Generic[C]):
    """The result of a script. `str()` of it is the transcript. Hypothesis shows the transcript of a failing example."""

    result: Result[C, HandlerFailed[C]]
    """The result of the server, or the result that it would give if it ended now."""
    outcome: Outcome
    """`STOP` once the server has ended for any reason, else `CONTINUE`."""
    clients: Mapping[str, Client]
    events: tuple[Event, ...]
    """The events that an observer of the server would get. A handler takes no time."""
    transcript: tuple[str, ...]

    @property
    def carry(self) -> C:
        """The last good carry, also where the handler failed."""
        return last_carry(self.result)

    def __str__(self) -> str:
        return "\n".join(self.transcript)

    def __repr__(self) -> str:
        return f"<Simulation {self.result} of {len(self.clients)} clients; str() is the transcript>"


def simulate(
    handler: Handler[C],
    carry: C,
    script: Iterable[Step],
    *,
    limits: Limits | None = None,
    heartbeat: float = 1.0,
    timeout: float | None = None,
    chunks: Sequence[int] = (),
    left: Leaving[C] | None = None,
    woken: Waking[C] | None = None,
    epoch: float = 0.0,
    observe: Observer = lambda _: None,
    codecs: Iterable[Shows] = (),
) -> Simulation[C]:
    """Play this script with a server of this carry and handler, and return the result for the server and each client.

    After each step, everything arrives in both directions, except for clients that are held. They are released at the end.

    Time passes in `Elapse` only. So an alarm that `woken` asks for at once, or for the past, rings once before each further step. It
    does not ring at the end of the script.

    - `limits` and `heartbeat` are those of `IPC`.
    - `timeout` is that of `IPC.listen`, in seconds of the script's own time.
    - `chunks`: how many bytes each read of a stream gives, in turn. If it is empty, each read gives everything that waits.
    - `left` and `woken` are those of a server.
    - `epoch`: `Continuation.now` at the beginning, in seconds since the epoch. `Elapse` moves it, and rings alarms.
    - `observe` is that of `IPC`.
    - `codecs` show the values of messages in the transcript: first those of the clients, then those of the server. A handler that
      `ipcfold.codec.typed` made needs none.
    """
    player = ScriptPlayer(
        handler,
        carry,
        limits=limits,
        heartbeat=heartbeat,
        timeout=timeout,
        chunks=chunks,
        left=left,
        woken=woken,
        epoch=epoch,
        observe=observe,
        codecs=codecs,
    )
    for step in script:
        player.play(step)
    player.release_all()
    outcome = Outcome.CONTINUE if player.accepting else Outcome.STOP
    clients = {client.name: client for client in player.clients}
    simulation = Simulation(player.result, outcome, clients, player.events, player.transcript)
    if currently_in_test_context():
        note(str(simulation))
    elif (simulations := kept.get()) is not None:
        simulations.append(simulation)
    return simulation
