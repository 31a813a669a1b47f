"""A web application that asks a server: run with uvicorn. Its requests share the connection of their worker."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from returns.result import Failure, Success
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ipcfold import Message, aio, cases
from tests.shells.support import NAME, PATIENCE


@asynccontextmanager
async def lifespan(_: Starlette) -> AsyncIterator[dict[str, aio.Process]]:
    async with (await aio.IPC().wait(NAME, PATIENCE)).unwrap() as process:
        yield {"process": process}


async def ask(request: Request) -> Response:
    process: aio.Process = request.state.process
    match cases(await process.ask(Message.octets(await request.body()))):
        case Success(answer):
            return Response(answer.content)
        case Failure(error):
            return Response(str(error), status_code=503)


app = Starlette(routes=[Route("/", ask, methods=["POST"])], lifespan=lifespan)
