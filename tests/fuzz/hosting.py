"""Target: a whole server without sockets, and hostile peers. The target drives it as the shell does.

Events may come also while the handler has a message. The shell sends none then, but another shell may.
"""

from enum import Enum, auto
from typing import Final

from ipcfold import Limits
from ipcfold.core.wire import Signal
from tests.fuzz.program import Program, limits, outcome, own_messages, piece
from tests.fuzz.server import Client, Server

_USERS: Final = (0, 0, 0, 1)  # The server's own user is 0.
_IDLE: Final = (None, 16.0)


class Op(Enum):
    """The steps of a program."""

    HEAR = auto()
    """A peer writes a piece, and the server reads all that waits."""
    GREET = auto()
    """A peer with a large socket connects and accepts the greeting."""
    SAY = auto()
    """A peer writes a piece."""
    READ = auto()
    """The server reads some bytes."""
    ANSWER = auto()
    """The handler answers."""
    TAKE = auto()
    """A peer reads, so its socket takes that many more bytes."""
    WAIT = auto()
    """Time passes."""
    ABSENT = auto()
    """Time passes while the server does not read."""
    CONNECT = auto()
    """A peer connects."""
    FINISH = auto()
    """A peer ends its stream."""
    RESET = auto()
    """A peer stops reading."""
    DROP = auto()
    """The system has no memory for a peer."""
    FAIL = auto()
    """The handler raises, or returns an invalid answer."""
    INTERRUPT = auto()
    """The handler is interrupted."""
    SHUTDOWN = auto()
    """The server gets a signal to end."""


OPS: Final = tuple(Op)


def hosting(data: bytes) -> None:
    """Each connection keeps the rules of one, the peers take turns, and each answer is in the carry."""
    program = Program(data)
    chosen = limits(program)
    server = Server(chosen, program.choice(_IDLE))
    while program.left:
        step(server, program.choice(OPS), program, chosen)
        server.settle()
    server.finish()


def step(server: Server, op: Op, program: Program, limits: Limits) -> None:
    """Do one step."""
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
    """Do one step of one peer."""
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
