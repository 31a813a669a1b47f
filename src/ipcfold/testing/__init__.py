"""Tools for tests of handlers, protocols and clients. The extra `testing` installs Hypothesis, which they need.

`simulate` plays a script with many clients, and `ProtocolMachine` searches for a script that fails. The strategies generate
values of the protocol, and `ipcfold.testing.plugin` has fixtures for pytest.
"""

from ipcfold.extras import needs

needs("hypothesis", "testing")

from ipcfold.testing.clock import Clock
from ipcfold.testing.machine import ProtocolMachine
from ipcfold.testing.player import Client
from ipcfold.testing.recorded import inputs, recorded, replayed
from ipcfold.testing.script import Close, Connect, Elapse, Hold, Kill, Release, Send, Shutdown, Step, Write
from ipcfold.testing.simulation import Simulation, simulate
from ipcfold.testing.strategies import (
    Answer,
    Fail,
    Scripted,
    ScriptedError,
    broken_frames,
    chunks,
    cuts,
    encoded,
    frames,
    handlers,
    media_types,
    messages,
    names,
    scripts,
)

__all__ = [
    "Answer",
    "Client",
    "Clock",
    "Close",
    "Connect",
    "Elapse",
    "Fail",
    "Hold",
    "Kill",
    "ProtocolMachine",
    "Release",
    "Scripted",
    "ScriptedError",
    "Send",
    "Shutdown",
    "Simulation",
    "Step",
    "Write",
    "broken_frames",
    "chunks",
    "cuts",
    "encoded",
    "frames",
    "handlers",
    "inputs",
    "media_types",
    "messages",
    "names",
    "recorded",
    "replayed",
    "scripts",
    "simulate",
]
