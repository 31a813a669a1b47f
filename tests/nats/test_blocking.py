"""The blocking shell over a real broker, with servers in processes of their own."""

import gc
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from returns.maybe import Maybe
from returns.pipeline import flow
from returns.result import Failure, Success

from ipcfold import Continuation, Limits, Message, Name, ProcessClosed, TimedOut, UsedAfterFork, pipeline
from ipcfold.errors import ConnectionLost, HandlerFailed
from ipcfold.nats import NATS, BrokerUnreachable, NobodyListens, Unacknowledged
from ipcfold.nats.pointfree import ask, close, flat_map, send, wait
from tests.environment import ROOT
from tests.nats.broker import Broker
from tests.nats.support import log, run, standing_by
from tests.shells.handlers import EMPTY, Log
from tests.shells.support import PATIENCE, PING, PONG, ServerProcess


class NatsServer(ServerProcess):
    """A server process over NATS."""

    def __init__(self, broker: str, name: Name, *options: str) -> None:
        command = [sys.executable, "-m", "tests.nats.serve", broker, str(name), *options]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)


@contextmanager
def running(broker: str, name: Name, *options: str) -> Iterator[NatsServer]:
    """A server process that is up, and is killed in the end if it still runs."""
    server = NatsServer(broker, name, *options)
    try:
        NATS(broker).wait(name, PATIENCE).unwrap().close()
        yield server
    finally:
        server.process.kill()
        server.process.communicate()


def test_a_server_ends_in_good_order_by_a_signal(shared_broker: Broker, name: Name) -> None:
    nats = NATS(shared_broker.url)
    with running(shared_broker.url, name) as server, nats.get(name).unwrap() as process:
        assert nats.exists(name) == Success(True)
        assert name in nats.processes().unwrap()
        assert process.ask(PING) == Success(PONG)
        assert process.send(PING, PING) == Success(process)
        assert [process.wait(), process.wait()] == [Success(PONG)] * 2
        assert (process.name, process.peer.pid, process.closed) == (name, 0, False)
        assert str(name) in repr(process)
        with pytest.raises(TypeError, match="pickled"):
            process.__reduce__()
        assert server.stop() == ["ping"] * 3
    assert process.closed
    assert process.send(PING) == process.wait() == Failure(ProcessClosed(name))
    assert process.close() == Success(None)
    assert nats.get(name) == Failure(NobodyListens(name, shared_broker.url))


def until_alone() -> None:
    while any(thread.name == "ipcfold nats" for thread in threading.enumerate()):
        pass


def test_pipelines_need_nothing_but_another_first_word(shared_broker: Broker, name: Name) -> None:
    nats = NATS(shared_broker.url)
    with nats.listen(name).start(EMPTY, log) as server:
        waited = flow(nats.wait(name), flat_map(send(PING)), flat_map(wait()))
        assert waited == Success(PONG)
        assert pipeline(nats.wait(name)).flat_map(ask(PING)).result == Success(PONG)
        assert pipeline(nats.wait(name)).flat_map(close()).result == Success(None)
        gc.collect()
        until_alone()  # each pipeline has closed its session, and ended its thread
        assert server.name == nats.listen(name).name == name
        assert server.result(0.01) == Failure(TimedOut(name, 0.01, "the end of"))
    assert server.result() == Success(("ping", "ping"))


def test_a_server_on_a_thread_raises_what_was_wrong_with_its_arguments(shared_broker: Broker, name: Name) -> None:
    server = NATS(shared_broker.url).listen(name).start(EMPTY, None)  # type: ignore[arg-type]  # what this test is about
    with pytest.raises(TypeError, match="handler"):
        server.result()


def test_a_server_on_a_thread_may_be_stopped_again_and_by_its_handler(shared_broker: Broker, name: Name) -> None:
    def handle(message: Message, continuation: Continuation[Log], carry: Log) -> Continuation[Log]:
        server.stop()
        return continuation.respond((*carry, str(server.result(PATIENCE).failure())), PONG)

    nats = NATS(shared_broker.url)
    with nats.listen(name).start(EMPTY, handle) as server, nats.wait(name, PATIENCE).unwrap() as process:
        assert process.ask(PING) == Success(PONG)
        server.stop()
    assert server.result() == Success((str(TimedOut(name, PATIENCE, "the end of")),))


def test_a_server_that_is_called_blocks_until_it_ends(shared_broker: Broker, name: Name) -> None:
    nats = NATS(shared_broker.url)
    assert nats.listen(name, 0.01)(EMPTY, log) == Success(EMPTY)
    assert nats.listen(name, 0.01).adopting()(EMPTY, log) == Success(EMPTY)


def test_the_carry_outlives_every_server(shared_broker: Broker, name: Name) -> None:
    nats, epochs = NATS(shared_broker.url), set[Maybe[int]]()
    for number in range(3):
        with running(shared_broker.url, name) as server, nats.get(name).unwrap() as process:
            assert process.ask(Message.text(f"echo {number}")) == Success(Message.text(f"echo {number}"))
            server.kill()
            epochs.add(process.epoch)
    assert len(epochs) == 1
    with running(shared_broker.url, name) as server:
        assert server.stop() == ["echo 0", "echo 1", "echo 2"]


def test_a_standby_goes_on_with_the_sessions_of_a_killed_leader(shared_broker: Broker, name: Name) -> None:
    nats = NATS(shared_broker.url)
    with running(shared_broker.url, name) as leader, running(shared_broker.url, name) as standby, nats.get(name).unwrap() as process:
        assert process.ask(Message.text("echo 1")) == Success(Message.text("echo 1"))
        leader.kill()
        assert process.ask(Message.text("echo 2")) == Success(Message.text("echo 2"))
        assert process.close() == Success(None)
        assert standby.stop() == ["echo 1", "echo 2"]


def test_a_leader_that_ends_in_good_order_hands_over(shared_broker: Broker, name: Name) -> None:
    nats = NATS(shared_broker.url)
    with running(shared_broker.url, name) as leader, running(shared_broker.url, name) as standby, nats.get(name).unwrap() as process:
        assert process.ask(Message.text("echo 1")) == Success(Message.text("echo 1"))
        run(standing_by(shared_broker.url, name))
        assert leader.stop() == ["echo 1"]
        assert process.ask(Message.text("echo 2")) == Success(Message.text("echo 2"))
        assert standby.stop() == ["echo 1", "echo 2"]


def test_a_leader_that_was_stopped_harms_nothing(shared_broker: Broker, name: Name) -> None:
    nats = NATS(shared_broker.url)
    with running(shared_broker.url, name) as leader, running(shared_broker.url, name) as standby, nats.get(name).unwrap() as process:
        assert process.ask(Message.text("echo 1")) == Success(Message.text("echo 1"))
        leader.signal(signal.SIGSTOP)
        assert process.ask(Message.text("echo 2")) == Success(Message.text("echo 2"))
        leader.signal(signal.SIGCONT)
        assert process.ask(Message.text("echo 3")) == Success(Message.text("echo 3"))
        assert process.close() == Success(None)
        standby.kill()
        with nats.get(name).unwrap() as second:
            assert second.ask(Message.text("echo 4")) == Success(Message.text("echo 4"))
        assert leader.stop() == ["echo 1", "echo 2", "echo 3", "echo 4"]


def test_verbs_fail_when_nobody_is_there_for_long(shared_broker: Broker, name: Name) -> None:
    nats = NATS(shared_broker.url, patience=0.1)
    with running(shared_broker.url, name) as server, nats.get(name).unwrap() as process:
        assert process.ask(PING) == Success(PONG)
        server.kill()
        assert process.send(PING) == Failure(Unacknowledged(0, 1, ConnectionLost(name)))
        assert process.wait() == Failure(ConnectionLost(name))
        assert process.close() == Failure(ConnectionLost(name))
    with running(shared_broker.url, name) as server:
        assert server.stop() == ["ping", "ping"]  # it was stored


def test_a_session_goes_on_when_its_broker_starts_again(own_broker: Broker, name: Name) -> None:
    nats = NATS(own_broker.url)
    with running(own_broker.url, name) as server, nats.get(name).unwrap() as process:
        for number in range(3):
            assert process.ask(Message.text(f"echo {number}")) == Success(Message.text(f"echo {number}"))
            own_broker.restart()
        assert process.send(Message.text("end")) == Success(process)
        assert process.close() == Success(None)
        assert server.stop() == ["echo 0", "echo 1", "echo 2", "end"]


def test_verbs_fail_when_there_is_no_broker_for_long(own_broker: Broker, name: Name) -> None:
    nats = NATS(own_broker.url, patience=0.1)
    with running(own_broker.url, name), nats.get(name).unwrap() as process:
        own_broker.process.kill()
        failed = process.ask(PING).failure()
        assert isinstance(failed, Unacknowledged)
        assert isinstance(failed.reason, BrokerUnreachable)


def test_a_session_belongs_to_the_process_that_made_it(shared_broker: Broker, name: Name) -> None:
    nats = NATS(shared_broker.url)
    with running(shared_broker.url, name), nats.get(name).unwrap() as process:
        process._client.owner = 1  # noqa: SLF001 - a fork beside the threads of the tests could hang
        forked = Failure(UsedAfterFork(name, 1))
        assert [process.send(PING), process.ask(PING), process.wait(), process.close()] == [forked] * 4
        process._client.owner = os.getpid()  # noqa: SLF001 - as above
    process._client.owner = 1  # noqa: SLF001 - as above
    del process  # this closes nothing of the other process


def test_threads_may_close_a_session_that_others_use(own_broker: Broker, name: Name) -> None:
    nats = NATS(own_broker.url, limits=Limits(drain=0.1))
    with running(own_broker.url, name), nats.get(name).unwrap() as process, ThreadPoolExecutor() as threads:
        waiting = threads.submit(process.wait)
        own_broker.pause()
        closing = threads.submit(process.close)
        while not process.closed:
            pass
        assert process.close() == Success(None)
        assert closing.result() == Failure(TimedOut(name, 0.1, "the confirmation to close of"))
        assert waiting.result() == Failure(ProcessClosed(name))
        own_broker.go_on()


def test_a_failure_of_the_handler_has_the_carry(shared_broker: Broker, name: Name) -> None:
    def handle(message: Message, continuation: Continuation[Log], carry: Log) -> Continuation[Log]:
        return None  # type: ignore[return-value]  # what this test is about

    nats = NATS(shared_broker.url)
    with nats.listen(name).start(EMPTY, handle) as server, nats.wait(name).unwrap() as process:
        assert isinstance(process.ask(PING).failure(), Unacknowledged)
        failed = server.result().failure()
        assert isinstance(failed, HandlerFailed)
        assert failed.carry == EMPTY
