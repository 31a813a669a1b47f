"""Chaos on a cluster of three brokers: `python -m tests.nats.chaos [messages=100000] [seed=N] [zombie=SECONDS]`.

Servers, clients and brokers are killed, stopped and started again while clients send. At the end all servers have the same carry. It has
every message that was acknowledged, none twice, those of each client in order, and each answer says where its message stands.

The servers store snapshots, and drop what is before them. With `zombie` the first leader is stopped for so long at the beginning.
"""

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, TypeAlias

from nats.aio.msg import Msg
from returns.result import Failure, Success

from ipcfold import Continuation, Message, Name, cases
from ipcfold.log import History, Snapshots
from ipcfold.nats import NATS, BrokerRefused, BrokerUnreachable
from ipcfold.nats.aio import NATS as AioNATS  # noqa: N811 - it is a class
from ipcfold.nats.broker import Broker as Connection
from ipcfold.nats.subjects import Subjects
from tests.environment import ROOT
from tests.nats.broker import Broker
from tests.nats.proxy import Links
from tests.shells.support import PATIENCE

Chain: TypeAlias = "tuple[Chain, int, str] | None"
NAME = Name("chaos")
STOP = Message.text("stop")
SESSIONS = 4
"""Clients in each process of clients."""
OFTEN = ("kill server", "kill broker", "cut link")
FAULTS = (*OFTEN, *OFTEN, "stop server", "stop broker", "silence link", "kill client", "kill all")


def note(message: Message, continuation: Continuation[Chain], carry: Chain) -> Continuation[Chain]:
    """Add the message to the chain, and answer with its place. `stop` ends all servers at the same place, however far behind they are."""
    if message == STOP:
        return continuation.stop(carry)
    place = 1 if carry is None else carry[1] + 1
    return continuation.respond((carry, place, message.content.decode()), Message.text(str(place)))


def texts_of(carry: Chain) -> list[str]:
    """The texts of the messages, the first one first."""
    texts = list[str]()
    while carry is not None:
        texts.append(carry[2])
        carry = carry[0]
    return texts[::-1]


def read(data: bytes) -> Chain:
    """The chain of a snapshot."""
    carry: Chain = None
    for place, text in enumerate(json.loads(data), 1):
        carry = carry, place, text
    return carry


SNAPSHOTS: Snapshots[Chain] = Snapshots.of(lambda carry: json.dumps(texts_of(carry)).encode(), read, every=500, history=History.DROPPED)


def serve(urls: str) -> None:
    result = NATS(urls, replicas=3).listen(NAME)(None, note, snapshots=SNAPSHOTS)
    while isinstance(result, Failure) and isinstance(result.failure(), BrokerUnreachable | BrokerRefused):  # as a service manager does
        result = NATS(urls, replicas=3).listen(NAME)(None, note, snapshots=SNAPSHOTS)
    match cases(result):
        case Success(carry):
            print(json.dumps(texts_of(carry)))  # noqa: T201 - the output is its purpose
        case Failure(error):
            print(json.dumps(str(error)))  # noqa: T201 - as above


def call(urls: str, number: str, start: str, most: str, ledger: str) -> None:
    asyncio.run(callers(urls, int(number), int(start), int(most), ledger))


async def callers(urls: str, number: int, start: int, most: int, ledger: str) -> None:
    """Several clients, which note what was answered."""
    descriptor = os.open(ledger, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    async def client(index: int) -> None:
        at = start
        while at < most:
            match cases(await AioNATS(urls, patience=60.0).wait(NAME, 5.0)):
                case Failure():
                    continue
                case Success(process):
                    pass
            while at < most:
                batch = [f"{number}.{index} {each}" for each in range(at, min(at + random.choice((1, 1, 20)), most))]  # noqa: S311 - no secret
                at += len(batch)
                answers = await asyncio.gather(*(process.ask(Message.text(text)) for text in batch))
                lines = [
                    f"{text} {answer.unwrap().content.decode()}\n"
                    for text, answer in zip(batch, answers, strict=True)
                    if isinstance(answer, Success)
                ]
                os.write(descriptor, "".join(lines).encode())
                if len(lines) < len(batch):
                    os.write(descriptor, f"lost {number}.{index} {answers[-1]}\n".encode())
                    break
            await process.close()

    await asyncio.gather(*map(client, range(SESSIONS)))


class World:
    """The processes."""

    def __init__(self, directory: Path, messages: int, seed: int) -> None:
        self.random = random.Random(seed)  # noqa: S311 - no secret
        self.directory = directory
        self.ledger = directory / "ledger"
        self.ledger.touch()
        ports = [free_port() for _ in range(3)]
        routes = ", ".join(f'"nats://127.0.0.1:{port}"' for port in ports)
        self.brokers = list[Broker]()
        for index, port in enumerate(ports):
            (directory / f"broker{index}").mkdir()
            cluster = f'cluster {{ name: "chaos", listen: "127.0.0.1:{port}", routes: [{routes}], no_advertise: true }}'
            self.brokers.append(Broker(directory / f"broker{index}", cluster))
        self.links = Links()
        self.cables = [self.links.link(broker.port) for broker in self.brokers]
        self.urls = ",".join(f"nats://127.0.0.1:{cable.port}" for cable in self.cables)
        self.servers: list[subprocess.Popen[str]] = []
        self.clients: list[subprocess.Popen[str]] = []
        self.starts = [0] * 5
        self.most = messages // (5 * SESSIONS)
        self.done = list[str]()

    def begin(self) -> None:
        asyncio.run(self.elected())
        self.servers = [self.server()]
        NATS(self.urls).wait(NAME).unwrap().close()  # so the first one leads
        self.servers += [self.server() for _ in range(2)]
        self.clients = [self.client(number) for number in range(5)]

    async def elected(self) -> None:
        """Wait until the cluster can keep a stream."""
        while True:
            connection = (await Connection.open(NATS(self.urls).address, 5.0)).value_or(None)
            if connection is not None:
                used = await connection.use("look", connection.client.jetstream().account_info())
                await connection.close()
                if isinstance(used, Success):
                    return

    async def all_there(self) -> None:
        """Wait until each server reads the stream, so that none begins behind the stop."""
        connection = (await Connection.open(NATS(self.urls).address, PATIENCE)).unwrap()
        found, inbox = set[bytes](), connection.client.new_inbox()

        async def take(msg: Msg) -> None:
            found.add(msg.data)

        (await connection.subscribe(inbox, take)).unwrap()
        while len(found) < len(self.servers):
            await connection.publish(Subjects(NAME).find, b"", inbox)
            await asyncio.sleep(0.05)
        await connection.close()

    def server(self) -> "subprocess.Popen[str]":
        return self.process("serve", self.urls, stdout=subprocess.PIPE)

    def client(self, number: int) -> "subprocess.Popen[str]":
        start = str(self.starts[number])
        return self.process("call", self.urls, str(number), start, str(self.most), str(self.ledger))

    def process(self, *arguments: str, **options: Any) -> "subprocess.Popen[str]":
        return subprocess.Popen([sys.executable, "-m", "tests.nats.chaos", *arguments], text=True, cwd=ROOT, **options)

    def zombie(self, seconds: int) -> None:
        """Stop the first leader for so long."""
        self.servers[0].send_signal(signal.SIGSTOP)
        time.sleep(seconds)
        self.servers[0].send_signal(signal.SIGCONT)
        self.done.append("zombie leader")

    def step(self) -> None:
        """Do something bad, and then what mends it."""
        pause = self.random.uniform(0.2, 1.5)
        index = self.random.randrange(3)
        what = self.random.choice(FAULTS)
        self.done.append(what)
        match what:
            case "kill server" | "kill all":
                for each in (index,) if what == "kill server" else range(3):
                    self.servers[each].kill()
                    self.servers[each].communicate()
                time.sleep(pause)
                for each in (index,) if what == "kill server" else range(3):
                    self.servers[each] = self.server()
            case "stop server":
                self.servers[index].send_signal(signal.SIGSTOP)
                time.sleep(4 * pause)
                self.servers[index].send_signal(signal.SIGCONT)
            case "cut link":
                self.cables[index].reset()
                self.cables[index].silence()
                time.sleep(pause)
                self.cables[index].restore()
            case "silence link":
                self.cables[index].silence()
                time.sleep(4 * pause)
                self.cables[index].reset()
                self.cables[index].restore()
            case "kill broker":
                self.brokers[index].kill()
                time.sleep(pause)
                self.brokers[index].start()
            case "stop broker":
                self.brokers[index].pause()
                time.sleep(2 * pause)
                self.brokers[index].go_on()
            case _:
                number = self.random.randrange(5)
                if self.clients[number].poll() is None:
                    self.clients[number].kill()
                    self.clients[number].wait()
                    self.starts[number] = (
                        1
                        + max(
                            (int(line.split()[1]) for line in self.ledger.read_text().splitlines() if line.startswith(f"{number}.")),
                            default=0,
                        )
                        + 100
                    )  # what it was sending then
                    self.clients[number] = self.client(number)
        time.sleep(self.random.uniform(0.2, 1.0))

    def finish(self) -> None:
        """Compare what everybody knows."""
        for client in self.clients:
            client.wait()
        asyncio.run(self.all_there())
        with NATS(self.urls).wait(NAME).unwrap() as process:
            process.send(STOP)
        carries = [json.loads(server.communicate(timeout=PATIENCE)[0]) for server in self.servers]
        assert all(isinstance(carry, list) for carry in carries), [carry for carry in carries if not isinstance(carry, list)]
        assert carries[0] == carries[1] == carries[2], [len(carry) for carry in carries]
        carry: list[str] = carries[0]
        assert len(set(carry)) == len(carry), "a message was folded twice"
        last = dict[str, int]()
        for text in carry:
            sender, _, number = text.partition(" ")
            assert int(number) > last.get(sender, -1), f"{text} is out of order"
            last[sender] = int(number)
        lines = [line for line in self.ledger.read_text().splitlines() if not line.startswith("lost ")]
        lost = [line for line in self.ledger.read_text().splitlines() if line.startswith("lost ")]
        for line in lines:
            text, _, place = line.rpartition(" ")
            assert carry[int(place) - 1] == text, f"{text} was acknowledged at {place}, where {carry[int(place) - 1]} stands"
        answered = [line.rpartition(" ")[0] for line in lines]
        assert len(set(answered)) == len(answered), "an answer came twice"
        faults = ", ".join(sorted(set(self.done)))
        said = f"{len(carry)} folded, {len(lines)} acknowledged, {len(lost)} sessions lost, {len(self.done)} faults: {faults}"
        print(said, *lost[:5], sep="\n")  # noqa: T201 - a command prints

    def end(self) -> None:
        for process in (*self.servers, *self.clients):
            process.kill()
            process.communicate()
        self.links.close()
        for broker in self.brokers:
            broker.kill()


def free_port() -> int:
    import socket  # noqa: PLC0415 - only here

    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def chaos(messages: int, seed: int, zombie: int = 0) -> None:
    print(f"messages={messages} seed={seed}", flush=True)  # noqa: T201 - a command prints
    with tempfile.TemporaryDirectory() as directory:
        world = World(Path(directory), messages, seed)
        try:
            world.begin()
            if zombie:
                world.zombie(zombie)
            while any(client.poll() is None for client in world.clients):
                world.step()
            world.finish()
        finally:
            world.end()


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["serve", urls]:
            serve(urls)
        case ["call", *arguments]:
            call(*arguments)
        case options:
            chosen = {key: int(value) for key, _, value in (option.partition("=") for option in options)}
            chaos(chosen.get("messages", 100_000), chosen.get("seed", random.randrange(2**32)), chosen.get("zombie", 0))  # noqa: S311 - no secret
