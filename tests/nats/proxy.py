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
                link.server.close()
            tasks = asyncio.all_tasks() - {asyncio.current_task()}
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

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
        self._writers = set[asyncio.StreamWriter]()
        self.port = 0

    async def listen(self) -> None:
        self._open = asyncio.Event()
        self._open.set()
        self.server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self.server.sockets[0].getsockname()[1]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._open.wait()
            other, onward = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.close()
            return
        self._writers |= {writer, onward}
        await asyncio.gather(self._forward(reader, onward), self._forward(other, writer))
        self._writers -= {writer, onward}

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
        for writer in self._writers:
            writer.transport.abort()

    def restore(self) -> None:
        self._links.run(self._restored())

    async def _restored(self) -> None:
        self._open.set()
