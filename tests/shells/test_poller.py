"""Waiting for many sockets: the ways of doing it do the same."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from ipcfold.core.transports import READ, WRITE
from ipcfold.local.poller import Poller
from ipcfold.local.portable import Portable

Pair = tuple[socket.socket, socket.socket]
Either = Poller[str] | Portable[str]


@pytest.fixture(params=[Poller, Portable])
def poller(request: pytest.FixtureRequest) -> Iterator[Either]:
    kind: type[Either] = request.param
    poller = kind()
    yield poller
    poller.close()


@pytest.fixture
def pair() -> Iterator[Pair]:
    one, other = socket.socketpair()
    with one, other:
        yield one, other


def test_a_poller_says_which_socket_can_be_read(poller: Either, pair: Pair) -> None:
    poller.watch(pair[0], READ, "one")
    assert poller.poll(0) == []
    pair[1].send(b"x")
    assert poller.poll(1) == [("one", READ)]
    pair[0].recv(1)
    assert poller.poll(0) == []


def test_a_watched_socket_can_get_other_events(poller: Either, pair: Pair) -> None:
    pair[1].send(b"x")
    poller.watch(pair[0], WRITE, "writes")
    assert poller.poll(1) == [("writes", WRITE)]
    poller.change(pair[0], READ | WRITE, "both")
    assert poller.poll(1) == [("both", READ | WRITE)]
    poller.change(pair[0], READ, "reads")
    assert poller.poll(1) == [("reads", READ)]
    poller.forget(pair[0])
    assert poller.poll(0) == []


def test_a_poller_says_that_a_socket_has_ended(poller: Either, pair: Pair) -> None:
    poller.watch(pair[0], READ, "one")
    pair[1].close()
    ((thing, events),) = poller.poll(1)
    assert thing == "one"
    assert events & ~WRITE


def test_a_poller_finds_every_one_of_many_sockets(poller: Either) -> None:
    with ExitStack() as stack:
        pairs = [socket.socketpair() for _ in range(300)]
        for number, (one, other) in enumerate(pairs):
            stack.enter_context(one)
            stack.enter_context(other)
            poller.watch(one, READ, str(number))
            other.send(b"x")
        found = set[str]()
        while events := poller.poll(0):
            for thing, _ in events:
                found.add(thing)
                pairs[int(thing)][0].recv(1)
        assert found == {str(number) for number in range(300)}


def test_a_socket_cannot_be_watched_twice(poller: Either, pair: Pair) -> None:
    poller.watch(pair[0], READ, "one")
    with pytest.raises((OSError, KeyError)):
        poller.watch(pair[0], READ, "again")
