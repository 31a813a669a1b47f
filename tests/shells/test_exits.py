"""A server on another thread than the main one ends in good order when a signal ends the program, and keeps no process alive."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from returns.result import Success

from ipcfold import IPC, Message, TimedOut
from tests.environment import PLAIN, ROOT
from tests.shells.support import NAME, PATIENCE, PING

LOOKS = 1.5  # seconds; a server looks twice a second whether it has to end, so one that ends wrongly does so meanwhile

PROGRAM = """
import asyncio, os, signal, sys, threading
from concurrent.futures import ThreadPoolExecutor
from ipcfold import IPC, Name

def handler(message, continuation, carry):
    return continuation.stop(carry) if message.content == b"stop" else continuation.continue_(carry + 1)

def serve(name="server", saved=sys.stdout):
    result = IPC(sys.argv[1]).listen(Name(name))(7, handler)
    saved.write(f"{result}\\n")
    saved.flush()

"""

IN_A_POOL = """
with ThreadPoolExecutor(1) as pool:
    pool.submit(serve).result()
"""
LEFT_IN_A_POOL = """
pool = ThreadPoolExecutor(1)
pool.submit(serve).result()
"""
IN_ASYNCIO = """
async def main():
    await asyncio.to_thread(serve)
asyncio.run(main())
"""
IN_ASYNCIO_CAUGHT = """
async def main():
    await asyncio.to_thread(serve)
try:
    asyncio.run(main())
except KeyboardInterrupt:
    pass
"""
JOINED = """
thread = threading.Thread(target=serve)
thread.start()
thread.join()
"""
LEFT = "threading.Thread(target=serve).start()\n"
LEFT_AS_TASK = "pool = ThreadPoolExecutor(1)\npool.submit(serve)\n"
DAEMON = """
thread = threading.Thread(target=serve, daemon=True)
thread.start()
thread.join()
"""
STARTED_IN_ASYNCIO = """
async def main():
    with IPC(sys.argv[1]).listen(Name("server")).start(7, handler) as server:
        try:
            await asyncio.to_thread(server.result)
        finally:
            server.stop()
            print(server.result(), flush=True)
asyncio.run(main())
"""
EXITING = "signal.signal(signal.SIGTERM, lambda *_: sys.exit(3))\n"
CANCELLED = """
async def main():
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, asyncio.current_task().cancel)
    await asyncio.to_thread(serve)
asyncio.run(main())
"""


@contextmanager
def program(source: str, directory: Path) -> Iterator[subprocess.Popen[str]]:
    """A program whose server listens."""
    command = [sys.executable, "-c", PROGRAM + source, str(directory)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT, env=PLAIN) as process:
        try:
            IPC(directory).wait(NAME, PATIENCE).unwrap().close()
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize(
    ("source", "number"),
    [
        pytest.param(IN_A_POOL, signal.SIGINT, id="pool"),
        pytest.param(LEFT_IN_A_POOL, signal.SIGINT, id="pool that is left"),
        pytest.param(LEFT_AS_TASK, signal.SIGINT, id="task that is left"),
        pytest.param(IN_ASYNCIO, signal.SIGINT, id="asyncio"),
        pytest.param(IN_ASYNCIO_CAUGHT, signal.SIGINT, id="asyncio, caught"),
        pytest.param(JOINED, signal.SIGINT, id="thread"),
        pytest.param(LEFT, signal.SIGINT, id="thread that is left"),
        pytest.param(DAEMON, signal.SIGINT, id="daemon"),
        pytest.param(STARTED_IN_ASYNCIO, signal.SIGINT, id="started in asyncio"),
        pytest.param(EXITING + IN_A_POOL, signal.SIGTERM, id="pool, exit"),
        pytest.param(CANCELLED, signal.SIGTERM, id="asyncio, cancelled"),
    ],
)
def test_one_signal_ends_a_server_on_another_thread_in_good_order(directory: Path, source: str, number: signal.Signals) -> None:
    with program(source, directory) as process:
        process.send_signal(number)
        output, _ = process.communicate(timeout=PATIENCE)
    assert output == "<Success: 7>\n"
    assert not (directory / "server.sock").exists()


def test_one_signal_ends_all_servers_of_a_pool(directory: Path) -> None:
    source = "with ThreadPoolExecutor(2) as pool:\n    tuple(pool.map(serve, ['other', 'server']))\n"
    with program(source, directory) as process:
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=PATIENCE)
    assert output == "<Success: 7>\n<Success: 7>\n"


@pytest.mark.parametrize("source", [LEFT, LEFT_AS_TASK, JOINED, IN_A_POOL, LEFT_AS_TASK + "sys.exit()\n"])
def test_a_server_outlives_a_main_thread_that_no_signal_ends(directory: Path, source: str) -> None:
    """As every thread does. A message ends it."""
    with program(source, directory) as process, IPC(directory).get(NAME).unwrap() as client:
        assert isinstance(client.wait(LOOKS).failure(), TimedOut)
        assert client.send(PING, Message.text("stop")) == Success(client)
        output, _ = process.communicate(timeout=PATIENCE)
    assert (output, process.returncode) == ("<Success: 8>\n", 0)


def test_a_server_serves_on_while_the_program_handles_ctrl_c_and_waits_for_another_thread(directory: Path) -> None:
    source = """
from ipcfold import Message
done = threading.Event()
worker, server = threading.Thread(target=done.wait), threading.Thread(target=serve)
worker.start()
server.start()
def late(*_):
    done.set()
signal.signal(signal.SIGUSR1, late)
try:
    server.join()
except KeyboardInterrupt:
    print("handling", flush=True)
    worker.join()
    with IPC(sys.argv[1]).get(Name("server")).unwrap() as client:
        client.send(Message.text("stop"))
"""
    with program(source, directory) as process, IPC(directory).get(NAME).unwrap() as client:
        process.send_signal(signal.SIGINT)
        assert process.stdout is not None
        assert process.stdout.readline() == "handling\n"
        assert isinstance(client.wait(LOOKS).failure(), TimedOut)
        assert client.send(PING) == Success(client)
        process.send_signal(signal.SIGUSR1)
        output, _ = process.communicate(timeout=PATIENCE)
    assert output == "<Success: 8>\n"
