"""Typed messages: what is encoded decodes to the same value, and whatever else comes is a value that says why it does not."""

import json
import re
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from enum import Enum, IntEnum
from functools import reduce
from pathlib import Path
from types import GenericAlias
from typing import Any, Generic, TypeVar

import attrs
import cattrs
import pytest
from cattrs.preconf.json import make_converter as json_converter
from cattrs.preconf.msgpack import make_converter as msgpack_converter
from hypothesis import example, given
from hypothesis import strategies as st
from returns.pipeline import flow
from returns.result import Failure, Success
from typing_extensions import TypeAliasType

from ipcfold import (
    IPC,
    Came,
    Continuation,
    HandlerFailed,
    Left,
    MediaType,
    Message,
    Name,
    Outcome,
    Peer,
    Process,
    TimedOut,
    Woken,
    cases,
    fold,
)
from ipcfold.codec import Codec, TypedContinuation, Undecodable, Unencodable, ask, send, typed, typed_left, typed_woken, wait
from ipcfold.effects import Tell
from ipcfold.inputs import Input
from ipcfold.pointfree import flat_map
from ipcfold.testing import messages
from tests.shells.support import PATIENCE

T = TypeVar("T")

JSON = MediaType("application", "json")
MSGPACK = MediaType("application", "vnd.msgpack")


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Level(IntEnum):
    LOW = 1
    HIGH = 2


@attrs.frozen
class Resize:
    path: str
    width: int = attrs.field(validator=attrs.validators.gt(0))


@attrs.frozen
class Rotate:
    path: str
    degrees: float


@attrs.frozen
class Box(Generic[T]):
    content: T


@attrs.frozen
class Number:
    value: int


@attrs.frozen
class Sum:
    left: "Number | Sum"
    right: "Number | Sum"


@attrs.frozen
class Order:
    job: Resize | Rotate
    after: "Order | None" = None
    others: tuple[Resize | Rotate | None, ...] = ()


Job = Resize | Rotate
SomeResize = Resize
AliasedJob = TypeAliasType("AliasedJob", Resize | Rotate)

resizes = Codec(Resize)
jobs = Codec(Job)
sums = Codec(Number | Sum)
orders = Codec(Order)
packed = Codec(Job, MSGPACK, msgpack_converter())


finite = st.floats(allow_nan=False, allow_infinity=False)
PAIR = re.compile("[\ud800-\udbff][\udc00-\udfff]")  # two surrogates that JSON reads as one character
paths = st.text(st.characters(exclude_categories=())).filter(lambda text: not PAIR.search(text))  # lone surrogates, too
job_values = st.builds(Resize, paths, st.integers(min_value=1)) | st.builds(Rotate, paths, finite)
number_values: st.SearchStrategy[Number | Sum] = st.builds(Number, st.integers())
sum_values = st.recursive(number_values, lambda parts: st.builds(Sum, parts, parts))
others = st.lists(job_values | st.none(), max_size=3).map(tuple)
first_orders: st.SearchStrategy[Order] = st.builds(Order, job_values, others=others)
order_values = st.recursive(first_orders, lambda after: st.builds(Order, job_values, after, others), max_leaves=3)


@st.composite
def typed_values(draw: st.DrawFn) -> tuple[Any, Any]:  # Any: a type and a value of it, of whatever type
    """A class made of fields of many types, and one of its values."""
    leaves: list[tuple[Any, st.SearchStrategy[Any]]] = [
        (bool, st.booleans()),
        (int, st.integers()),
        (float, finite),
        (str, paths),
        (bytes, st.binary()),
        (datetime, st.datetimes()),
        (Colour, st.sampled_from(Colour)),
        (Level, st.sampled_from(Level)),
        (Job, job_values),
    ]
    kinds: st.SearchStrategy[tuple[Any, st.SearchStrategy[Any]]] = st.recursive(
        st.sampled_from(leaves),
        lambda inner: st.one_of(
            inner.map(lambda item: (GenericAlias(list, (item[0],)), st.lists(item[1], max_size=3))),
            inner.map(lambda item: (GenericAlias(tuple, (item[0], ...)), st.lists(item[1], max_size=3).map(tuple))),
            inner.map(lambda item: (GenericAlias(dict, (str, item[0])), st.dictionaries(paths, item[1], max_size=3))),
            inner.map(lambda item: (GenericAlias(dict, (int, item[0])), st.dictionaries(st.integers(), item[1], max_size=3))),
            inner.map(lambda item: (item[0] | None, item[1] | st.none())),
        ),
        max_leaves=4,
    )
    fields = draw(st.lists(kinds, max_size=4))
    made = attrs.make_class("Made", {f"field_{number}": attrs.field(type=kind) for number, (kind, _) in enumerate(fields)}, frozen=True)
    return made, made(*(draw(values) for _, values in fields))


# What JSON may hold, with the names of the types above much more often than by chance.
words = st.sampled_from(
    ["_type", "Resize", "Rotate", "Sum", "Number", "path", "width", "degrees", "left", "right", "value", "job", "after"]
)
json_values: st.SearchStrategy[object] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | paths | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words | paths, inner, max_size=4),
)


# What is encoded decodes to the same


@given(typed_values())
def test_a_value_of_any_class_comes_back(made: tuple[Any, Any]) -> None:
    kind, value = made
    codec = Codec(kind)
    message = codec.encode(value).unwrap()
    assert message.media_type == JSON
    assert json.loads(message.content) is not None
    assert codec.decode(message) == Success(value)


@given(job_values, sum_values, order_values)
def test_unions_come_back_wherever_they_stand(job: Resize | Rotate, total: Number | Sum, order: Order) -> None:
    assert jobs.decode(jobs.encode(job).unwrap()) == Success(job)
    assert sums.decode(sums.encode(total).unwrap()) == Success(total)
    assert orders.decode(orders.encode(order).unwrap()) == Success(order)


@given(st.builds(Rotate, st.text(), st.floats(allow_nan=False)) | st.builds(Resize, st.text(), st.integers(1, 2**63)))
def test_a_value_in_another_format_comes_back(job: Resize | Rotate) -> None:
    message = packed.encode(job).unwrap()
    assert message.media_type == MSGPACK
    assert packed.decode(message) == Success(job)


@pytest.mark.parametrize(
    ("codec", "value", "content"),
    [
        (resizes, Resize("a", 1), {"path": "a", "width": 1}),
        (jobs, Resize("a", 1), {"_type": "Resize", "path": "a", "width": 1}),
        (Codec(AliasedJob), Resize("a", 1), {"_type": "Resize", "path": "a", "width": 1}),
        (Codec(AliasedJob | Number), Number(1), {"_type": "Number", "value": 1}),
        (Codec(Resize | Rotate | None), None, None),
        (Codec(Resize | None), Resize("a", 1), {"path": "a", "width": 1}),
        (Codec(Box[int]), Box(1), {"content": 1}),
        (Codec(Box[Job] | Number), Box(Resize("a", 1)), {"_type": "Box", "content": {"_type": "Resize", "path": "a", "width": 1}}),
        (Codec(list[int]), [1, 2], [1, 2]),
    ],
)
def test_a_content_looks_as_the_type_says(codec: Codec[Any], value: object, content: object) -> None:
    message = codec.encode(value).unwrap()
    assert json.loads(message.content) == content
    assert codec.decode(message) == Success(value)


# Whatever comes is a value


def judged(codec: Codec[T], message: Message) -> None:
    match cases(codec.decode(message)):
        case Success(value):
            again = codec.encode(value).unwrap()
            assert codec.encode(codec.decode(again).unwrap()) == Success(again)  # msgpack has NaN, which equals nothing
        case Failure(error):
            assert (error.message, error.media_type) == (message, codec.media_type)
            assert str(error).isprintable()
            assert 0 < len(error.reason) < 250


@given(st.binary())
@example(b"")
@example(b"\xff")
@example(b"[" * 100_000)
@example(b'{"left":' * 100_000)
@example(b'{"_type":"Number","value":' + b"1" * 5000 + b"}")
@example(b'{"_type":"Number","value":1e999}')
@example(b'{"_type":"Number","value":NaN}')
@example(b'{"_type":["Number"],"value":1}')
@example(b'{"_type":"Rotate","path":"a","degrees":NaN}')
@example(b'{"_type":"Rotate","path":"a","degrees":-1e999}')
@example(b'{"_type":"Rotate","path":"\\ud800","degrees":1}')
@example(b"\x81" * 100_000)
@example(b"\xdd\xff\xff\xff\xff")
def test_any_bytes_are_a_value_or_say_why_not(content: bytes) -> None:
    judged(jobs, Message(JSON, content))
    judged(sums, Message(JSON, content))
    judged(packed, Message(MSGPACK, content))


@given(json_values)
def test_any_json_is_a_value_or_says_why_not(held: object) -> None:
    codecs: list[Codec[Any]] = [resizes, jobs, sums, orders]
    for codec in codecs:
        judged(codec, Message(JSON, json.dumps(held).encode()))


@given(messages())
def test_any_message_of_another_media_type_is_undecodable(message: Message) -> None:
    error = jobs.decode(message).failure()
    assert error.reason.startswith("it is ")
    judged(jobs, message)


@pytest.fixture
def usual_depth() -> Iterator[None]:
    """Python's own limit of recursion, which mypy raises for the process that it checks types in."""
    raised = sys.getrecursionlimit()
    sys.setrecursionlimit(1000)
    yield
    sys.setrecursionlimit(raised)


@pytest.mark.usefixtures("usual_depth")
def test_values_nested_too_deeply_are_refused_both_ways() -> None:
    deep: Number | Sum = Number(1)
    for _ in range(5000):
        deep = Sum(deep, Number(1))
    assert "recursion" in sums.encode(deep).failure().reason
    level = b'{"_type":"Sum","right":{"_type":"Number","value":1},"left":'
    content = level * 900 + b'{"_type":"Number","value":1}' + b"}" * 900
    assert "recursion" in sums.decode(Message(JSON, content)).failure().reason


@pytest.mark.parametrize("parameters", ["", "; charset=utf-8", "; charset=latin-1; version=2"])
def test_parameters_of_the_media_type_are_not_compared(parameters: str) -> None:
    message = Message.of(f"Application/JSON{parameters}", b'{"path": "a", "width": 1}').unwrap()
    assert resizes.decode(message) == Success(Resize("a", 1))


@pytest.mark.parametrize("media_type", ["text/json", "application/xml"])
def test_both_parts_of_the_media_type_are_compared(media_type: str) -> None:
    message = Message.of(media_type, b'{"path": "a", "width": 1}').unwrap()
    assert resizes.decode(message).failure().reason == f"""it is {media_type}, '{{"path": "a", "width": 1}}'"""


NO_TAG = "_type is none of Resize, Rotate @ $"


@pytest.mark.parametrize(
    ("codec", "content", "reason"),
    [
        (resizes, b'{"path": "a"}', "required field missing @ $.width"),
        (resizes, b'{"path": "a", "width": "wide"}', "expected int, not 'wide' @ $.width"),
        (resizes, b'{"path": "a", "width": 0}', "'width' must be > 0: 0 @ $"),
        (resizes, b'{"path": "a", "width": 1, "\\n\\u202e": 1}', r"extra fields found ('\n\u202e') @ $"),
        (resizes, b"{", "Expecting property name enclosed in double quotes: line 1 column 2 (char 1) @ $"),
        (resizes, "{}".encode("utf-16"), "'utf-8' codec can't decode byte 0xff in position 0: invalid start byte @ $"),
        (jobs, b"{}", NO_TAG),
        (jobs, b"[]", NO_TAG),
        (jobs, b"null", NO_TAG),
        (jobs, b'{"_type": "Order"}', NO_TAG),
        (jobs, b'{"_type": {}}', NO_TAG),
        (jobs, b'{"_type": "Rotate", "path": "a", "degrees": []}', "expected a finite float, not a list @ $.degrees"),
        (Codec(list[int]), b'[1, "b", "c", "d", "e"]', "expected int, not 'b' @ $[1]"),
        (orders, b'{"job": {"_type": "Resize", "path": "a", "width": "b"}}', "expected int, not 'b' @ $.job.width"),
        (Codec(dict[str, list[Resize]]), b'{"a": [{"path": "a", "width": 1}, {"path": 1}]}', "required field missing @ $['a'][1].width"),
        (resizes, b'{"' + b"a" * 300 + b'": 1, "path": "a", "width": 1}', f"extra fields found ('{'a' * 40}...') @ $"),
        (Codec(int), b"true", "expected int, not True @ $"),
    ],
)
def test_an_undecodable_message_says_what_is_wrong_and_where(codec: Codec[Any], content: bytes, reason: str) -> None:
    error = codec.decode(Message(JSON, content)).failure()
    assert error == Undecodable(Message(JSON, content), JSON, reason)
    assert str(error) == f"the message does not decode as application/json ({reason}): make both ends agree on its codec"


# JSON by default is exact; a converter that is given is used as it is


@pytest.mark.parametrize(
    ("codec", "content", "value"),
    [
        (Codec(int), "3", 3),
        (Codec(float), "3", 3.0),
        (Codec(Level), "2", Level.HIGH),
        (Codec(dict[int, float]), '{"3": 1}', {3: 1.0}),
    ],
)
def test_a_float_may_be_an_integer_in_json_and_keys_are_texts(codec: Codec[Any], content: str, value: object) -> None:
    taken = codec.decode(Message(JSON, content.encode())).unwrap()
    assert (taken, type(taken)) == (value, type(value))


@pytest.mark.parametrize(
    ("codec", "contents"),
    [
        (Codec(int), ["3.0", "3.7", "true", "null", '"3"', "[]"]),
        (Codec(float), ["true", "null", '"3.5"', "NaN", "Infinity", "-Infinity", "1e999", "1" + "0" * 400]),
        (Codec(str), ["3", "true", "null", "{}"]),
        (Codec(bool), ["0", "1", '"false"', "null"]),
        (Codec(Level), ["3", "true", "1.0"]),
    ],
)
def test_no_value_is_taken_for_another(codec: Codec[Any], contents: list[str]) -> None:
    assert [content for content in contents if not isinstance(codec.decode(Message(JSON, content.encode())), Failure)] == []


def test_a_given_converter_is_used_as_it_is_and_left_as_it_was() -> None:
    converter = json_converter()
    given_one = Codec(Job, converter=converter)
    content = b'{"_type": "Resize", "path": 5, "width": 3.7, "unknown": true}'
    assert given_one.decode(Message(JSON, content)) == Success(Resize("5", 3))
    assert converter.loads('{"path": "a", "degrees": 1}', Job) == Rotate("a", 1.0)  # type: ignore[arg-type]  # of cattrs, which takes unions


def test_a_given_converter_refuses_what_is_no_member_of_a_union() -> None:
    codec = Codec(Resize | Rotate | None, MSGPACK, msgpack_converter())
    assert codec.decode(codec.encode(None).unwrap()) == Success(None)
    assert codec.encode(Number(1)).failure().reason == "a Number is none of Resize, Rotate @ $"  # type: ignore[arg-type]  # what it is about
    assert codec.decode(Message(MSGPACK, b"\x80")).failure().reason == "_type is none of Resize, Rotate @ $"
    guarded = Codec(Guarded, converter=json_converter())
    assert guarded.decode(Message(JSON, b'{"value": -1}')).failure().reason == "ClassValidationError"
    numbers = Codec(list[Number], converter=json_converter())
    assert numbers.decode(Message(JSON, b'[{"value": "a"}, {}, {}, {}]')).failure().reason == (
        "invalid value for type, expected int @ $[0].value, required field missing @ $[1].value, "
        "required field missing @ $[2].value, and 1 more"
    )


def test_a_type_that_cannot_be_converted_raises_where_it_is_named() -> None:
    with pytest.raises(cattrs.StructureHandlerNotFoundError):
        Codec(complex)
    with pytest.raises(cattrs.StructureHandlerNotFoundError):
        Codec(Box[complex] | Number)


def test_classes_of_one_name_are_no_union() -> None:
    @attrs.frozen
    class Resize:
        path: str

    with pytest.raises(ValueError, match="same name"):
        Codec(SomeResize | Resize)
    with pytest.raises(ValueError, match="same name"):
        Codec(SomeResize | Resize, converter=json_converter())


def test_a_converter_that_is_not_of_cattrs_raises() -> None:
    class Pretending:
        def copy(self) -> "Pretending":
            return self

        def dumps(self, obj: object, unstructure_as: object = None) -> str:
            return json.dumps((obj, unstructure_as))

        def loads(self, data: str, cl: object) -> object:
            return json.loads(data), cl

    with pytest.raises(TypeError, match="converter of cattrs"):
        Codec(Number, converter=Pretending())


# What does not encode


@pytest.mark.parametrize(
    ("codec", "value", "reason"),
    [
        (jobs, Number(1), "a Number is none of Resize, Rotate @ $"),
        (jobs, None, "None is none of Resize, Rotate @ $"),
        (resizes, Number(1), "expected Resize, not a Number @ $"),
        (Codec(Number), Number(10**5000), "Exceeds the limit (4300 digits) for integer string conversion"),
        (Codec(list[Sum]), [Sum(Number(1), Sum(Number(1), Number(True)))], "expected int, not True @ $[0].right.right.value"),
        (packed, Resize("a", 2**64), "unknown error (Integer value out of range) @ $"),
        (packed, Resize("\ud800", 1), r"'utf-8' codec can't encode character '\ud800' in position 0: surrogates not allowed @ $"),
    ],
)
def test_a_value_that_does_not_encode_says_why(codec: Codec[Any], value: object, reason: str) -> None:
    error = codec.encode(value).failure()
    assert (error.value, error.media_type) == (value, codec.media_type)
    assert error.reason.startswith(reason)
    text = f"a {type(value).__name__} does not encode as {codec.media_type} ({error.reason}): use a value that its codec describes"
    assert str(error) == text


class UnshowableError(Exception):
    def __str__(self) -> str:
        raise RuntimeError


def refuse(instance: object, attribute: object, value: int) -> None:
    if value < 0:
        raise UnshowableError


@attrs.frozen
class Guarded:
    value: int = attrs.field(validator=refuse)


def test_an_exception_that_cannot_be_shown_is_a_reason_too() -> None:
    reason = Codec(Guarded).decode(Message(JSON, b'{"value": -1}')).failure().reason
    assert reason == "UnshowableError @ $"


def test_the_errors_are_frozen_values() -> None:
    undecodable, unencodable = Undecodable(Message.text("a"), JSON, "b"), Unencodable(1, JSON, "b")
    assert {undecodable, unencodable} == {Undecodable(Message.text("a"), JSON, "b"), Unencodable(1, JSON, "b")}
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        undecodable.reason = "c"  # type: ignore[misc]  # what this test is about
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        unencodable.reason = "c"  # type: ignore[misc]  # that it is frozen is what the test is about


# The handler of values

numbers = Codec(int)


def encoded(codec: Codec[T], *values: T) -> list[Message]:
    return [codec.encode(value).unwrap() for value in values]


def add(number: int, continuation: TypedContinuation[int, int], total: int) -> TypedContinuation[int, int]:
    return continuation.respond(total + number, total + number)


@given(st.lists(st.integers()), st.integers())
def test_a_typed_handler_folds_as_a_plain_reduce_does(given_numbers: list[int], start: int) -> None:
    folded = fold(typed(numbers, add), start, encoded(numbers, *given_numbers)).unwrap()
    assert folded.carry == reduce(int.__add__, given_numbers, start)
    assert [numbers.decode(response).unwrap() for response in folded.responses] == [
        start + sum(given_numbers[: count + 1]) for count in range(len(given_numbers))
    ]


Verb = Callable[[Any, int], Any]  # Any: the verbs of both continuations
VERBS: list[tuple[Verb, Verb]] = [
    (TypedContinuation.continue_, Continuation.continue_),
    (TypedContinuation.close, Continuation.close),
    (TypedContinuation.stop, Continuation.stop),
    (
        lambda typed_one, carry: typed_one.respond(carry, carry, -carry),
        lambda plain, carry: plain.respond(carry, *encoded(numbers, carry, -carry)),
    ),
    (
        lambda typed_one, carry: typed_one.tell(carry, Peer(5), carry, -carry),
        lambda plain, carry: plain.tell(carry, Peer(5), *encoded(numbers, carry, -carry)),
    ),
    (
        lambda typed_one, carry: typed_one.answer(carry, typed_one.ticket, carry),
        lambda plain, carry: plain.answer(carry, plain.ticket, *encoded(numbers, carry)),
    ),
    (TypedContinuation.defer, Continuation.defer),
    (lambda typed_one, carry: typed_one.wake(carry, typed_one.now + 5), lambda plain, carry: plain.wake(carry, plain.now + 5)),
]


@given(st.lists(st.tuples(st.sampled_from(VERBS), st.integers())))
def test_verbs_compose_as_those_of_a_continuation(said: list[tuple[tuple[Verb, Verb], int]]) -> None:
    peer = Peer(1, 2, 3, 4)

    def handler(number: int, continuation: TypedContinuation[int, int], carry: int) -> TypedContinuation[int, int]:
        assert continuation == TypedContinuation(carry, peer=peer, now=8.0, number=9)
        answer = reduce(lambda so_far, step: step[0][0](so_far, step[1]), said, continuation)
        assert len(answer.effects) == len(plain.effects)
        return answer

    given_one = Continuation(7, peer=peer, now=8.0, number=9)
    plain = reduce(lambda so_far, step: step[0][1](so_far, step[1]), said, given_one)
    assert typed(numbers, handler)(encoded(numbers, 1)[0], given_one, 7) == plain


def test_departures_and_alarms_tell_values() -> None:
    def leave(peer: Peer, continuation: TypedContinuation[int, int], total: int) -> TypedContinuation[int, int]:
        return continuation.tell(total + 1, Peer(2), peer.connection)

    def wake(continuation: TypedContinuation[int, int], total: int) -> TypedContinuation[int, int]:
        return continuation.tell(total + 10, Peer(2), 0)

    def start(_: int, continuation: TypedContinuation[int, int], total: int) -> TypedContinuation[int, int]:
        return continuation.wake(total, 2.0)

    (one,) = encoded(numbers, 1)
    left, woken = typed_left(numbers, leave), typed_woken(numbers, wake)
    inputs: list[Input] = [Came(0.0, Peer(1), one), Came(0.0, Peer(2), one), Left(1.0, Peer(1)), Woken(2.0)]
    folded = fold(typed(numbers, start), 0, inputs, left=left, woken=woken).unwrap()
    assert folded.carry == 11
    assert folded.effects[2:] == (Tell(Peer(2), (one,)), Tell(Peer(2), tuple(encoded(numbers, 0))))


def test_a_told_value_that_does_not_encode_is_a_fault_of_the_handler() -> None:
    def tell(_: int, continuation: TypedContinuation[int, int], total: int) -> TypedContinuation[int, int]:
        return continuation.tell(total, continuation.peer, 10**5000)

    assert isinstance(fold(typed(numbers, tell), 0, encoded(numbers, 1)).failure().error, TypeError)


def test_a_message_that_does_not_decode_leaves_the_carry_and_is_answered_with_the_reason() -> None:
    message = Message(JSON, b'"two"')
    folded = fold(typed(numbers, add), 1, [message, *encoded(numbers, 2)]).unwrap()
    text = str(numbers.decode(message).failure())
    assert folded == Continuation(3, (Message.text(text), *encoded(numbers, 3)), Outcome.CONTINUE)
    assert text in str(numbers.decode(Message.text(text)).failure()).replace("\\", "")


def test_a_message_that_does_not_decode_goes_to_the_handler_for_it() -> None:
    def refuse_it(error: Undecodable, continuation: TypedContinuation[int, int], total: int) -> TypedContinuation[int, int]:
        return continuation.respond(total - 1, len(error.message.content)).close(total - 2)

    folded = fold(typed(numbers, add, undecodable=refuse_it), 0, [Message.text("four")]).unwrap()
    assert folded == Continuation(-2, tuple(encoded(numbers, 4)), Outcome.CLOSE)


def test_responses_may_be_of_another_type() -> None:
    def wide(job: Resize | Rotate, continuation: TypedContinuation[int, Number], count: int) -> TypedContinuation[int, Number]:
        match job:
            case Resize(width=width):
                return continuation.respond(count + 1, Number(width))
            case Rotate():
                return continuation.stop(count)

    folded = fold(typed(jobs, wide, responses=Codec(Number)), 0, encoded(jobs, Resize("a", 5), Rotate("a", 1.0))).unwrap()
    assert folded == Continuation(1, tuple(encoded(Codec(Number), Number(5))), Outcome.STOP)


def test_a_response_that_does_not_encode_is_a_fault_of_the_handler() -> None:
    def enlarge(number: int, continuation: TypedContinuation[int, int], total: int) -> TypedContinuation[int, int]:
        return continuation.respond(total + 1, number) if number else continuation.respond(total + 1, 10**5000)

    messages_sent = encoded(numbers, 1, 0)
    failed = fold(typed(numbers, enlarge), 0, messages_sent).failure()
    assert isinstance(failed, HandlerFailed)
    assert (failed.carry, failed.message) == (1, messages_sent[1])
    assert "a int does not encode" in str(failed.error)


# Over a socket


def test_values_go_over_a_socket(directory: Path) -> None:
    ipc, name, results = IPC(directory), Name("numbers"), Codec(Number)

    def serve(number: int, continuation: TypedContinuation[int, Number], total: int) -> TypedContinuation[int, Number]:
        return continuation.stop(total) if number == 0 else continuation.respond(total + number, Number(total + number))

    with ThreadPoolExecutor(1) as pool:
        served = pool.submit(lambda: ipc.listen(name, PATIENCE)(0, typed(numbers, serve, responses=results)))
        connected = ipc.wait(name, PATIENCE)
        assert flow(connected, flat_map(ask(numbers, 40, PATIENCE, responses=results))) == Success(Number(40))
        assert flow(connected, flat_map(send(numbers, 1, 1)), flat_map(wait(results, PATIENCE))) == Success(Number(41))
        refused = flow(connected, flat_map(ask(jobs, Rotate("a", 1.0), PATIENCE, responses=results))).failure()
        assert isinstance(refused, Undecodable)
        assert refused.message.content.decode().startswith("the message does not decode")
        assert flow(connected, flat_map(wait(numbers, PATIENCE))).map(type).alt(type) == Failure(Undecodable)  # a Number: 42
        assert flow(connected, flat_map(ask(numbers, 10**5000, PATIENCE))).alt(type) == Failure(Unencodable)
        assert flow(connected, flat_map(send(numbers, 8, 10**5000))).alt(type) == Failure(Unencodable)
        assert flow(connected, flat_map(wait(numbers, 0.0))).alt(type) == Failure(TimedOut)
        assert flow(connected, flat_map(send(numbers, 0))).map(type) == Success(Process)
        assert served.result(PATIENCE) == Success(42)


def test_a_typed_handler_that_returns_nothing_is_told_what_is_wanted() -> None:
    failed = fold(typed(numbers, lambda *_: None), 0, encoded(numbers, 1)).failure()  # type: ignore[arg-type]  # what it is about
    assert str(failed.error) == (
        "the handler returned NoneType, not a TypedContinuation: return what continuation.respond(...) or continue_(...) gives"
    )


@pytest.mark.parametrize("arguments", [{"media_type": "application/json"}, {"converter": 1}])
def test_a_codec_of_something_else_raises_where_it_is_made(arguments: dict[str, Any]) -> None:  # Any: anything
    with pytest.raises(TypeError):
        Codec(int, **arguments)
