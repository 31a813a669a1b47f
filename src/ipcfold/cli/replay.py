"""`ipcfold replay`: folds what is in a log again, with the handler at hand or with two of them."""

from __future__ import annotations

import sys
from contextlib import closing
from difflib import unified_diff
from typing import Annotated, Final, final

import attrs
from cyclopts import Parameter
from returns.result import Failure, Result, Success

from ipcfold.cli import answers, status
from ipcfold.cli.entries import LogName, entries, facts, moment, opened
from ipcfold.cli.folding import Folding, begun
from ipcfold.cli.output import Json, complain, complained, note, say, say_json
from ipcfold.cli.parameters import AsJson, Ipc, Size
from ipcfold.cli.printable import shown
from ipcfold.cli.program import Options, Program
from ipcfold.cli.status import LONGEST, Complaint, Misused, Status
from ipcfold.inputs import Came
from ipcfold.limits import LARGEST_CONTENT, Limits
from ipcfold.log.entry import Adopted, Entry
from ipcfold.log.journal import Reading
from ipcfold.message import shortened
from ipcfold.result import cases


def replay(
    name_or_file: LogName,
    handler: Annotated[str, Parameter(name="MODULE:HANDLER", help="A function in a module, which may be in the working directory.")],
    /,
    *,
    options: Options = Options(),  # noqa: B008 - it is frozen
    limit: Annotated[Size, Parameter(help="limits.message of the server, in bytes; by default that of the library.")] = None,
    against: Annotated[
        str | None, Parameter(help="The old handler, as MODULE:HANDLER, or the directory of an old checkout: show a diff of the answers.")
    ] = None,
    as_json: AsJson = False,
    ipc: Ipc,
) -> Status:
    """Fold what is in a log with a handler, and print the carry.

    It begins as far back as the log goes. If the first entries were dropped, that is
    at a snapshot, which --snapshots reads. If an answer differs from the one in the
    log, the first such answer is printed instead, unless a server has adopted a
    handler later. With --against, the answers and carries of two handlers are
    compared with each other.
    """
    match cases(_programs(handler, options, against)):
        case Failure(misused):
            return complained(misused)
        case Success(programs):
            pass
    match cases(_limits(limit)):
        case Failure(misused):
            return complained(misused)
        case Success(limits):
            pass
    match cases(opened(name_or_file, ipc)):
        case Failure(error):
            return complained(error)
        case Success((place, reader)):
            pass
    sys.set_int_max_str_digits(0)  # a long number is shown, too
    with closing(reader):
        match cases(begun(place, reader, foldings := [Folding(place, program, limits) for program in programs])):
            case Failure(error):
                return complained(error)
            case Success(start):
                pass
        match cases(_folded(place, reader, start, foldings)):
            case Failure(error):
                return complained(error)
            case Success(end):
                pass
    if isinstance(end, int):
        (_show_json if as_json else _show)(start, end, foldings[-1].replay.carry)
        return Status.DONE
    if as_json:
        say_json(end.facts)
    for each in () if as_json else end.lines:
        say(each)
    given = {"carry": options.carry != "None", "left": options.left, "woken": options.woken, "limit": limit}
    others = ", ".join(f"--{name}" for name, known in given.items() if known in (None, False))
    otherwise = f", or the server was started with {others}, which this replay was not given" if others else ""
    complain(end.sentence if len(foldings) > 1 else f"{end.sentence}{otherwise}: --against shows the old answer, too")
    return Status.LOG


def _programs(handler: str, options: Options, against: str | None) -> Result[list[Program], Misused]:
    """The old program, if there is one, and the new one, which is imported last: its modules keep their names."""
    if against is None:
        return Program.of(handler, options).map(lambda new: [new])
    return Program.before(against, handler, options).bind(lambda old: Program.of(handler, options).map(lambda new: [old, new]))


def _limits(limit: int | None) -> Result[Limits, Misused]:
    if limit is None:
        return Success(Limits())
    if not 0 < limit <= LARGEST_CONTENT:
        return Failure(Misused(f"--limit must be from 1 to {LARGEST_CONTENT} bytes, not {limit}"))
    return Success(Limits(message=limit))


_WHY: Final = "it is not pure, or it was changed"


@final
@attrs.frozen
class Difference:
    """The first entry whose answers differ, or behind which the carries do."""

    lines: list[str]
    facts: dict[str, Json]
    sentence: str


def _folded(place: str, reader: Reading, start: int, foldings: list[Folding]) -> Result[int | Difference, Complaint]:
    """Fold what is behind the first `start` entries. Returns how many there are, or the first difference."""
    *before, new = foldings
    at, unlike = start, None
    carries = all(answers.same(old.replay.carry, new.replay.carry) for old in before)
    for found in entries(place, reader, start):
        match cases(found):
            case Failure(error):
                return Failure(error)
            case Success((at, entry)):
                forgotten = new.forgotten(entry)
        if forgotten:
            return Failure(Misused(f"entry {at} of the log {place} cannot be folded: {forgotten}"))
        for folding in foldings:
            folding.feed(entry)
        for old in before:
            difference = _between(place, at, entry, old, new, carries=carries)
            if difference is not None:
                return Success(difference)
        if new.ended is None and new.replay.diverged is None:
            unlike = None  # a later entry may say that a difference was accepted
        elif unlike is None:
            unlike = _differs(place, at, entry, new)
        if new.ended is not None:
            break
    return Success(at if unlike is None else unlike)


def _differs(place: str, at: int, entry: Entry, new: Folding) -> Difference:
    """What the log says otherwise about this entry."""
    diverged = new.replay.diverged
    if diverged is not None and diverged.part == "carry":
        return _from_snapshot(place, at, entry, new, diverged.carry)
    return (_from_adopted if isinstance(entry.what, Adopted) else _from_log)(place, at, entry, new)


def _from_snapshot(place: str, at: int, entry: Entry, new: Folding, kept: object) -> Difference:
    """That the carry is another one than that of the snapshot there."""
    names, date = (f"snapshot of {place}", new.program.name), f"behind entry {at}, {moment(entry.what.now)}"
    texts = [answers.carried(carry) for carry in (kept, new.replay.carry)]
    lines = list(unified_diff(texts[0], texts[1], *names, date, date, lineterm=""))
    told = f"behind entry {at} of the log {place} the handler {new.program.name} has another carry than the snapshot there: {_WHY}"
    known = [{"carry": answers.coded(carry)} for carry in (kept, new.replay.carry)]
    return Difference(lines, {**facts(at, entry), "before": known[0], "after": known[1]}, told)


def _from_log(place: str, at: int, entry: Entry, new: Folding) -> Difference:
    """What differs from the log, which has only the size and the checksum of its answers."""
    size, checksum = entry.digest >> 32, f"{entry.digest & 0xFFFF_FFFF:08x}"
    told = f"the handler {new.program.name} answers entry {at} of the log {place} in another way than it did: {_WHY}"
    lines = [f"@@ entry {at}, {moment(entry.what.now)} @@", f" {_what(entry)}", f"-an answer of {size} bytes, checksum {checksum}"]
    if new.raised is None:
        lines += [f"+{each}" for each in answers.brief(new.replay.answer)]
    else:
        raised = f"{shown(new.raised, LONGEST)}{status.place(new.raised)}"
        told = f"the handler {new.program.name} raises {raised} for entry {at} of the log {place}, which it has folded: {_WHY}"
        lines = []
    known: dict[str, Json] = {"bytes": size, "checksum": checksum}
    after = answers.facts(new.replay.answer, new.raised)
    return Difference(lines, {**facts(at, entry), "before": known, "after": after}, told)


def _from_adopted(place: str, at: int, entry: Entry, new: Folding) -> Difference:
    """That not all answers before are those of the handler that was adopted there."""
    known: list[dict[str, Json]] = [
        {"answers": each >> 32, "checksum": f"{each & 0xFFFF_FFFF:08x}"} for each in (entry.digest, new.replay.digest)
    ]
    sums = [f"{sign}{each['answers']} answers, checksum {each['checksum']}" for sign, each in zip("-+", known, strict=True)]
    told = f"the handler {new.program.name} does not answer all before entry {at} of the log {place} as the one that was adopted there"
    lines = [f"@@ entry {at}, {moment(entry.what.now)} @@", " adopted", *sums]
    return Difference(lines, {**facts(at, entry), "before": known[0], "after": known[1]}, told)


def _between(place: str, at: int, entry: Entry, old: Folding, new: Folding, *, carries: bool) -> Difference | None:
    """What differs between the answers, or the carries, of two programs."""
    one, other = (answers.whole(each.answer, each.raised) for each in (old, new))
    if one == other:
        if not carries or answers.same(old.replay.carry, new.replay.carry):
            return None
        told = f"behind entry {at} of the log {place} the carries differ, and the answers are the same"
    else:
        told = f"{new.program.name} answers entry {at} of the log {place} in another way than {old.program.name}"
    wrong = old.replay.diverged or old.ended
    if wrong is not None:
        told += (
            f"; the old one is not the handler of the log, because it {'answers' if wrong.error is None else 'raises at'} entry {wrong.at}"
        )
        told += " in another way" if wrong.error is None else ""
    message = answers.said_in_lines(entry.what.message) if isinstance(entry.what, Came) else [_what(entry)]
    texts, known = list[list[str]](), list[dict[str, Json]]()
    for each, answer in ((old, one), (new, other)):
        carry = each.replay.carry
        texts.append([*message, *answer, *(answers.carried(carry) if carries else ())])
        known.append({"answer": answers.facts(each.answer, each.raised), "carry": answers.coded(carry)})
    date = f"entry {at}, {moment(entry.what.now)}"
    lines = list(unified_diff(texts[0], texts[1], old.program.name, new.program.name, date, date, lineterm=""))
    return Difference(lines, {**facts(at, entry), "before": known[0], "after": known[1]}, told)


def _what(entry: Entry) -> str:
    """What was folded, on one line."""
    what = entry.what
    return f"{what.message.media_type} {shortened(what.message.content)}" if isinstance(what, Came) else shown(what)


def _show(start: int, end: int, carry: object) -> None:
    say(shown(carry))
    begin = f"the snapshot after entry {start}" if start else "the beginning"
    note(f"folded {end - start} entries, from {begin}")


def _show_json(start: int, end: int, carry: object) -> None:
    say_json({"began": start, "entries": end - start, "carry": answers.coded(carry)})
