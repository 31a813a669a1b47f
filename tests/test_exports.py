"""The public names are these."""

import importlib
import pkgutil

import pytest

from ipcfold.extras import needs
from tests.shells.support import python

PUBLIC = {
    "ipcfold": """
        IPC Name MediaType Message Continuation Handler Outcome Peer Process Server Limits Pipeline pipeline fold cases
        Came Left Woken Ticket Steady
        InvalidName InvalidMediaType MessageTooLarge ReservedMessage DirectoryUnusable PathTooLong NameTaken NoServer
        PeerUntrusted ConnectionRefused TimedOut ConnectionClosed ConnectionLost ProtocolBroken UnreadExceeded ProcessClosed
        UsedAfterFork InUse Interrupted ConnectionDropped SystemFailure Unacknowledged HandlerFailed
        LogFailed LogError LogTaken LogFull LogReadOnly LogCorrupt LogForeign LogUnusable ReplayDiverged ReplayInterrupted
        Ended ConnectError SendError ReceiveError AskError CloseError ListenError
    """,
    "ipcfold.pointfree": "flat_map send wait ask close",
    "ipcfold.aio": "IPC Process Server Steady Pipeline pipeline Handler Leaving Waking send wait ask close",
    "ipcfold.events": "Event Observer Listening Connected Refused Folded Disconnected Stopping Departure Ending",
    "ipcfold.handlers": "rescue rescue_left rescue_woken once once_left once_woken route Remembered Open",
    "ipcfold.log": """
        Log Journal Reading SQLiteLog MemoryLog Snapshots History Coder Entry Began Ended Adopted Snapshot decode
    """,
    "ipcfold.nats": """
        NATS Process Server Running shards shard_of
        BrokerUnreachable BrokerRefused NotAuthorized NotPermitted NobodyListens HandlerRaised Unacknowledged
        ConnectError LookError SendError ReceiveError AskError CloseError ListenError
    """,
    "ipcfold.nats.aio": "NATS Process Server SendError ReceiveError AskError CloseError",
    "ipcfold.nats.pointfree": "flat_map send wait ask close",
    "ipcfold.otel": "observer",
    "ipcfold.testing": """
        simulate Simulation Client Clock Step Connect Send Close Kill Write Hold Release Elapse Shutdown ProtocolMachine
        names media_types messages frames broken_frames cuts chunks handlers encoded Scripted ScriptedError Answer Fail scripts
        replayed recorded inputs
    """,
    "ipcfold.codec": """
        Codec Format Undecodable Unencodable TypedContinuation TypedHandler TypedAsyncHandler
        typed typed_async typed_left typed_woken ask send wait
    """,
}


@pytest.mark.parametrize("module", PUBLIC)
def test_a_module_exports_exactly_its_public_names(module: str) -> None:
    exported = importlib.import_module(module)
    assert set(exported.__all__) == set(PUBLIC[module].split())
    assert all(hasattr(exported, name) for name in exported.__all__)


@pytest.mark.parametrize(
    ("module", "of_others"), [("codec", "cattrs"), ("testing", "hypothesis"), ("nats", "nats"), ("otel", "opentelemetry")]
)
def test_a_missing_package_is_named_with_its_extra(module: str, of_others: str) -> None:
    program = f"import sys; sys.modules[{of_others!r}] = None; import ipcfold.{module}"  # which is how Python is told that there is none
    told = f"ModuleNotFoundError: this part of ipcfold needs {of_others}: pip install 'ipcfold[{module}]'"
    assert python("-c", program, check=False).stderr.splitlines()[-1] == told


def test_only_a_missing_package_is_named_with_its_extra() -> None:
    needs("attrs", "any")
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'ipcfold\[any\]'"):
        needs("a_module_of_nobody", "any")


@pytest.mark.parametrize("name", ["Came", "Left", "Ticket", "Woken"])
def test_a_client_imports_no_inputs_and_no_effects(name: str) -> None:
    python("-c", "import sys, ipcfold; ipcfold.IPC; assert not {'ipcfold.inputs', 'ipcfold.effects'} & set(sys.modules)")
    python("-c", f"from ipcfold import {name}; assert {name}.__name__ == {name!r}")


@pytest.mark.parametrize("name", ["IPC", "Process", "Server"])
def test_the_shell_is_imported_when_a_program_first_uses_it(name: str) -> None:
    python(
        "-c",
        f"import sys, ipcfold; assert 'socket' not in sys.modules and {name!r} in dir(ipcfold); assert ipcfold.{name} is ipcfold.{name}",
    )
    python("-c", f"from ipcfold import {name}; assert {name}.__name__ == {name!r}")
    python("-c", f"from ipcfold import *; assert {name}.__name__ == {name!r}")


@pytest.mark.parametrize("module", ["ipcfold", "ipcfold.aio"])
def test_a_name_that_the_package_does_not_have_is_an_attribute_error(module: str) -> None:
    with pytest.raises(AttributeError, match=f"module '{module}' has no attribute 'Nobody'"):
        getattr(importlib.import_module(module), "Nobody")  # noqa: B009 - a checker refuses the attribute


@pytest.mark.parametrize(
    "left_out",
    ["logging", "asyncio", "ipcfold.aio", "ipcfold.blocking", "ipcfold.blocking.loop", "ipcfold.events", "ipcfold.log", "cattrs"],
)
def test_a_module_that_only_some_need_is_not_imported(left_out: str) -> None:
    python("-c", f"import sys, ipcfold; sys.exit({left_out!r} in sys.modules)")


def test_no_module_replaces_a_public_name() -> None:
    """Python binds a module in its package when it is imported; one named `pipeline` would replace the function of that name."""
    package = importlib.import_module("ipcfold")
    modules = {module.name for module in pkgutil.iter_modules(package.__path__)}
    assert "chain" in modules
    assert modules.isdisjoint(PUBLIC["ipcfold"].split())
