"""Tasks over one connection that are cancelled at random awaits: `python -m tests.aio.chaos CANCELLATIONS [LOOP] [SEED]`.

Every answer that a task gets is its own. What a task knows to be folded is folded once. No answer is left for anybody else.
"""

import asyncio
import random
import sys
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic

from returns.result import Success

from ipcfold import Continuation, Message, aio
from tests.aio.support import run, serving
from tests.shells.support import NAME

_TASKS = 50


async def disturb(directory: Path, cancellations: int, seed: int) -> tuple[int, int]:
    """Cancel so many verbs. Returns how many were cancelled, and how many messages were folded."""
    chance = random.Random(seed)  # noqa: S311 - to be repeated
    folded = Counter[bytes]()
    ipc = aio.IPC(directory)
    known, cancelled = list[bytes](), 0

    async def handler(message: Message, continuation: Continuation[int], count: int) -> Continuation[int]:
        folded[message.content] += 1
        if count % 7 == 0:
            await asyncio.sleep(0)
        return continuation.respond(count + 1, message)

    async def use(process: aio.Process, number: int) -> None:
        nonlocal cancelled
        turn = 0
        while cancelled < cancellations:
            turn += 1
            message = Message.octets(b"%d %d" % (number, turn) + b"x" * chance.choice([0, 0, 0, 100, 100_000]))
            verb = asyncio.create_task(process.ask(message, chance.choice([None, 60.0])))
            for _ in range(chance.randrange(12)):
                await asyncio.sleep(0)
            verb.cancel()
            await asyncio.wait([verb])
            if verb.cancelled():
                cancelled += 1
            else:
                assert verb.result() == Success(message)
                known.append(message.content)

    async with serving(ipc, handler, 0) as server, (await ipc.get(NAME)).unwrap() as process:
        await asyncio.gather(*(use(process, number) for number in range(_TASKS)))
        last = Message.text("last")
        assert await process.ask(last) == Success(last)
        assert not (await process.wait(0)).map(bool).value_or(False)
    assert set(folded.values()) == {1}
    assert set(known) <= folded.keys()
    assert server.result() == Success(len(folded))
    return cancelled, len(folded)


def main(cancellations: str = "100000", loop: str = "asyncio", seed: str = "") -> None:
    """Say what happened."""
    chosen, began = int(seed or random.randrange(2**32)), monotonic()  # noqa: S311 - a seed
    print(f"seed {chosen}", flush=True)  # noqa: T201 - its purpose
    with TemporaryDirectory(prefix="ipc") as directory:
        cancelled, folded = run(lambda: disturb(Path(directory), int(cancellations), chosen), loop, patience=3600.0)
    print(f"{cancelled} cancellations, {folded} messages folded, {monotonic() - began:.0f} s")  # noqa: T201 - as above


if __name__ == "__main__":
    main(*sys.argv[1:])
