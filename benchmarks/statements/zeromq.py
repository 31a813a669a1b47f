"""ZeroMQ, by pyzmq."""

from __future__ import annotations

import os
import signal
import stat
from pathlib import Path
from threading import Thread
from time import monotonic, process_time, sleep
from typing import Final

import zmq

from benchmarks.statements.seen import BRIEF, Other, Say, Seen, Statement

_BRIEF: Final = int(BRIEF * 1000)
_MARK: Final = 1000
"""The high-water mark that a socket has if nobody sets another one."""


def _opened(kind: int) -> zmq.Socket[bytes]:
    made = zmq.Context[zmq.Socket[bytes]]().socket(kind)
    made.linger = 0
    made.rcvtimeo = made.sndtimeo = _BRIEF
    return made


def _at(directory: Path) -> str:
    return f"ipc://{directory / 'socket'}"


def _connected(kind: int, directory: Path) -> zmq.Socket[bytes]:
    made = _opened(kind)
    made.connect(_at(directory))
    return made


def _bound(kind: int, directory: Path) -> zmq.Socket[bytes]:
    made = _opened(kind)
    made.bind(_at(directory))
    return made


def _received(receiver: zmq.Socket[bytes]) -> bytes:
    """The next message, or none."""
    try:
        return receiver.recv()
    except zmq.Again:
        return b""


def sends_up_to_the_mark(directory: Path) -> Seen:
    """Messages to a server that does not exist."""
    client = _connected(zmq.PUSH, directory)
    count = 0
    try:
        while count < _MARK * 10:
            client.send(b"message")
            count += 1
    except zmq.Again:
        pass
    return Seen(holds=count == _MARK, what=f"send returned {count} times without a server, and then waited")


def reply(say: Say, directory: Path) -> None:
    """Answer with the process's number; take long when asked to."""
    server = _opened(zmq.REP)
    server.rcvtimeo = -1
    server.bind(_at(directory))
    say(os.getpid())
    while True:
        if server.recv() == b"slow":
            sleep(BRIEF * 4)
        server.send(b"%d" % os.getpid())


def takes_the_name(directory: Path) -> Seen:
    """A second server at the path of the first."""
    first = Other(reply, directory)
    first.said()
    second = Other(reply, directory)
    number = second.said()
    client = _connected(zmq.REQ, directory)
    client.send(b"who")
    answered = _received(client)
    holds = answered == b"%d" % number and not first.ended if isinstance(number, int) else False
    first.kill()
    second.kill()
    return Seen(holds=holds, what="the second one answers, the first one runs on")


def deletes_a_file(directory: Path) -> Seen:
    """A server at the path of an ordinary file."""
    file = directory / "socket"
    file.write_text("precious")
    _bound(zmq.REP, directory)
    return Seen(holds=stat.S_ISSOCK(file.stat().st_mode), what="bind succeeded, and the file is a socket")


def loses_after_a_fork(directory: Path) -> Seen:
    """A child that uses the socket of its parent, and the parent after it."""
    server, client = _bound(zmq.ROUTER, directory), _connected(zmq.DEALER, directory)
    client.send(b"before")
    server.recv_multipart()
    read, write = os.pipe()
    child = os.fork()
    if not child:
        began, used = monotonic(), process_time()
        signal.signal(signal.SIGALRM, lambda *_: _say_and_exit(write, f"{monotonic() - began:.1f} {process_time() - used:.1f}"))
        signal.setitimer(signal.ITIMER_REAL, BRIEF * 4)
        client.send(b"of the child")
        client.recv()  # its timeout is over long before the alarm
        _say_and_exit(write, "")
    waited, _, burnt = os.read(read, 100).decode().partition(" ")
    os.waitpid(child, 0)
    lost = not _received(server)
    client.send(b"after")
    works = server.recv_multipart()[1:] == [b"after"]
    what = f"the child's message never came; its recv with a timeout of {BRIEF} s waited {waited} s and used a core for {burnt} s"
    return Seen(holds=lost and works and bool(burnt), what=f"{what}; the parent goes on" if works else what)


def _say_and_exit(write: int, text: str) -> None:
    os.write(write, text.encode())
    os._exit(0)


def threads_mix_parts(directory: Path) -> Seen:
    """A message of one thread between two parts of another thread's message."""
    server, client = _bound(zmq.PULL, directory), _connected(zmq.PUSH, directory)
    client.send(b"first of one", zmq.SNDMORE)
    other = Thread(target=client.send, args=(b"of the other",))
    other.start()
    other.join()
    client.send(b"second of one")
    first, second = server.recv_multipart(), server.recv_multipart()
    return Seen(holds=first == [b"first of one", b"of the other"], what=f"what came: {first}, then {second}")


def rep_holds_up(directory: Path) -> Seen:
    """A slow request of one client, and a request of another."""
    server = Other(reply, directory)
    server.said()
    one, two = _connected(zmq.REQ, directory), _connected(zmq.REQ, directory)
    one.send(b"slow")
    sleep(BRIEF / 5)  # so that it comes first
    two.send(b"who")
    late = not _received(two)
    server.kill()
    return Seen(holds=late, what=f"no answer to the other client within {BRIEF} s")


def route(say: Say, directory: Path) -> None:
    """Answer the quick ones first: ROUTER knows whom an answer is for."""
    server = _opened(zmq.ROUTER)
    server.rcvtimeo = -1
    server.bind(_at(directory))
    say("up")
    while True:
        who, request = server.recv_multipart()
        if request != b"slow":
            server.send_multipart((who, request))


def router_does_not(directory: Path) -> Seen:
    """The same with a server that answers in another order."""
    server = Other(route, directory)
    server.said()
    one, two = _connected(zmq.DEALER, directory), _connected(zmq.DEALER, directory)
    one.send(b"slow")
    two.send(b"who")
    answered = _received(two)
    server.kill()
    return Seen(holds=answered == b"who", what="the other client was answered while the slow request was open")


def publish(say: Say, directory: Path) -> None:
    """Publish without being asked."""
    server = _bound(zmq.PUB, directory)
    say("up")
    while True:
        server.send(b"news")
        sleep(BRIEF / 10)


def speaks_unasked(directory: Path) -> Seen:
    """A client that only listens."""
    server = Other(publish, directory)
    server.said()
    client = _opened(zmq.SUB)
    client.setsockopt(zmq.SUBSCRIBE, b"")
    client.connect(_at(directory))
    heard = _received(client)
    server.kill()
    return Seen(holds=heard == b"news", what=f"a client that sent nothing got {heard!r}")


def pull_slowly(say: Say, directory: Path) -> None:
    """Take one message, and no more."""
    server = _bound(zmq.PULL, directory)
    server.rcvtimeo = -1
    say("up")
    say(server.recv())
    sleep(60)


def push_loses(directory: Path) -> Seen:
    """Messages that wait in the queue of a server that is killed, and a server that starts after it."""
    server = Other(pull_slowly, directory)
    server.said()
    client = _connected(zmq.PUSH, directory)
    for number in range(100):
        client.send(b"%d" % number)
    server.said()
    sleep(BRIEF)  # ZeroMQ's threads move the rest into the queue meanwhile
    server.kill()
    other = _bound(zmq.PULL, directory)
    client.send(b"100")
    first = _received(other)
    lost = int(first or b"100") - 1
    return Seen(holds=lost > 0, what=f"of 100 messages that send took, {lost} are lost with the first server")


def asks_the_kernel_for_a_user(directory: Path) -> Seen:
    """A server that lets in this user, and one that lets in another one."""
    answers = []
    for name, user in (("this", os.getuid()), ("another", os.getuid() + 1)):
        (directory / name).mkdir()
        server = _opened(zmq.PULL)
        server.set(zmq.IPC_FILTER_UID, user)
        server.bind(_at(directory / name))
        client = _connected(zmq.PUSH, directory / name)
        client.send(b"message")
        answers.append(_received(server))
        client.close()
    return Seen(holds=answers == [b"message", b""], what=f"with this user: {answers[0]!r}; with another one: {answers[1]!r}")


def socket_has_the_umask_s_mode(directory: Path) -> Seen:
    """The mode of a socket."""
    os.umask(0o022)
    server = _bound(zmq.REP, directory)
    mode = stat.S_IMODE((directory / "socket").stat().st_mode)
    server.close()
    return Seen(holds=mode == 0o755, what=f"with the umask 022: {mode:#o}")


STATEMENTS: Final = (
    Statement("send returns without a reader, up to the high-water mark of 1,000 messages", sends_up_to_the_mark),
    Statement("a second server under the same path succeeds, and the first notices nothing", takes_the_name),
    Statement("bind deletes an ordinary file at its path", deletes_a_file),
    Statement("after a fork the child's messages are lost and it waits; the parent goes on", loses_after_a_fork),
    Statement("two threads that use one socket mix the parts of their messages", threads_mix_parts),
    Statement("with REP, one client's slow request holds everybody up", rep_holds_up),
    Statement("with ROUTER a program can answer others meanwhile", router_does_not),
    Statement("a server speaks to clients that asked nothing", speaks_unasked),
    Statement("PUSH to PULL: what send took is lost with a server that is killed", push_loses),
    Statement("a program can name the user whose clients it accepts, and the kernel says who they are", asks_the_kernel_for_a_user),
    Statement("a socket has the mode that the umask leaves", socket_has_the_umask_s_mode),
)
