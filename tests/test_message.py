"""Messages and media types: RFC 9110's grammar, and nothing that can fail where the signature says it cannot."""

import re
import tracemalloc

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from returns.maybe import Nothing, Some
from returns.result import Failure, Success

from ipcfold import InvalidMediaType, MediaType, Message
from ipcfold.message import _ESSENCE, _PARAMETER, _QUOTED, _TCHARS, OCTET_STREAM, TEXT_PLAIN
from ipcfold.testing.strategies import media_types, parameter_values, tokens


@given(media_types())
def test_a_media_type_is_read_back_from_its_text(media_type: MediaType) -> None:
    assert MediaType.of(str(media_type)) == Success(media_type)


@given(
    media_types().filter(lambda media_type: media_type.parameters),
    st.lists(st.sampled_from([", ", ",", "; ", ";", " ,\t", " ; "]), min_size=2, max_size=2),
)
def test_a_comma_between_two_parameters_reads_as_a_semicolon(media_type: MediaType, separators: list[str]) -> None:
    essence = f"{media_type.type}/{media_type.subtype}"
    parameters = [str(MediaType("a", "b", (parameter,))).removeprefix("a/b; ") for parameter in media_type.parameters]
    between = [*separators, *separators][: len(parameters) - 1]
    text = f"{essence}; {parameters[0]}" + "".join(map(str.__add__, between, parameters[1:]))
    assert MediaType.of(text) == Success(media_type)


def test_the_spelling_of_innmind_ipc_is_read_and_written_with_semicolons() -> None:
    original = MediaType.of("text/plain; charset=utf-8, format=flowed, delsp=yes")
    assert original == MediaType.of("text/plain; charset=utf-8; format=flowed; delsp=yes")
    assert original.map(str) == Success("text/plain; charset=utf-8; format=flowed; delsp=yes")


def test_a_comma_between_quotes_belongs_to_the_value() -> None:
    parsed = MediaType.of('text/plain; a="b, c=d", e=f').unwrap()
    assert parsed.parameters == (("a", "b, c=d"), ("e", "f"))
    assert str(parsed) == 'text/plain; a="b, c=d"; e=f'


@given(tokens(), tokens())
def test_type_and_subtype_compare_without_case(kind: str, subtype: str) -> None:
    lower, upper = MediaType.of(f"{kind}/{subtype}".lower()), MediaType.of(f"{kind}/{subtype}".upper())
    assert lower == upper
    assert hash(lower.unwrap()) == hash(upper.unwrap())


@given(st.text())
def test_any_text_is_a_media_type_or_an_error(text: str) -> None:
    parsed = MediaType.of(text)
    assert parsed.map(lambda media_type: MediaType.of(str(media_type))).value_or(parsed) == parsed


@pytest.mark.parametrize(
    "text",
    [
        "", "text", "text/", "/plain", "text//plain", "text/plain/x", " text/plain", "text/plain ", "text /plain",
        "text/plain; a", "text/plain; a=", "text/plain; =b", "text/plain; a =b", "text/plain; a= b", 'text/plain; a="b',
        'text/plain; a="b"c', "text/plain, text/html", "text/plain\n", "téxt/plain", 'text/plain; a="é"', "text/plain; a=b c",
        "text/plain, a=b", "text/plain;, a=b", "text/plain; a=b,", "text/plain; a=b, text/html", "text/plain; a=b, text/html; c=d",
        "text/plain; a=b,, c=d", "text/plain; a=b,; c=d", "text/plain; a=b;, c=d", "text/plain; a=b, c", "text/plain; a=b, c=",
        "text/plain; a=b,c", 'text/plain; a=b, c="d',
    ],
)  # fmt: skip
def test_a_text_that_is_no_media_type_is_an_error(text: str) -> None:
    assert MediaType.of(text) == Failure(InvalidMediaType(text))


def test_a_media_type_longer_than_the_wire_allows_is_refused() -> None:
    longest = "text/" + "x" * (0xFFFF - 5)
    assert MediaType.of(longest).map(str) == Success(longest)
    assert MediaType.of(longest + "x") == Failure(InvalidMediaType(longest + "x"))


def test_a_media_type_has_sixty_four_parameters_at_most() -> None:
    most = "text/plain" + "; a=b" * 64
    assert MediaType.of(most).map(str) == Success(most)
    assert MediaType.of("text/plain" + ";" * 64).map(str) == Success("text/plain")  # one with nothing in it is one, too
    assert MediaType.of("text/plain; a=b" + ", a=b" * 63).map(str) == Success(most)
    for more in ("; a=b", ";", "; a=", '; a="', ", a=b", ",", ", a=", ', a="b'):
        assert MediaType.of(most + more) == Failure(InvalidMediaType(most + more))


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("a/b" + ";a=b" * 16_000, id="parameters"),
        pytest.param("a/b;a=b" + ",a=b" * 16_000, id="parameters behind commas"),
        pytest.param("a/b" + ";" * 65_000, id="nothing but semicolons"),
        pytest.param("a/b;a=b" + "," * 65_000, id="nothing but commas"),
        pytest.param("a/b" + " " * 65_000, id="nothing but spaces"),
        pytest.param("a" * 65_000, id="a type without a subtype"),
        pytest.param('a/b;a="' + "b " * 32_000 + '"', id="a long value"),
        pytest.param('a/b;a="' + "b " * 32_000, id="one without an end"),
        pytest.param('a/b;a="' + "\\b" * 32_000 + '"', id="escapes"),
    ],
)
def test_no_text_takes_much_memory_to_read_as_a_media_type(text: str) -> None:
    tracemalloc.start()
    MediaType.of(text)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8 * len(text)


@given(st.lists(st.sampled_from([";", ",", " ", "\t", "a", "=", '"', "\\", "a=b", 'a="b"', "; a=b", ", a=b", "/"]), max_size=300))
def test_a_text_made_of_the_parts_of_media_types_has_at_most_64_parameters_or_is_refused(parts: list[str]) -> None:
    parsed = MediaType.of("a/b" + "".join(parts))
    assert parsed.map(lambda media_type: len(media_type.parameters) <= 64).value_or(True)
    assert parsed.map(lambda media_type: MediaType.of(str(media_type))).value_or(parsed) == parsed


@pytest.mark.parametrize("pattern", [_ESSENCE, _PARAMETER, _TCHARS, _QUOTED])
def test_each_repetition_of_the_grammar_is_possessive(pattern: re.Pattern[str] | str) -> None:
    """A repetition that never gives back what it matched needs one step for each character."""
    text = pattern if isinstance(pattern, str) else pattern.pattern
    outside = re.sub(r"\[(?:\\.|[^\]\\])*\]", "[]", text)  # between brackets, '+' and '*' are characters
    assert re.findall(r"[+*]+", outside) == re.findall(r"[+*]\+", outside) != []


@given(parameter_values())
def test_a_parameter_value_is_unquoted_character_by_character(value: str) -> None:
    escaped = "".join(f"\\{character}" for character in value)
    assert MediaType.of(f'text/plain; a="{escaped}"').unwrap().parameter("a") == Some(value)


def test_parameters_are_kept_in_order_and_quoted_only_if_need_be() -> None:
    parsed = MediaType.of('Text/HTML;Charset="UTF-8" ;; title="a \\"b\\" \\\\ c";x=').failure()
    assert parsed.value.startswith("Text/HTML")
    media_type = MediaType.of('Text/HTML;Charset="UTF-8" ;; Title="a \\"b\\" \\\\ c"; ').unwrap()
    assert str(media_type) == 'text/html; charset=UTF-8; title="a \\"b\\" \\\\ c"'
    assert media_type.parameter("TITLE") == Some('a "b" \\ c')
    assert media_type.parameter("charset") == Some("UTF-8")
    assert media_type.parameter("level") == Nothing


def test_only_charsets_compare_without_case() -> None:
    assert MediaType.of("text/plain; charset=UTF-8") == MediaType.of("text/plain; CHARSET=utf-8")
    assert MediaType.of("text/plain; level=A") != MediaType.of("text/plain; level=a")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("te xt", "plain"), "type.* must match"),
        (("text", ""), "subtype.* must match"),
        (("text", "plain", (("a b", "c"),)), "'a b'='c' is not a parameter of a media type"),
        (("text", "plain", (("a", "\n"),)), r"'a'='\\n' is not a parameter of a media type"),
        (("text", "plain", (("a", "b"),) * 65), "a media type has at most 64 parameters"),
        (("text", "x" * 0xFFFF), "a media type has at most 65535 bytes"),
    ],
)
def test_a_media_type_cannot_be_made_around_the_grammar(arguments: tuple[str, str], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        MediaType(*arguments)


@given(st.text(alphabet=st.characters()))
@example("a lone surrogate: \udc80")
def test_a_text_cannot_fail(content: str) -> None:
    message = Message.text(content)
    assert message.media_type == TEXT_PLAIN
    assert message.content.decode("utf-8", "surrogatepass") == content


@given(st.binary())
def test_octets_are_carried_as_they_are(content: bytes) -> None:
    assert Message.octets(content) == Message(OCTET_STREAM, content)


@given(st.text() | st.binary())
def test_a_message_is_made_of_text_or_bytes(content: str | bytes) -> None:
    encoded = content if isinstance(content, bytes) else content.encode()
    assert Message.of("application/json", content) == Success(Message(MediaType("application", "json"), encoded))
    assert Message.of("json", content) == Failure(InvalidMediaType("json"))


class Subtle(bytes):
    """Bytes that say that they are empty."""

    def __len__(self) -> int:
        return 0


@given(st.binary(min_size=1))
def test_a_message_keeps_exact_bytes(content: bytes) -> None:
    message = Message.octets(Subtle(content))
    assert type(message.content) is bytes
    assert message.content == content


@pytest.mark.parametrize(
    ("size", "shown"),
    [(0, "b''"), (64, f"b'{'x' * 64}'"), (65, f"b'{'x' * 64}'... (65 bytes)"), (10_000, f"b'{'x' * 64}'... (10000 bytes)")],
)
def test_a_large_content_does_not_flood_a_log(size: int, shown: str) -> None:
    assert repr(Message.octets(b"x" * size)).endswith(f"content={shown})")
