"""What NATS costs: `python -m benchmarks.machines`. It starts a broker on the loopback interface.

Ratios of one run, because machines differ: a round trip beside a request of nats-py to a responder that first publishes to JetStream,
which is the same durability by hand; many messages at once beside as many published to JetStream; eight shards beside one; and the time
that a standby needs to answer after the leader was killed.
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from random import uniform
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter, sleep

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import NoRespondersError
from nats.errors import TimeoutError as NatsTimeout

from ipcfold import Continuation, Handler, Message, Name
from ipcfold.nats import NATS as BlockingNATS  # noqa: N811 - it is a class
from ipcfold.nats import shards
from ipcfold.nats.aio import NATS, Process

ROUNDS, TRIPS, MANY = 7, 300, 2000
CONTENT = b"x" * 64
MESSAGE = Message.octets(CONTENT)


def echo(message: Message, continuation: Continuation[int], carry: int) -> Continuation[int]:
    return continuation.respond(carry + 1, message)


def quiet(_: Message, continuation: Continuation[int], carry: int) -> Continuation[int]:
    return continuation.continue_(carry + 1)


def serve(url: str, name: Name, handler: Handler[int]) -> None:
    BlockingNATS(url).listen(name)(0, handler)


@contextmanager
def broker(directory: str) -> Iterator[str]:
    """A broker that is ready: its address."""
    command = [str(Path(sys.executable).with_name("nats-server")), "-a", "127.0.0.1", "-p", "-1", "-js", "-sd", directory]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)  # noqa: S603 - it is ours
    try:
        address = ""
        for line in process.stderr or ():
            found = re.search(r"client connections on (\S+)", line)
            address = found[1] if found else address
            if "Server is ready" in line:
                break
        yield f"nats://{address}"
    finally:
        process.kill()
        process.communicate()


@contextmanager
def beside(run: Callable[[], object]) -> Iterator[int]:
    """Run it in a process of its own, which is killed in the end."""
    pid = os.fork()
    if pid == 0:
        try:
            run()
        finally:
            os._exit(0)
    try:
        yield pid
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


async def respond(url: str) -> None:
    """Answer requests, after JetStream has stored them."""
    client = Client()
    await client.connect(url)
    stream = client.jetstream()
    await stream.add_stream(name="byhand", subjects=["byhand"])

    async def answer(msg: Msg) -> None:
        await stream.publish("byhand", msg.data)
        await client.publish(msg.reply, msg.data)

    await client.subscribe("ask", cb=answer)
    await asyncio.Event().wait()


async def timed(work: Callable[[], Awaitable[object]], times: int = 1) -> float:
    began = perf_counter()
    for _ in range(times):
        await work()
    return perf_counter() - began


def write(line: str) -> None:
    sys.stdout.write(f"{line}\n")


async def compare(url: str) -> None:
    nats, client = NATS(url), Client()
    await client.connect(url)
    stream = client.jetstream()
    await stream.add_stream(name="bare", subjects=["bare"])
    while True:
        try:
            await client.request("ask", CONTENT, timeout=1)
            break
        except (NoRespondersError, NatsTimeout):
            await asyncio.sleep(0.1)
    asked, told = (await nats.wait(Name("echo"))).unwrap(), (await nats.wait(Name("quiet"))).unwrap()

    async def bare() -> None:
        await asyncio.gather(*[await stream.publish_async("bare", CONTENT) for _ in range(MANY)])

    trips, sends = list[float](), list[float]()
    for _ in range(ROUNDS):
        ours = await timed(lambda: asked.ask(MESSAGE), TRIPS)
        by_hand = await timed(lambda: client.request("ask", CONTENT, timeout=5), TRIPS)
        trips.append(ours / by_hand)
        sends.append(await timed(bare) / await timed(lambda: told.send(*[MESSAGE] * MANY)))
    write(f"a round trip takes {median(trips):.2f} of a request to a responder that publishes to JetStream first")
    write(f"{MANY} messages at once are {median(sends):.1f} times as fast as published to JetStream with nats-py")
    for process in (asked, told):
        await process.close()
    await client.close()


async def spread(url: str, names: tuple[Name, ...]) -> None:
    processes = [(await NATS(url).wait(name)).unwrap() for name in names]

    async def send(chosen: list[Process]) -> None:
        await asyncio.gather(*(process.send(*[MESSAGE] * (len(names) * MANY // len(chosen))) for process in chosen))

    ratios = [await timed(lambda: send(processes[:1])) / await timed(lambda: send(processes)) for _ in range(ROUNDS)]
    write(f"{len(names)} shards are {median(ratios):.1f} times as fast as one, on {os.cpu_count()} cores")
    for process in processes:
        await process.close()


def failover(url: str) -> None:
    name, times = Name("failover"), list[float]()
    for _ in range(ROUNDS):
        with beside(lambda: serve(url, name, echo)) as leader:
            process = BlockingNATS(url).wait(name).unwrap()
            process.ask(MESSAGE).unwrap()
            with beside(lambda: serve(url, name, echo)):
                asyncio.run(stands_by(url, name))
                sleep(uniform(0.5, 0.75))  # noqa: S311 - no secret; so that it is not always just about to look at the leader
                began = perf_counter()
                os.kill(leader, signal.SIGKILL)
                process.ask(MESSAGE).unwrap()
                times.append(perf_counter() - began)
                process.close()
    write(f"a standby answers {median(times):.2f} s after the leader was killed (median of {len(times)})")


async def stands_by(url: str, name: Name) -> None:
    client = Client()
    await client.connect(url)
    while True:
        try:
            await client.request(f"ipcfold.{name}.standby", b"", timeout=1)
        except NoRespondersError:
            continue
        break
    await client.close()


def main() -> None:
    with TemporaryDirectory() as directory, broker(directory) as url:
        with (
            beside(lambda: asyncio.run(respond(url))),
            beside(lambda: serve(url, Name("echo"), echo)),
            beside(lambda: serve(url, Name("quiet"), quiet)),
        ):
            asyncio.run(compare(url))
        names = shards(Name("shard"), 8)
        with ExitStack() as stack:
            for name in names:
                stack.enter_context(beside(partial(serve, url, name, quiet)))
            asyncio.run(spread(url, names))
        failover(url)


if __name__ == "__main__":
    main()
