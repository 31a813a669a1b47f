"""A web application that asks a server: run with uvicorn. Its requests share the connection of their worker.

A client that goes away cancels its question. At its end each worker prints how many there were, and what is left of its work.
"""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from fastapi import FastAPI, Request, Response
from returns.result import Failure, Success

from ipcfold import Message, aio, cases
from tests.shells.support import NAME, PATIENCE

cancelled = 0


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[dict[str, aio.Process]]:
    tasks, opened = len(asyncio.all_tasks()), sockets()
    async with (await aio.IPC().wait(NAME, PATIENCE)).unwrap() as process:
        yield {"process": process}
    await asyncio.sleep(0)
    left = {"cancelled": cancelled, "tasks": len(asyncio.all_tasks()) - tasks, "sockets": sockets() - opened}
    print(json.dumps(left), file=sys.stderr, flush=True)  # noqa: T201 - its purpose


def sockets() -> int:
    """How many sockets this process has open."""
    found = 0
    for each in os.listdir("/proc/self/fd"):
        with suppress(FileNotFoundError):  # that of the list itself
            found += os.readlink(f"/proc/self/fd/{each}").startswith("socket:")
    return found


async def leave(request: Request, asking: asyncio.Task[object]) -> None:
    """Cancel the question once the client has gone away."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
    asking.cancel()


app = FastAPI(lifespan=lifespan)


@app.post("/")
async def ask(request: Request) -> Response:
    global cancelled  # noqa: PLW0603 - one count for each worker
    process: aio.Process = request.state.process
    asking = asyncio.create_task(process.ask(Message.octets(await request.body())))
    leaving = asyncio.create_task(leave(request, asking))
    await asyncio.wait([asking])
    leaving.cancel()
    if asking.cancelled():
        cancelled += 1
        return Response(status_code=499)
    match cases(asking.result()):
        case Success(answer):
            return Response(answer.content)
        case Failure(error):
            return Response(str(error), status_code=503)
