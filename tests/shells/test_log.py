"""Handlers and filters of the log are foreign code: whatever they do, a server goes on, and a client cannot fill the log."""

import logging
import re
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event

import attrs
import pytest
from returns.result import Success

from ipcfold import IPC, Limits, Message
from ipcfold.local.log import Writer, logger
from ipcfold.testing.plugin import serving
from tests.shells.handlers import EMPTY, log
from tests.shells.wire import START, Wire

BROKEN = b"\0\1x\0\0\0\0!"  # a frame without its end mark


class Handler(logging.Handler):
    """What a program may install by mistake."""

    def __init__(self, error: BaseException | None = None) -> None:
        super().__init__()
        self.records = list[str]()
        self.entered, self.released = Event(), Event()
        self._error = error

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record.getMessage())
        self.entered.set()
        if self._error is not None:
            raise self._error
        self.released.wait()


@contextmanager
def installed(handler: Handler) -> Iterator[Handler]:
    logger().addHandler(handler)
    try:
        yield handler
    finally:
        handler.released.set()
        logger().removeHandler(handler)


def drop(directory: Path) -> None:
    """Break the protocol, and see the end of the stream."""
    with Wire.to(directory) as wire:
        wire.stream.sendall(BROKEN)
        assert wire.read() == START
        assert wire.ended()


@pytest.mark.parametrize("error", [RuntimeError("full"), SystemExit(3), KeyboardInterrupt()])
def test_a_server_goes_on_when_a_handler_of_the_log_raises(directory: Path, error: BaseException) -> None:
    with installed(Handler(error)) as handler, serving(IPC(directory)) as serve:
        server = serve(log, EMPTY)
        with server.connect() as process:
            drop(directory)
            handler.entered.wait()
            drop(directory)
            assert isinstance(process.send(Message.text("ping")), Success)
        assert server.stop() == Success(("ping",))


def test_a_server_goes_on_when_a_handler_of_the_log_blocks(directory: Path) -> None:
    with serving(IPC(directory)) as serve, installed(Handler()) as handler:
        server = serve(log, EMPTY)
        with server.connect() as process:
            for _ in range(3):
                drop(directory)
            handler.entered.wait()
            assert isinstance(process.send(Message.text("ping")), Success)
        assert server.stop() == Success(("ping",))
        assert not handler.released.is_set()


def test_clients_that_are_turned_away_again_and_again_are_counted(directory: Path) -> None:
    handler = Handler()
    handler.released.set()
    with installed(handler), serving(attrs.evolve(IPC(directory), limits=Limits(connections=1))) as serve:
        server = serve(log, EMPTY)
        with server.connect():
            for _ in range(50):
                with Wire.to(directory) as wire:
                    assert wire.ended()
        server.stop()
    records = [record for record in handler.records if "turned" in record]  # the log of the test before may still write something else
    counts = [re.fullmatch(r"server: (\d+) more clients of user \d+ turned away within a second", record) for record in records]
    assert sum(1 if count is None else int(count[1]) for count in counts) == 50
    assert len(records) < 50


def test_the_log_keeps_nothing_of_an_error_that_it_has_written(monkeypatch: pytest.MonkeyPatch) -> None:
    """A frame of its traceback may hold a socket, which would stay open."""
    monkeypatch.setattr(logger(), "propagate", False)  # pytest itself keeps each record
    held = list[weakref.ref[Event]]()

    def fail() -> None:
        local = Event()
        held.append(weakref.ref(local))
        raise ValueError

    handler, writer = Handler(), Writer()
    handler.released.set()
    with installed(handler):
        try:
            fail()
        except ValueError as error:
            writer.write(logging.ERROR, "an error", error=error)
        with writer._changed:  # noqa: SLF001 - the thread of the log waits for the next record then, and does not end
            writer._changed.wait_for(lambda: handler.records and not writer._busy)  # noqa: SLF001 - as before
            assert held[0]() is None
        writer.end()
