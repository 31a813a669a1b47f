"""Target: a whole server without its sockets, driven as the shell does, with hostile peers.

Events may come while the handler has a message, too: that is more than the shell does, and a broker may.
"""

from enum import Enum, auto
from typing import Final

from ipcfold import Limits
from ipcfold.core.wire import Signal
from tests.fuzz.program import Program, limits, outcome, own_messages, piece
from tests.fuzz.server import Client, Server

_USERS: Final = (0, 0, 0, 1)  # the server's own is 0
_IDLE: Final = (None, 16.0)


class Op(Enum):
    """What can happen."""

    HEAR = auto()
    """A peer says a piece, and all it said is read."""
    GREET = auto()
    """A peer comes, takes anything and accepts."""
    SAY = auto()
    """A peer says a piece."""
    READ = auto()
    """Some bytes are read."""
    ANSWER = auto()
    """The handler answers."""
    TAKE = auto()
    """A peer reads, so that its socket takes so many bytes more."""
    WAIT = auto()
    """Time passes."""
    ABSENT = auto()
    """Time passes while the server looks away."""
    CONNECT = auto()
    """A peer comes."""
    FINISH = auto()
    """A peer ends its stream."""
    RESET = auto()
    """A peer reads no more."""
    DROP = auto()
    """The system has no room for a peer."""
    FAIL = auto()
    """The handler raises, or gives no answer."""
    INTERRUPT = auto()
    """The handler is interrupted."""
    SHUTDOWN = auto()
    """The server is to end."""


OPS: Final = tuple(Op)


def hosting(data: bytes) -> None:
    """All that holds for one end holds for each, the peers take turns, and each answer is in the carry."""
    program = Program(data)
    chosen = limits(program)
    server = Server(chosen, program.choice(_IDLE))
    while program.left:
        step(server, program.choice(OPS), program, chosen)
        server.settle()
    server.finish()


def step(server: Server, op: Op, program: Program, limits: Limits) -> None:
    """One thing happens."""
    match op:
        case Op.CONNECT:
            server.connect(program.choice(_USERS), program.size())
        case Op.GREET:
            if (client := server.connect(0, 2**30)) is not None:
                client.line.say(Signal.START_OK.frame)
                server.read(client, 2**20)
        case Op.ANSWER:
            server.answer(own_messages(program, limits), outcome(program))
        case Op.WAIT:
            server.wait(program.seconds())
        case Op.ABSENT:
            server.look_away(program.seconds())
        case Op.FAIL:
            server.fail(program.byte())
        case Op.INTERRUPT:
            server.interrupt()
        case Op.SHUTDOWN:
            server.shutdown()
        case _ if server.clients:
            _peer(server, op, program.choice(server.clients), program)
        case _:
            pass


def _peer(server: Server, op: Op, client: Client, program: Program) -> None:
    """What only one peer has to do with."""
    match op:
        case Op.HEAR:
            client.line.say(piece(program))
            server.read(client, 2**20)
        case Op.SAY:
            client.line.say(piece(program))
        case Op.READ:
            server.read(client, program.size())
        case Op.TAKE:
            server.take(client, program.size())
        case Op.FINISH:
            client.line.finish()
        case Op.RESET:
            client.line.reset = True
        case _:
            server.drop(client)
