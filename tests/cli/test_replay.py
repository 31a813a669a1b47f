"""`replay`: what today's handler makes of yesterday's messages, and how it differs from yesterday's handler."""

import json
import re
from contextlib import closing
from pathlib import Path

import pytest

from ipcfold import IPC, Came, Continuation, Left, Message, Peer, Woken
from ipcfold.cli.status import Status
from ipcfold.codec import Codec
from ipcfold.log import Began, Entry, History, Snapshots, SQLiteLog
from ipcfold.log.entry import digest, encode
from tests.cli.inside import Command
from tests.shells.support import NAME, PATIENCE

PROGRAM = """
from dataclasses import dataclass

from ipcfold import Message
from ipcfold.codec import Codec
from ipcfold.log import Snapshots

START = 0
JSON = Message.of("application/json", '{"a": [1, 2]}').unwrap()
SNAPSHOTS = Snapshots(Codec(int), every=2)
OTHERS = Snapshots(Codec(str))


def start():
    return 0


def broken():
    raise ValueError("no carry")


def count(message, continuation, carry):
    return continuation.respond(carry + 1, Message.text(f"{carry + 1}"))


async def later(message, continuation, carry):
    return count(message, continuation, carry)


def gone(peer, continuation, carry):
    return continuation.wake(carry + 100, continuation.now)


def silent(peer, continuation, carry):
    return continuation


def rung(continuation, carry):
    return continuation.continue_(carry + 1000)


def lines(message, continuation, carry):
    return continuation.respond(carry + 1, Message.text(f"{carry + 1}\\nand more"), JSON, Message.octets(b"\\xff"))


@dataclass
class State:
    count: int = 0


class Plain:
    count = 0


def stateful(message, continuation, state):
    return continuation.respond(State(state.count + 1), Message.text("yes"))


def plain(message, continuation, state):
    return continuation.respond(Plain(), Message.text("yes"))


def quietly(message, continuation, carry):
    from prices import PRICE

    return continuation.respond(carry + PRICE, Message.text(f"{carry // PRICE + 1}"))


def silently(message, continuation, carry):
    from prices import PRICE

    return continuation.respond(carry + PRICE, Message.text(f"{carry + 1}")) if carry < 2 else count(message, continuation, 2)
"""


def count(_: Message, continuation: Continuation[int], carry: int) -> Continuation[int]:
    return continuation.respond(carry + 1, Message.text(f"{carry + 1}"))


@pytest.fixture
def log(directory: Path) -> str:
    """A log of three messages, and the modules of its server."""
    (directory / "app.py").write_text(PROGRAM)
    (directory / "prices.py").write_text("PRICE = 1")
    (directory / "log").unlink(missing_ok=True)
    with IPC(directory).listen(NAME, log=SQLiteLog.of(directory / "log")).start(0, count):
        said(directory)
    return str(directory / "log")


def said(directory: Path, *contents: str) -> None:
    with IPC(directory).wait(NAME, PATIENCE).unwrap() as process:
        for content in contents or ("one", "two", "three"):
            process.ask(Message.text(content), PATIENCE).unwrap()


def differs(command: Command, *words: str) -> tuple[str, str]:
    """What the command writes on both outputs, because an answer differs."""
    status, output, errors = command("replay", *words)
    assert status == Status.LOG, errors
    return output, errors


@pytest.mark.parametrize("carry", ["0", "app:START", "app:start"])
def test_the_first_carry_is_a_literal_a_value_or_what_a_function_makes(command: Command, directory: Path, log: str, carry: str) -> None:
    assert command.printed("replay", log, "app:count", "--carry", carry) == "3\n"


def test_a_replay_tells_machines_where_it_began(command: Command, directory: Path, log: str) -> None:
    told = json.loads(command.printed("replay", log, "app:later", "--carry", "0", "--json"))
    assert told == {"began": 0, "entries": 6, "carry": 3}


def test_a_replay_begins_at_a_snapshot_if_it_knows_how(command: Command, directory: Path, log: str) -> None:
    snapshots = Snapshots(Codec(int), every=1, history=History.DROPPED)
    server = IPC(directory).listen(NAME, log=SQLiteLog.of(log))
    for _ in range(2):
        with server.start(0, count, snapshots=snapshots):
            said(directory)
    told = json.loads(command.printed("replay", log, "app:count", "--snapshots", "app:SNAPSHOTS", "--json"))
    assert told["carry"] == 9
    assert told["began"] > 6
    command.fails("replay", log, "app:count", status=Status.LOG, says="with --snapshots MODULE:NAME")
    output, errors = differs(command, log, "app:count", "--snapshots", "app:OTHERS")
    assert output == ""
    *left_out, last = errors.splitlines()
    assert [re.sub(r"\d+", "N", each)[:57] for each in left_out] == ["ipcfold: the snapshot after entry N is left out: it does "] * 2
    assert "it has no snapshot that decodes" in last


def test_the_first_carry_is_that_of_the_log_if_it_has_one(command: Command, directory: Path, log: str) -> None:
    other = str(directory / "other")
    with IPC(directory).listen(NAME, log=SQLiteLog.of(other)).start(5, count, snapshots=Snapshots(Codec(int), every=1)):
        said(directory)
    told = json.loads(command.printed("replay", other, "app:count", "--snapshots", "app:SNAPSHOTS", "--json"))
    assert told == {"began": 0, "entries": 6, "carry": 8}
    status, output, errors = command("replay", other, "app:count", "--snapshots", "app:OTHERS", "--carry", "5")
    assert (status, output) == (Status.DONE, "8\n")
    assert errors.startswith("ipcfold: the snapshot after entry 0 is left out: it does not decode: ")


def test_a_carry_that_is_not_that_of_a_snapshot_is_shown(command: Command, directory: Path, log: str) -> None:
    other = str(directory / "other")
    with IPC(directory).listen(NAME, log=SQLiteLog.of(other)).start(0, count, snapshots=Snapshots(Codec(int))):
        said(directory)
    (directory / "prices.py").write_text("PRICE = 7")
    output, errors = differs(command, other, "app:quietly", "--snapshots", "app:SNAPSHOTS")
    assert output.splitlines()[2:] == ["@@ -1,2 +1,2 @@", " carry", "-  3", "+  21"]
    assert "behind entry 6 of the log" in errors
    assert "has another carry than the snapshot there: it is not pure, or it was changed" in errors
    told = json.loads(differs(command, other, "app:quietly", "--snapshots", "app:SNAPSHOTS", "--json")[0])
    assert (told["at"], told["kind"], told["before"], told["after"]) == (6, "ended", {"carry": 3}, {"carry": 21})


def test_a_replay_of_a_log_without_snapshots_begins_at_the_beginning(command: Command, directory: Path, log: str) -> None:
    assert command.printed("replay", log, "app:count", "--carry", "0", "--snapshots", "app:SNAPSHOTS") == "3\n"


def test_a_forgotten_function_is_named(command: Command, directory: Path, log: str) -> None:
    peer, one = Peer(1, 2, 3, 4), Message.text("one")
    folded = (
        Entry(Began(1.0)),
        Entry(Came(2.0, peer, one), 1, digest(Continuation(0).respond(1, Message.text("1")))),
        Entry(Left(3.0, peer), 0, digest(Continuation(0).wake(0, 3.0))),
        Entry(Woken(3.0), 0, digest(Continuation(0))),
    )
    other = str(directory / "other")
    with closing(SQLiteLog.of(other).bind(SQLiteLog.open).unwrap()) as journal:
        for entry in folded:
            journal.append(encode(entry))
        journal.commit().unwrap()
    run = (other, "app:count", "--carry", "0")
    command.fails("replay", *run, status=Status.MISUSED, says="entry 3 of the log")
    command.fails("replay", *run, "--woken", "app:rung", status=Status.MISUSED, says="name it with --left MODULE:FUNCTION")
    command.fails("replay", *run, "--left", "app:rung", status=Status.MISUSED, says="called with peer, continuation, carry")
    command.fails("replay", *run, "--left", "app:silent", status=Status.MISUSED, says="name it with --woken MODULE:FUNC")
    assert command.printed("replay", *run, "--left", "app:gone", "--woken", "app:rung") == "1101\n"


def test_a_difference_from_the_log_is_told_to_machines(command: Command, directory: Path, log: str) -> None:
    output, errors = differs(command, log, "app:lines", "--carry", "0", "--json")
    told = json.loads(output)
    assert (told["at"], told["content"], told["before"]["bytes"]) == (2, "one", 14 + 4)
    assert [each.get("content") or each["base64"] for each in told["after"]["responses"]] == ["1\nand more", '{"a": [1, 2]}', "/w=="]
    assert "it is not pure, or it was changed, or the server was started with --left, --woken, --limit, which this replay" in errors


def test_a_difference_from_the_log_is_told_to_people(command: Command, directory: Path, log: str) -> None:
    output, errors = differs(command, log, "app:stateful", "--carry", "app:State")
    place, *changes = output.splitlines()
    assert place.startswith("@@ entry 2, ")
    assert changes == [" text/plain b'one'", "-an answer of 18 bytes, checksum fe56647f", "+text/plain b'yes'", "+continue"]
    assert errors.endswith(
        "the server was started with --left, --woken, --limit, which this replay was not given: --against shows the old answer, too\n"
    )


def test_a_replay_goes_on_behind_what_a_server_has_adopted(command: Command, directory: Path, log: str) -> None:
    def other(message: Message, continuation: Continuation[int], carry: int) -> Continuation[int]:
        return continuation.respond(carry + 1, message)

    (directory / "app.py").write_text("def other(message, continuation, carry):\n    return continuation.respond(carry + 1, message)")
    with IPC(directory).listen(NAME, log=SQLiteLog.of(log).map(SQLiteLog.adopting)).start(0, other):
        pass
    assert command.printed("replay", log, "app:other", "--carry", "0") == "3\n"


def test_a_replay_says_where_another_handler_was_adopted(command: Command, directory: Path, log: str) -> None:
    with (
        IPC(directory).listen(NAME, log=SQLiteLog.of(log).map(SQLiteLog.adopting)).start(0, lambda _, given, carry: given.continue_(carry))
    ):
        pass
    output, errors = differs(command, log, "app:count", "--carry", "0")
    place, adopted, before, after = output.splitlines()
    at = int(place.split(",")[0].removeprefix("@@ entry "))
    assert adopted == " adopted"
    assert before != after
    assert before[1:].split(", ")[0] == after[1:].split(", ")[0]
    assert f"the handler app:count does not answer all before entry {at} of the log {log} as the one that was adopted there" in errors


def test_two_handlers_are_compared_answer_by_answer(command: Command, directory: Path, log: str) -> None:
    output, errors = differs(command, log, "app:lines", "--carry", "0", "--against", "app:count")
    old, new, place, *changes = output.splitlines()
    assert (old[:23], new[:23]) == ("--- app:count\tentry 2, ", "+++ app:lines\tentry 2, ")
    assert place.startswith("@@ -1,5 ")
    assert changes == [
        " text/plain b'one'",
        "-text/plain b'1'",
        "+text/plain",
        "+  1",
        "+  and more",
        "+application/json",
        "+  {",
        '+   "a": [',
        "+    1,",
        "+    2",
        "+   ]",
        "+  }",
        "+application/octet-stream b'\\xff'",
        " continue",
        " carry",
        "   1",
    ]
    assert "app:lines answers entry 2 of the log" in errors


def test_a_carry_that_differs_is_shown_though_the_answers_are_the_same(command: Command, directory: Path, log: str) -> None:
    old = directory / "old"
    old.mkdir()
    (old / "app.py").write_text(PROGRAM)
    (old / "prices.py").write_text("PRICE = 2")
    output, errors = differs(command, log, "app:silently", "--carry", "app:START", "--against", str(old))
    assert output.splitlines()[3:] == [" text/plain b'1'", " continue", " carry", "-  2", "+  1"]
    assert "behind entry 2" in errors
    assert "the answers are the same" in errors
    told = json.loads(differs(command, log, "app:silently", "--carry", "app:START", "--against", str(old), "--json")[0])
    assert [told[when]["carry"] for when in ("before", "after")] == [2, 1]


def test_two_checkouts_of_one_program_have_carries_of_their_own_classes(command: Command, directory: Path, log: str) -> None:
    old = directory / "old"
    old.mkdir()
    (old / "app.py").write_text(PROGRAM)
    for handler, carry in (("app:stateful", "app:State"), ("app:plain", "app:Plain")):
        output, errors = differs(command, log, handler, "--carry", carry, "--against", str(old))
        assert "answers entry 2 of the log" in errors
        assert output.startswith("@@ entry 2")  # both differ from the log, and neither from the other


def test_an_old_handler_that_raises_or_is_not_that_of_the_log_is_shown(command: Command, directory: Path, log: str) -> None:
    output, errors = differs(command, log, "app:count", "--carry", "0", "--against", "app:stateful")
    assert "-raises AttributeError(" in output
    assert "app:count answers entry 2" in errors
    output, errors = differs(command, log, "app:count", "--carry", "0", "--against", "app:lines")
    assert "the old one is not the handler of the log, because it answers entry 2 in another way" in errors
    output, errors = differs(command, log, "app:stateful", "--carry", "0")
    assert output == ""
    assert "raises AttributeError(" in errors
    assert "app.py:" in errors


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("app:count", "--carry", "app:nothing"), "has no 'nothing'"),
        (("app:count", "--carry", "app:broken"), "raised ValueError('no carry') at "),
        (("app:count", "--snapshots", "app:START"), "is 0, and no Snapshots: name what the server got"),
        (("app:count", "--limit", "0"), "--limit must be from 1 to 4294967295 bytes"),
        (("app:count", "--against", "nowhere"), "'nowhere' is not MODULE:HANDLER"),
        (("app:count", "--against", "{directory}/old"), "has no module 'app'"),
    ],
)
def test_what_cannot_be_replayed_is_told(command: Command, directory: Path, log: str, words: tuple[str, ...], says: str) -> None:
    (directory / "old").mkdir()
    given = [word.format(directory=directory) for word in words]
    command.fails("replay", log, *given, status=Status.MISUSED, says=says)


def test_a_limit_of_the_server_is_that_of_the_replay(command: Command, directory: Path, log: str) -> None:
    output, errors = differs(command, log, "app:count", "--limit", "1", "--carry", "99999")
    assert "limits.message" in output + errors
