"""Links that can be cut: a proxy before each broker."""

import asyncio
import threading
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any


class Links:
    """Proxies in an event loop of their own."""

    def __init__(self) -> None:
        self._links = list["Link"]()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    def link(self, port: int) -> "Link":
        """A link to this port."""
        link = Link(self, port)
        self.run(link.listen())
        self._links.append(link)
        return link

    def close(self) -> None:
        async def end() -> None:
            for link in self._links:
                link.end()
            while tasks := asyncio.all_tasks() - {asyncio.current_task()}:
                await asyncio.wait(tasks)
            for link in self._links:
                link.server.close()  # not before: asyncio leaves a connection open whose server is closed while it is accepted
                link.abort()
            await asyncio.sleep(0)  # now all sockets are closed; a later test would be warned of others

        self.run(end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


class Link:
    """A proxy before a port."""

    def __init__(self, links: Links, target: int) -> None:
        self._links = links
        self._target = target
        self._open: asyncio.Event
        self.server: asyncio.Server
        self._writers = set[asyncio.StreamWriter]()  # of all connections that there ever were
        self._ended = False
        self.port = 0

    async def listen(self) -> None:
        self._open = asyncio.Event()
        self._open.set()
        self.server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self.server.sockets[0].getsockname()[1]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        await self._open.wait()
        if self._ended:  # it was accepted just before
            return
        try:
            other, onward = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.close()
            return
        self._writers.add(onward)
        await asyncio.gather(self._forward(reader, onward), self._forward(other, writer))

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(2**16):
                await self._open.wait()
                writer.write(data)
                await writer.drain()
        writer.close()

    def silence(self) -> None:
        """Let nothing through, and tell nobody."""
        self._links.run(self._silenced())

    async def _silenced(self) -> None:
        self._open.clear()

    def reset(self) -> None:
        """End all connections at once. What is under way is lost."""
        self._links.run(self._reset())

    async def _reset(self) -> None:
        self.abort()

    def abort(self) -> None:
        """End all connections at once, in the loop of the links."""
        for writer in self._writers:
            writer.transport.abort()

    def end(self) -> None:
        """Let every task come to its end."""
        self._ended = True
        self._open.set()
        self.abort()

    def restore(self) -> None:
        self._links.run(self._restored())

    async def _restored(self) -> None:
        self._open.set()
