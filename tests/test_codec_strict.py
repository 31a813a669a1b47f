"""Strict JSON: in both directions a codec takes a value of exactly its type, and nothing else."""

import dataclasses
import json
import math
import re
import typing
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone
from enum import EJECT, Enum, Flag, IntEnum, IntFlag, StrEnum
from pathlib import Path
from types import NoneType
from typing import Annotated, Any, Generic, Literal, NamedTuple, NewType, NotRequired, TypedDict, TypeVar

import attrs
import cattrs
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from returns.result import Failure, Success
from typing_extensions import TypeAliasType

from ipcfold import MediaType, Message, Peer, Ticket, cases
from ipcfold.codec import Codec
from ipcfold.handlers import Open, Remembered

# Any in this file: a type, or a value of whatever type.

T = TypeVar("T")
U = TypeVar("U")
JSON = MediaType("application", "json")


class Colour(Enum):
    RED = "red"
    ONE = 1
    NOTHING = None


class Level(IntEnum):
    LOW = 1
    HIGH = 2


class Word(StrEnum):
    YES = "yes"
    NO = "no"


class Rights(IntFlag):
    READ = 1
    WRITE = 2


class Marks(Flag):
    BOLD = 1
    WIDE = 2


@attrs.frozen
class Point:
    x: int
    y: int = 0


@attrs.frozen
class Named:
    name: str
    _hidden: bool = False


@attrs.frozen
class Pair(Generic[T, U]):
    first: T
    rest: "list[Pair[T, U]]"
    second: U | None = None


@attrs.frozen
class Ints(Pair[int, str]):
    more: frozenset[int] = frozenset()


@attrs.frozen
class Renamed:
    width: Annotated[int, cattrs.override(rename="w")]


@dataclass(frozen=True)
class Old:
    name: str
    point: Point | Named


@dataclass(frozen=True)
class Older:
    age: int


class Place(NamedTuple):
    name: str
    at: tuple[int, int]


class Options(TypedDict):
    depth: int
    label: NotRequired[str]


UserId = NewType("UserId", int)
Pairs = TypeAliasType("Pairs", list[tuple[T, str]], type_params=(T,))
Alias = TypeAliasType("Alias", list[Point | None])

integers = st.integers() | st.sampled_from([-(2**70), -1, 0, 1, 10**25])
floats = st.floats(allow_nan=False, allow_infinity=False)
PAIR = re.compile("[\ud800-\udbff][\udc00-\udfff]")  # two surrogates that JSON reads as one character
texts = st.text(st.characters(exclude_categories=()), max_size=5).filter(lambda text: not PAIR.search(text))  # lone surrogates, too
points = st.builds(Point, integers, integers)
nameds = st.builds(Named, texts, st.booleans())
offsets = st.timedeltas(timedelta(hours=-23), timedelta(hours=23)).filter(lambda offset: not offset or abs(offset) >= timedelta(seconds=1))
zones = st.none() | st.builds(timezone, offsets)
plain = st.recursive(
    st.none() | st.booleans() | integers | floats | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
)


def pairs(first: st.SearchStrategy[Any], second: st.SearchStrategy[Any], kind: type = Pair) -> st.SearchStrategy[Any]:
    leaves = st.builds(Pair, first, st.just([]), second | st.none())
    return st.builds(kind, first, st.lists(leaves, max_size=2), second | st.none())


Typed = tuple[Any, st.SearchStrategy[Any]]

LEAVES: list[Typed] = [
    (NoneType, st.none()),
    (bool, st.booleans()),
    (int, integers),
    (float, floats),
    (str, texts),
    (bytes, st.binary()),
    (datetime, st.datetimes(timezones=zones)),
    (date, st.dates()),
    (Path, texts.filter(lambda text: "\0" not in text).map(Path)),
    (Colour, st.sampled_from(Colour)),
    (Level, st.sampled_from(Level)),
    (Word, st.sampled_from(Word)),
    (Rights, st.sampled_from([Rights(0), *Rights, Rights.READ | Rights.WRITE])),
    (Marks, st.sampled_from([Marks(0), *Marks, Marks.BOLD | Marks.WIDE])),
    (Literal[1, "1", True, Level.HIGH], st.sampled_from([1, "1", True, Level.HIGH])),
    (UserId, integers),
    (Annotated[int, "of something"], integers),
    (Point, points),
    (Renamed, st.builds(Renamed, integers)),
    (Point | Named, points | nameds),
    (Old, st.builds(Old, texts, points | nameds)),
    (Old | Older, st.builds(Old, texts, points | nameds) | st.builds(Older, integers)),
    (Pair[int, str], pairs(integers, texts)),
    (Pair[Point | Named, float], pairs(points | nameds, floats)),
    (Ints, pairs(integers, texts, Ints)),
    (Place, st.builds(Place, texts, st.tuples(integers, integers))),
    (Options, st.fixed_dictionaries({"depth": integers}, optional={"label": texts})),
    (Alias, st.lists(points | st.none(), max_size=3)),
    (Any, plain),
    (list, st.lists(plain, max_size=3)),
    (dict, st.dictionaries(texts, plain, max_size=3)),
    (tuple[()], st.just(())),
    (tuple, st.lists(plain, max_size=3).map(tuple)),
    (Pairs[int], st.lists(st.tuples(integers, texts), max_size=3)),
    (Path | int, st.just(Path("a")) | integers),
    (Options | int, st.just(Options(depth=1)) | integers),
    (Rights | str, st.sampled_from(Rights) | texts),
    (Place | None | int, st.builds(Place, texts, st.tuples(integers, integers)) | st.none()),
    (float | list[float], floats | st.lists(floats)),
    (int | str, integers | texts),
    (bool | int | float | str | None, st.booleans() | integers | floats | texts | st.none()),
    (Literal["a", 1] | float, st.sampled_from(["a", 1]) | floats),
    (Level | str | None, st.sampled_from(Level) | texts | st.none()),
    (Level | Word, st.sampled_from(Level) | st.sampled_from(Word)),
    (list[int] | Point | str, st.lists(integers, max_size=3) | points | texts),
    (Point | Named | int | None, points | nameds | integers | st.none()),
]
# Types of keys, and of elements of sets.
KEYS: list[Typed] = [(kind, values) for kind, values in LEAVES if kind in (str, int, float, bool, bytes, date, Level, Word, UserId)]
KEYS += [
    (Literal["a", "b", 3], st.sampled_from(["a", "b", 3])),
    (tuple[int, str], st.tuples(integers, texts)),
    (tuple[tuple[int, ...], Level], st.tuples(st.lists(integers, max_size=2).map(tuple), st.sampled_from(Level))),
]
HASHED: list[Typed] = [
    *KEYS,
    (Point | Named, points | nameds),
    (int | None, integers | st.none()),
]


def of(kind: Any, *arguments: Any) -> Any:
    return kind[arguments]


def containers(inner: st.SearchStrategy[Typed]) -> st.SearchStrategy[Typed]:
    some: dict[str, Any] = {"max_size": 3}
    of_one: list[Callable[[Any, st.SearchStrategy[Any]], Typed]] = [
        lambda kind, values: (of(list, kind), st.lists(values, **some)),
        lambda kind, values: (of(deque, kind), st.lists(values, **some).map(deque)),
        lambda kind, values: (of(tuple, kind, ...), st.lists(values, **some).map(tuple)),
        lambda kind, values: (of(Sequence, kind), st.lists(values, **some).map(tuple)),
        lambda kind, values: (of(tuple, kind, int, kind), st.tuples(values, integers, values)),
        lambda kind, values: (kind | None, values | st.none()),
        lambda kind, values: (of(Pair, kind, int), pairs(values, integers)),
        lambda kind, values: (TypeAliasType("Alias", kind), values),
        lambda kind, values: (of(Mapping, str, kind), st.dictionaries(texts, values, **some)),
        lambda kind, values: (of(OrderedDict, str, kind), st.dictionaries(texts, values, **some).map(OrderedDict)),
        lambda kind, values: (of(defaultdict, str, kind), st.dictionaries(texts, values, **some).map(lambda made: defaultdict(None, made))),
    ]
    of_hashed: list[Callable[[Any, st.SearchStrategy[Any]], Typed]] = [
        lambda kind, values: (of(set, kind), st.sets(values, **some)),
        lambda kind, values: (of(frozenset, kind), st.frozensets(values, **some)),
        lambda kind, values: (of(AbstractSet, kind), st.frozensets(values, **some)),
    ]

    one = st.builds(lambda make, typed: make(*typed), st.sampled_from(of_one), inner)
    hashed = st.builds(lambda make, typed: make(*typed), st.sampled_from(of_hashed), st.sampled_from(HASHED))
    keyed = st.builds(
        lambda keys, typed: (of(dict, keys[0], typed[0]), st.dictionaries(keys[1], typed[1], **some)), st.sampled_from(KEYS), inner
    )
    counted = st.sampled_from(KEYS).map(lambda keys: (of(Counter, keys[0]), st.dictionaries(keys[1], integers, **some).map(Counter)))
    return st.one_of(one, hashed, keyed, counted)


typed_values = st.recursive(st.sampled_from(LEAVES), containers, max_leaves=4).flatmap(lambda typed: st.tuples(st.just(typed[0]), typed[1]))


def refused(codec: Codec[Any], content: str) -> bool:
    return isinstance(cases(codec.decode(Message(JSON, content.encode()))), Failure)


@given(typed_values)
def test_what_encode_writes_decode_gives_back_equal(typed: Typed) -> None:
    kind, value = typed
    codec: Codec[Any] = Codec(kind)
    message = codec.encode(value).unwrap()
    json.loads(message.content, parse_constant=pytest.fail)
    back = codec.decode(message).unwrap()
    assert back == value
    assert type(back) is type(value)


@given(typed_values, st.one_of(typed_values.map(lambda typed: typed[1]), plain, st.just(math.nan), st.just(object())))
@example((list[str], []), "abc")
@example((list[str], []), {"a": 1})
@example((tuple[str, ...], ()), ["a"])
@example((set[int], set()), frozenset())
@example((int, 1), True)
@example((float, 1.0), 2**53 + 1)
@example((float, 1.0), 10**400)
@example((Literal[1], 1), True)
@example((int | str, 1), True)
@example((Level, Level.LOW), 1)
@example((int, 1), Level.LOW)
@example((str, ""), Word.YES)
@example((date, date(2000, 1, 1)), datetime(2000, 1, 1, tzinfo=UTC))
@example((Any, None), (1, 2))
@example((Any, None), {1: 2})
@example((Any, None), math.inf)
@example((dict[int, int], {}), {True: 1})
@example((Options, {}), {"depth": 1, "other": 1})
def test_any_value_encodes_to_what_decodes_equal_or_does_not_encode(typed: tuple[Any, Any], value: Any) -> None:
    codec: Codec[Any] = Codec(typed[0])
    match cases(codec.encode(value)):
        case Success(message):
            assert codec.decode(message).unwrap() == value
        case Failure(error):
            assert error.value is value
            assert str(error).isprintable()


@given(typed_values, plain)
@example((list[str], []), "abc")
@example((list[str], []), {"a": 1})
@example((list[int], []), {"1": None})
@example((set[int], []), [1, 1])
@example((Colour, Colour.ONE), True)
@example((Colour, Colour.ONE), 1.0)
@example((Literal[1], 1), True)
@example((Literal[1], 1), 1.0)
@example((int | str, 1), True)
@example((dict[int, int], {}), {"01": 1})
@example((Point, None), [])
def test_any_json_decodes_to_what_encodes_as_the_same_json_or_does_not_decode(typed: tuple[Any, Any], held: Any) -> None:
    codec: Codec[Any] = Codec(typed[0])
    match cases(codec.decode(Message(JSON, json.dumps(held).encode()))):
        case Success(value):
            written = json.loads(codec.encode(value).unwrap().content)
            again = codec.decode(codec.encode(value).unwrap()).unwrap()
            assert again == value
            assert type(again) is type(value)
            assert repr(written) == repr(held) or typed[0] not in LITERAL
        case Failure(error):
            assert str(error).isprintable()


LITERAL = (bool, int, str, None, Colour, Level, Word, Literal[1, "1", True, Level.HIGH], int | str, Any, list, dict)


@pytest.mark.parametrize(
    ("form", "contents"),
    [
        (list[str], ['"abc"', '{"a": 1}', "null", '["a", 1]']),
        (list[int], ['{"1": null}', "[true]", "[1.0]", '["1"]', "[null]"]),
        (tuple[int, ...], ['{"1": 1}', '"1"']),
        (tuple[int, str], ["[1]", '[1, "a", 2]', '{"a": 1, "b": 2}', '"ab"', '["a", 1]']),
        (set[int], ["[1, 1]", '{"1": 1}']),
        (frozenset[str], ['"ab"']),
        (deque[int], ['{"1": 1}']),
        (
            dict[int, int],
            ['{"01": 1}', '{"1.0": 1}', '{" 1": 1}', '{"+1": 1}', '{"1_0": 1}', '{"-0": 1}', '{"\u0661": 1}', "[]", "[[1, 1]]"],
        ),
        (
            dict[float, int],
            ['{"1": 1}', '{"1.00": 1}', '{"nan": 1}', '{"NaN": 1}', '{"inf": 1}', '{"Infinity": 1}', '{"0.0": 1, "-0.0": 1}'],
        ),
        (dict[bool, int], ['{"True": 1}', '{"1": 1}', '{"": 1}']),
        (dict[Level, int], ['{"3": 1}', '{"01": 1}', '{"LOW": 1}']),
        (dict[str, int], ['{"a": 1, "a": 1}', '{"a": true}']),
        (Point, ['{"x": 1, "x": 1}', '{"x": 1, "z": 1}', "[]", '"x"', "null", "{}", '{"x": true}', '{"x": 1, "y": null}']),
        (Colour, ["true", "1.0", '"RED"', "[]", "{}"]),
        (Level, ["true", "1.0", '"1"', "3"]),
        (Rights, ["true", "1.0", '"1"', "-1"]),
        (Marks, ["true", "4", "-1"]),
        (Literal[1], ["true", "1.0", '"1"', "[]"]),
        (Literal[True], ["1"]),
        (int | str, ["true", "1.0", "null", "[]"]),
        (int | None, ["true", '""', "{}"]),
        (None, ["0", "false", '""', "[]"]),
        (bytes, ['"a"', '"\u00e9"', "[]", "[1]", '"00\u0020"', '"~~~~~"', '"01"']),
        (
            datetime,
            ['"2020-01-01"', "1", '"now"', '"20200101T000000"', '"2020-01-01T00"', '"2020-01-01 00:00:00"', '"2020-W01-1T00:00:00"'],
        ),
        (datetime, ['"2020-01-01T24:00:00"', '"2020-01-01T00:00:00.1234567"', '"2020-01-01T00:00:00-00:00"', '"2020-01-01T00:00:00+01"']),
        (dict[datetime, int], ['{"2020-01-01T00:00:00Z": 1}', '{"2020-01-01T00:00:00.5": 1}']),
        (date, ['"2020-01-01T00:00:00"', "1", '"today"', '"20200101"', '"2020-W01-1"']),
        (Path, ["1", '["a"]', '""', '"a/"', '"./a"', '"a//b"']),
        (dict[Path, int], ['{"a/": 1}']),
        (Place, ['{"name": "a", "at": [1, 2]}', '["a"]', '["a", [1]]']),
        (Options, ["{}", '{"depth": "1"}', '{"depth": 1, "other": 1}', "[]"]),
        (Any, ["NaN", "[1e999]", '{"a": -1e999}', "[[Infinity]]"]),
        (list, ['"a"', "{}"]),
        (dict[str, Any], ['{"a": [{"b": NaN}]}', '{"a": [1, [[1e999]]]}']),
        (Point | int, ["1.0", '"1"', "[]", '{"y": 1}']),
        (UserId, ["true", '"1"']),
        (Renamed, ['{"width": 1}']),
        (
            Pair[int, str],
            ['{"first": "a", "rest": []}', '{"first": 1, "rest": [{"first": "1", "rest": []}]}', '{"first": 1, "rest": [], "second": 1}'],
        ),
    ],
)
def test_json_of_another_type_does_not_decode(form: Any, contents: list[str]) -> None:
    codec: Codec[Any] = Codec(form)
    assert [content for content in contents if not refused(codec, content)] == []


@pytest.mark.parametrize(
    ("form", "values"),
    [
        (list[str], ["abc", ("a",), {"a": 1}, ["a", 1], None]),
        (tuple[int, ...], [[1], (True,)]),
        (tuple[int, str], [(1,), (1, "a", 2), ("a", 1), [1, "a"]]),
        (Sequence[int], [[1]]),
        (set[int], [frozenset({1}), [1], {"1"}]),
        (dict[int, int], [{"1": 1}, {True: 1}, {1: "1"}, OrderedDict()]),
        (int, [True, 1.0, "1", Level.LOW, None]),
        (float, [True, "1", math.nan, math.inf, -math.inf, 2**53 + 1, 10**400]),
        (str, [Word.YES, b"a", None, 1]),
        (bytes, ["", bytearray(b"a"), memoryview(b""), None]),
        (datetime, [date(2000, 1, 1), "2000-01-01T00:00:00"]),
        (date, [datetime(2000, 1, 1, tzinfo=UTC)]),
        (Path, ["a"]),
        (Level, [1, Word.YES, Rights.READ]),
        (Rights, [1, Level.LOW]),
        (Literal[1], [True, 1.0, Level.LOW]),
        (int | str, [True, 1.0, None]),
        (Point, [Named("a"), {"x": 1, "y": 0}, Point("1"), Point(True), Point(1, None)]),  # type: ignore[arg-type]  # what it is about
        (list[Point], [[Point(1), Point("1")]]),  # type: ignore[arg-type]  # what it is about
        (Pair[int, str], [Pair[Any, Any]("a", []), Pair[Any, Any](1, [Pair[Any, Any]("a", [])]), Pair[Any, Any](1, [], 1), Ints(1, [])]),
        (Ints, [Pair(1, []), Ints(1, [], None, {1})]),  # type: ignore[arg-type]  # what it is about
        (Any, [(1,), {1: 2}, {"a": {1}}, Point(1), [math.nan], object()]),
        (Options, [[], {}, {"depth": "1"}, {"depth": 1, "other": 2}]),
        (Place, [("a", (1, 2)), Place("a", (1, 2, 3))]),  # type: ignore[arg-type]  # what it is about
    ],
)
def test_a_value_of_another_type_does_not_encode(form: Any, values: list[Any]) -> None:
    codec: Codec[Any] = Codec(form)
    assert [value for value in values if not isinstance(cases(codec.encode(value)), Failure)] == []


@given(st.sampled_from([bytes, date, Path]), st.text(max_size=8) | st.text("0123456789-W/.", max_size=10) | st.dates().map(str))
@example(date, "2020-W01-1")
@example(Path, "a/./b")
@example(bytes, "VPaz")
def test_a_text_that_decodes_is_the_text_that_its_value_encodes_as(form: Any, text: str) -> None:
    codec: Codec[Any] = Codec(form)
    content = json.dumps(text).encode()
    decoded = codec.decode(Message(JSON, content))
    assert isinstance(cases(decoded), Failure) or codec.encode(decoded.unwrap()).unwrap().content == content


@given(st.datetimes(timezones=st.none() | st.just(UTC)), st.integers(1, 6))
def test_a_date_and_time_may_be_spelled_as_other_languages_do(moment: datetime, digits: int) -> None:
    moment = moment.replace(microsecond=moment.microsecond // 10 ** (6 - digits) * 10 ** (6 - digits))
    fraction = f".{moment.microsecond:06}"[: 1 + digits]
    spelled = f"{moment.replace(microsecond=0, tzinfo=None).isoformat()}{fraction}{'Z' if moment.tzinfo else ''}"
    assert Codec(datetime).decode(Message(JSON, json.dumps(spelled).encode())) == Success(moment)


@pytest.mark.parametrize(
    ("form", "around"), [(str, lambda text: text), (list[str], lambda text: [text]), (dict[str, int], lambda text: {text: 1}), (Path, Path)]
)
def test_two_surrogates_that_json_would_join_do_not_encode(form: Any, around: Callable[[str], Any]) -> None:
    codec: Codec[Any] = Codec(form)
    assert codec.encode(around("\ud83d\ude00")).failure().reason.startswith("a text has two surrogates in a row")
    for text in ("\U0001f600", "\ude00\ud83d", "\\ud83d\\ude00", "\udcff"):
        assert codec.decode(codec.encode(around(text)).unwrap()) == Success(around(text))


@dataclasses.dataclass
class Built:
    size: int
    scale: dataclasses.InitVar[int]


@attrs.frozen(init=False)
class Made:
    size: int

    def __init__(self, width: int) -> None:
        self.__attrs_init__(width)


@attrs.define(init=False, slots=False)
class Kept(dict[str, int]):
    size: int


@given(st.timedeltas(timedelta(seconds=-2), timedelta(seconds=2)))
@example(timedelta(microseconds=1))
@example(timedelta(microseconds=-999_999))
@example(timedelta(seconds=-1))
def test_an_offset_from_utc_comes_back_or_does_not_encode(offset: timedelta) -> None:
    codec, moment = Codec(datetime), datetime(2026, 1, 1, tzinfo=timezone(offset))
    match cases(codec.encode(moment)):
        case Success(message):
            assert codec.decode(message).unwrap().utcoffset() == offset
        case Failure(error):
            assert "a second or more" in error.reason
            assert timedelta(0) < abs(offset) < timedelta(seconds=1)


class Ejected(Flag, boundary=EJECT):
    ONE = 1


def test_unknown_bits_of_a_flag_are_told_whatever_its_boundary_is() -> None:
    assert Codec(Ejected).decode(Message(JSON, b"4")).failure().reason == "expected Ejected, not 4 @ $"
    assert Codec(Ejected).decode(Message(JSON, b"1")) == Success(Ejected.ONE)


class Flaky:
    """Fails at every second call, as a validator that looks at the outside may."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, value: int, *_: object) -> int:
        self.calls += 1
        if self.calls % 2:
            raise OSError("busy")
        return value


@attrs.frozen
class Shaky:
    read: Annotated[int, cattrs.override(struct_hook=Flaky())] = 0
    written: Annotated[int, cattrs.override(unstruct_hook=Flaky())] = 0
    unseen: Annotated[int, cattrs.override(omit=True)] = 0


def test_an_error_that_does_not_occur_again_is_an_error_too() -> None:
    codec = Codec(Shaky)
    assert codec.encode(Shaky()).failure().reason == "busy @ $"
    assert codec.decode(Message(JSON, b'{"read": 1}')).failure().reason == "busy @ $"


Untyped = attrs.make_class("Untyped", ["first", "second"], frozen=True)


@pytest.mark.parametrize(
    ("form", "value", "content"),
    [
        (float, 3, "3.0"),
        (Path, Path("a/b"), '"a/b"'),
        (Path | int, Path("a"), '"a"'),
        (bytes, b"", '""'),
        (Any, [1, [2.5, "a"], {"b": [None]}], '[1, [2.5, "a"], {"b": [null]}]'),
        (Options | int, {"depth": 1}, '{"depth": 1}'),
        (Rights | str, Rights.READ | Rights.WRITE, "3"),
        (Place | int | None, Place("a", (1, 2)), '["a", [1, 2]]'),
        (Literal["a", "b"] | Level, "b", '"b"'),
        (dict[Level, int], {Level.HIGH: 1}, '{"2": 1}'),
        (dict[bool, int], {True: 1}, '{"true": 1}'),
        (Untyped, Untyped(1, ["a"]), '{"first": 1, "second": ["a"]}'),
        (Renamed, Renamed(1), '{"w": 1}'),
        (Old | Older, Older(1), '{"age": 1}'),
        (Point | Named, Named("a", hidden=True), '{"name": "a", "_hidden": true, "_type": "Named"}'),
        (typing.__dict__["Tuple"], (1, "a"), '[1, "a"]'),
    ],
)
def test_a_content_looks_as_the_type_says(form: Any, value: Any, content: str) -> None:
    codec: Codec[Any] = Codec(form)
    message = codec.encode(value).unwrap()
    assert message.content.decode() == content
    assert codec.decode(message) == Success(value)


@pytest.mark.parametrize(("form", "made"), [(list[int], []), (Annotated[int, "note"], 0), (dict, {}), (Any, None), (int | None, None)])
def test_a_defaultdict_makes_what_the_type_of_its_values_can(form: Any, made: object) -> None:
    decoded = Codec(of(defaultdict, str, form)).decode(Message(JSON, b"{}")).unwrap()
    if made is None:
        assert decoded.default_factory is None
    else:
        assert decoded["new"] == made


@attrs.frozen
class Tagged:
    _type: str


@pytest.mark.parametrize(
    "form",
    [
        str | Colour,
        bytes | str,
        list[int] | tuple[int, ...],
        dict[str, int] | Point,
        Colour | Word | date,
        Literal["yes"] | Word,
        Point | Tagged,
        Literal[Word.YES, "yes"],
    ],
)
def test_a_union_whose_members_look_alike_in_json_raises_where_it_is_named(form: Any) -> None:
    with pytest.raises(ValueError, match=r"look alike|_type"):
        Codec(form)


@pytest.mark.parametrize(
    "form",
    [
        complex,
        object,
        list[complex],
        dict[Point, int],
        dict[int | str, int],
        Enum("Odd", {"A": (1, 2)}),
        Literal[b"a"],
        Any | int,
        tuple[int, *tuple[str, ...]],
        Built,
        Made,
        Kept,
    ],
)
def test_a_type_that_json_cannot_hold_raises_where_it_is_named(form: Any) -> None:
    with pytest.raises(cattrs.StructureHandlerNotFoundError):
        Codec(form)


@pytest.mark.parametrize("text", ["[1,2]", "[1, 2.0]", "[01, 2]", "[1, 2] ", "[1]", "1", "x", "[" * 100_000])
def test_a_tuple_as_a_key_has_one_text(text: str) -> None:
    codec = Codec(dict[tuple[int, int], int])
    assert codec.decode(codec.encode({(1, 2): 3}).unwrap()) == Success({(1, 2): 3})
    assert isinstance(codec.decode(Message(JSON, json.dumps({text: 3}).encode())), Failure)


def test_a_tuple_is_a_key_only_if_its_elements_are() -> None:
    with pytest.raises(cattrs.StructureHandlerNotFoundError):
        Codec(dict[tuple[int, list[int]], int])


def test_a_codec_takes_what_once_remembers() -> None:
    ticket = Ticket(Peer(1, 2, 3, 4), 5, 6.0)
    value = Remembered(3, {(1, "a"): (Message.text("one"), Message.octets(b"\xff"))}, {(2, "b"): Open(ticket, (ticket,))})
    codec = Codec(Remembered[int])
    assert codec.decode(codec.encode(value).unwrap()) == Success(value)
