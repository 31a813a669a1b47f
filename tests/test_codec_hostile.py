"""A codec on hostile contents: the work is bounded by the length of the content, and each error is a short value."""

import gc
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import attrs
import pytest
from cattrs.preconf.json import make_converter
from hypothesis import example, given
from hypothesis import strategies as st

from ipcfold import MediaType, Message
from ipcfold.codec import Codec

JSON = MediaType("application", "json")
SIZE = 512 * 1024


@attrs.frozen
class Leaf:
    value: int


@attrs.frozen
class Node:
    left: "Leaf | Node | Other | None" = None
    right: "Leaf | Node | Other | None" = None


@attrs.frozen
class Other:
    left: "Leaf | Node | Other | None" = None
    right: "Leaf | Node | Other | None" = None


@dataclass
class Old:
    old: "Old | Older | None"


@dataclass
class Older:
    older: "Old | Older | None"


def reason(codec: Codec[Any], content: bytes) -> str:  # Any: a codec of any type, here and below
    error = codec.decode(Message(JSON, content)).failure()
    assert len(error.reason) < 250
    assert error.reason.isprintable()
    return error.reason


def calls(work: Callable[[], object]) -> int:
    """The number of Python and C functions that the work calls."""
    count = 0

    def counted(_frame: object, event: str, _argument: object) -> None:
        nonlocal count
        count += event in {"call", "c_call"}

    before = sys.getprofile()
    gc.disable()  # a collection calls functions, too
    sys.setprofile(counted)
    try:
        work()
    finally:
        sys.setprofile(before)
        gc.enable()
    return count


@pytest.fixture
def usual_depth() -> Iterator[None]:
    """Python's own limit of recursion, which other code of this process may raise."""
    raised = sys.getrecursionlimit()
    sys.setrecursionlimit(1000)
    yield
    sys.setrecursionlimit(raised)


def repeated(element: bytes, times: int) -> bytes:
    return b"[" + b",".join([element] * times) + b"]"


FORMS: list[tuple[Any, bytes]] = [
    (list[int], b'"a"'),
    (list[str], b"1"),
    (list[float], b'"a"'),
    (list[int | None], b'"a"'),
    (list[Leaf], b"{}"),
    (list[Leaf], b'{"value":"a"}'),
    (list[Leaf | Node], b"{}"),
    (list[Leaf | Node], b'{"_type":"Leaf"}'),
    (list[Old | Older], b"{}"),
    (list[list[int]], b'["a"]'),
    (tuple[int, ...], b'"a"'),
    (frozenset[int], b'"a"'),
    (set[tuple[int, int]], b"[1,1,1]"),
    (list[dict[int, int]], b'{"a":1}'),
    (list[bytes], b"1"),
    (list[Any], b"1e999"),
]


@pytest.mark.parametrize("converter", [None, make_converter()])
@pytest.mark.parametrize(("form", "element"), FORMS)
def test_a_codec_calls_no_hook_after_the_first_error(form: Any, element: bytes, converter: Any) -> None:
    if converter is not None and (b"e999" in element or form in (list[str], list[list[int]])):
        return  # that converter takes these elements
    codec: Codec[Any] = Codec(form, converter=converter)
    few, many = repeated(element, 300), repeated(element, 3000)
    reason(codec, few)
    parsed = [calls(partial(json.loads, content, object_pairs_hook=dict)) for content in (few, many)]
    worked = [calls(partial(reason, codec, content)) for content in (few, many)]
    assert worked[1] - worked[0] <= 2 * (parsed[1] - parsed[0]) + 3 * element.count(b"{") * 2700


def test_the_place_of_the_first_error_is_named() -> None:
    content = b'{"left":{"_type":"Node","left":{"_type":"Leaf","value":1},"right":{"_type":"Leaf","value":"a"}},"right":1}'
    assert reason(Codec(Node), content) == "expected int, not 'a' @ $.left.right.value"
    assert reason(Codec(dict[str, list[Leaf]]), b'{"a":[{"value":1},{"value":[]}]}') == "expected int, not a list @ $['a'][1].value"


def test_a_given_converter_names_the_place_in_a_short_content_only() -> None:
    codec = Codec(list[Leaf], converter=make_converter())
    assert reason(codec, b'[{"value":1},{"value":"a"}]') == "invalid value for type, expected int @ $[1].value"
    assert reason(codec, b"[" + b'{"value":1},' * 100 + b'{"value":"a"}]') == "invalid literal for int() with base 10: 'a' @ $"


UNDECODABLE: list[tuple[Any, bytes]] = [
    (list, b"[" * SIZE),
    (Any, b"[" * 100_000 + b"]" * 100_000),
    (dict, b'{"a":' * 100_000 + b"1" + b"}" * 100_000),
    (Node, b'{"_type":"Node","left":' * 20_000 + b"1" + b"}" * 20_000),
    (Leaf | Node | Other, b'{"_type":"Other","right":' * 900 + b"1" + b"}" * 900),
    (Old | Older, b'{"old":' * 900 + b"1" + b"}" * 900),
    (int, b"1" * 100_000),
    (dict[int, int], b'{"' + b"1" * 100_000 + b'":1}'),
    (float, b"1" * 4000),
    (float, b"1e" + b"9" * 100_000),
    (str, b"1" * 100_000),
    (list[int], b"[1" + b"0" * 100_000 + b"]"),
    (Leaf, b'{"' + b"a" * SIZE + b'":1}'),
    (Leaf, b'{"value":"' + b"a" * SIZE + b'"}'),
    (Leaf, b"{" + b",".join(b'"%d":1' % number for number in range(50_000)) + b"}"),
    (Leaf | Node, b'{"_type":"' + b"a" * SIZE + b'"}'),
]


@pytest.mark.usefixtures("usual_depth")
@pytest.mark.parametrize(("form", "content"), UNDECODABLE, ids=range(len(UNDECODABLE)))
def test_a_content_that_is_too_deep_or_too_large_is_undecodable(form: Any, content: bytes) -> None:
    reason(Codec(form), content)


@pytest.mark.parametrize("form", [set[int], frozenset[int], dict[int, int], set[tuple[int, int]], set[Leaf]])
def test_many_keys_with_equal_hashes_are_undecodable(form: Any) -> None:
    numbers = [str(number * (2**61 - 1)) for number in range(1, 3000)]
    one = {set[tuple[int, int]]: "[{0},{0}]", set[Leaf]: '{{"value":{0}}}', dict[int, int]: '"{0}":1'}.get(form, "{0}")
    held = ",".join(one.format(number) for number in numbers)
    content = f"{{{held}}}" if form == dict[int, int] else f"[{held}]"
    assert "hashes" in reason(Codec(form), content.encode())


@given(st.integers(1, 60), st.sampled_from(["left", "right"]))
@example(60, "left")
def test_unions_do_not_multiply_the_work_when_nested(depth: int, side: str) -> None:
    codec = Codec(Leaf | Node | Other)

    def content(levels: int) -> bytes:
        level = f'{{"_type":"Node","{"right" if side == "left" else "left"}":{{"_type":"Leaf","value":1}},"{side}":'
        return (level * levels + "1" + "}" * levels).encode()

    reason(codec, content(1))
    one, two, all_levels = (calls(partial(reason, codec, content(levels))) for levels in (1, 2, depth))
    assert all_levels <= one + depth * (two - one + 40)


class Unfriendly(Exception):  # noqa: N818 - a name that another program chose
    def __str__(self) -> str:
        return "a\n" * 100_000


def refuse(instance: object, attribute: object, value: int) -> None:
    raise Unfriendly


@attrs.frozen
class Guarded:
    value: int = attrs.field(validator=refuse)


def test_a_reason_is_short_whatever_an_exception_says() -> None:
    assert reason(Codec(Guarded), b'{"value":1}').startswith("a\\na\\n")
