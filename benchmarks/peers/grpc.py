"""gRPC: a unary method of bytes, without protobuf in between; batches are futures of that method.

Unary calls and not a stream, since its own guide says that streams are the slower way in Python.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final, final

import grpc

from benchmarks.contestant import PATIENCE, Client, Contestant

_UNLIMITED: Final = (("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1))


def echo(request: bytes, _: grpc.ServicerContext) -> bytes:
    """What came."""
    return request


@final
class GrpcClient(Client):
    """One channel."""

    def __init__(self, address: str) -> None:
        self._channel = grpc.insecure_channel(f"unix:{address}", options=_UNLIMITED)
        self._echo = self._channel.unary_unary("/benchmarks.Echo/Echo")

    def trip(self, content: bytes) -> bytes:
        """One call."""
        return self._echo(content, timeout=PATIENCE, wait_for_ready=True)

    def batch(self, contents: Sequence[bytes]) -> Sequence[bytes]:
        """All calls under way at once."""
        calls = [self._echo.future(content, timeout=PATIENCE) for content in contents]
        return [call.result() for call in calls]

    def close(self) -> None:
        """End the connection."""
        self._channel.close()


@final
class Grpc(Contestant):
    """Calls of a method."""

    title = "gRPC, unary"
    enters = frozenset({"round-trip", "pipelined", "bulk", "connect"})

    def serve(self, address: str) -> None:
        """A pool of threads."""
        server = grpc.server(ThreadPoolExecutor(max_workers=10), options=_UNLIMITED)
        methods = {"Echo": grpc.unary_unary_rpc_method_handler(echo)}
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("benchmarks.Echo", methods),))
        server.add_insecure_port(f"unix:{address}")
        server.start()
        server.wait_for_termination()

    def connect(self, address: str) -> GrpcClient:
        """A client."""
        return GrpcClient(address)


CONTESTANTS: Final = (Grpc(),)
