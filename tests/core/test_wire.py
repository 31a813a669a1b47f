"""Frames: decoding gives back what was encoded, however the stream is cut. All other bytes give a value, too."""

import resource
import sys
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from returns.maybe import Nothing, Some

from ipcfold import Limits, MediaType, Message, MessageTooLarge, ReservedMessage
from ipcfold.core.wire import Broken, Decoder, Encoder, Frame, RefusedError, Signal, _parse_cached, encode, refusal
from ipcfold.message import TEXT_PLAIN
from ipcfold.testing.strategies import broken_frames, cuts, media_types, messages
from tests.strategies import encoded, frames, signals

LIMIT = 1000


@pytest.fixture(autouse=True)
def parsed_anew() -> None:
    """Forget the media types that other tests parsed."""
    _parse_cached.cache_clear()


def decoded(chunks: list[bytes], limit: int = LIMIT) -> list[Frame | Broken]:
    """All that a decoder finds in these chunks. It is asked after each chunk."""
    decoder, found = Decoder(limit), list[Frame | Broken]()
    for chunk in chunks:
        decoder.feed(chunk)
        while (frame := decoder.next()) is not None:
            found.append(frame)
            if isinstance(frame, Broken):
                return found
    return found


@given(media_types() | st.sampled_from(["text/plain", "TEXT/Plain"]), signals(), st.binary(max_size=40))
def test_every_decoded_message_may_be_sent(media_type: MediaType | str, signal: Signal, other: bytes) -> None:
    for content in (signal.content, other):
        encoded_type = str(media_type).encode()
        whole = len(encoded_type).to_bytes(2) + encoded_type + len(content).to_bytes(4) + content + b"\xce"
        (found,) = decoded([whole])
        assert isinstance(found, Signal) or refusal(found, Limits(message=LIMIT)) == Nothing  # type: ignore[arg-type]  # it is not Broken


@pytest.mark.parametrize("cut", [1, 7, 2**20])
def test_a_decoder_does_not_keep_a_frame_that_was_read(cut: int) -> None:
    decoder = Decoder(2**20)
    whole = encode(Message.octets(b"x" * 2**20))
    tracemalloc.start()
    decoder.feed(whole[:cut])
    decoder.next()
    decoder.feed(whole[cut:])
    assert decoder.next() is not None
    assert tracemalloc.get_traced_memory()[0] < 100_000
    tracemalloc.stop()


def test_long_media_types_of_peers_do_not_fill_memory() -> None:
    tracemalloc.start()
    for number in range(64):
        message = Message.of(f"text/plain; a={number:060000}", b"").unwrap()
        assert decoded([encode(message)]) == [message]
    del message
    assert tracemalloc.get_traced_memory()[0] < 1_000_000
    tracemalloc.stop()


@given(st.lists(frames(), max_size=3))
def test_a_decoder_keeps_nothing_between_frames(sent: list[Frame]) -> None:
    decoder = Decoder(LIMIT)
    assert decoder.next() is None
    for frame in sent:
        assert (decoder.fresh, decoder.buffered) == (False, 0)
        decoder.feed(encoded(frame))
        assert decoder.fresh
        assert decoder.next() == frame
        assert decoder.next() is None
    assert (decoder.fresh, decoder.buffered) == (False, 0)


@given(st.data(), st.lists(frames(), max_size=6))
def test_decoding_is_the_inverse_of_encoding_under_any_cutting(data: st.DataObject, sent: list[Frame]) -> None:
    stream = b"".join(map(encoded, sent))
    assert decoded(data.draw(cuts(stream))) == sent
    assert decoded([stream]) == sent
    assert decoded([stream[index : index + 1] for index in range(len(stream))]) == sent


@given(frames(), st.binary(max_size=40))
def test_bytes_after_a_frame_do_not_change_it(frame: Frame, trailing: bytes) -> None:
    assert decoded([encoded(frame) + trailing])[0] == frame


@given(st.data(), st.binary(max_size=300))
def test_random_bytes_are_frames_or_broken_and_never_an_exception(data: st.DataObject, stream: bytes) -> None:
    whole = decoded([stream])
    assert decoded(data.draw(cuts(stream))) == whole
    assert all(isinstance(frame, Signal | Message) for frame in whole[:-1])


@given(st.lists(frames(), max_size=3), broken_frames(), st.binary(max_size=40))
def test_a_decoder_finds_no_more_frames_after_a_broken_one(before: list[Frame], broken: bytes, after: bytes) -> None:
    decoder = Decoder(LIMIT)
    decoder.feed(b"".join(map(encoded, before)) + broken + after)
    assert [decoder.next() for _ in before] == before
    first = decoder.next()
    assert isinstance(first, Broken)
    decoder.feed(encoded(Signal.HEARTBEAT))
    assert decoder.next() is first
    assert decoder.buffered == 0  # The decoder keeps nothing of the stream.


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (encode(Message.text("x"))[:-1] + b"\x00", "a frame does not end in the end mark"),
        (b"\x00\x03a/\xe9\x00\x00\x00\x00\xce", "b'a/\\xe9' is not a media type"),
        (b"\x00\x03a/\xe9\x00\x00\x00\x28" + b"x" * 40 + b"\xce", "b'a/\\xe9' is not a media type"),
        (b"\x00\x64" + b"x" * 100 + b"\x00\x00\x00\x00\xce", f"b'{'x' * 80}' is not a media type"),
    ],
)
def test_a_broken_frame_gives_its_reason(data: bytes, reason: str) -> None:
    assert decoded([data]) == [Broken(reason)]


@pytest.mark.parametrize("size", [LIMIT + 1, 2**14, 2**20])
def test_a_content_over_the_limit_is_refused_when_its_length_arrives(size: int) -> None:
    decoder, before = Decoder(LIMIT), encode(Message.octets(b"x" * size))[: -size - 1]
    decoder.feed(before[:-1])
    assert decoder.next() is None
    decoder.feed(before[-1:])
    assert decoder.frames(9) == [Broken(f"a content of {size} bytes is over the limit of {LIMIT}")]


@pytest.mark.parametrize("size", [2**14, 2**14 + 1, 2**20])
def test_a_large_frame_is_complete_with_its_end_mark(size: int) -> None:
    message = Message.octets(b"x" * size)
    before = encode(message)[: -size - 1]
    for mark, expected in (b"\xce", message), (b"\x00", Broken("a frame does not end in the end mark")):
        decoder = Decoder(size)
        decoder.feed(before + message.content)
        assert decoder.next() is None
        decoder.feed(mark)
        assert decoder.next() == expected


@given(messages(), st.integers(0, 120))
def test_a_decoder_finds_nothing_in_a_part_of_a_frame(message: Message, part: int) -> None:
    whole = encode(message)
    decoder, fed = Decoder(LIMIT), min(part, len(whole) - 1)
    decoder.feed(whole[:fed])
    assert decoder.next() is None
    assert decoder.buffered == fed
    decoder.feed(whole[fed:])
    assert decoder.next() == message
    assert decoder.next() is None


@given(messages(), messages(), st.integers(1, 7))
def test_a_decoder_finds_nothing_in_a_part_of_a_second_frame(first: Message, second: Message, missing: int) -> None:
    decoder, whole = Decoder(LIMIT), encode(second)
    decoder.feed(encode(first) + whole[:-missing])
    assert decoder.next() == first
    assert decoder.next() is None
    assert decoder.buffered == len(whole) - missing
    decoder.feed(whole[-missing:])
    assert decoder.next() == second


@given(st.data(), st.lists(frames(), max_size=6), st.integers(1, 3), st.sampled_from([None, *Signal]))
def test_a_decoder_finds_the_same_frames_however_many_it_gives_at_once(
    data: st.DataObject, sent: list[Frame], most: int, likely: Signal | None
) -> None:
    decoder, found = Decoder(LIMIT, likely), list[Frame | Broken]()
    for chunk in data.draw(cuts(b"".join(map(encoded, sent)))):
        decoder.feed(chunk)
        while decoder.fresh:
            some = decoder.frames(most)
            assert len(some) <= most
            found += some
    assert found == sent


@given(st.data(), st.lists(st.integers(0, 2**18), min_size=1, max_size=3))
def test_large_contents_are_the_same_when_read_into_the_room(data: st.DataObject, sizes: list[int]) -> None:
    sent = [Message.octets(bytes([index]) * size) for index, size in enumerate(sizes)]
    stream, decoder, found = memoryview(b"".join(map(encode, sent))), Decoder(2**18), list[Frame | Broken]()
    while stream:
        room = decoder.room() if data.draw(st.integers(0, 3)) else None
        if room is None:
            count = data.draw(st.integers(1, 2**16))
            decoder.feed(bytes(stream[:count]))
        else:
            assert room, "a read into an empty room would look like the end of the stream"
            count = min(data.draw(st.integers(1, len(room))), len(stream))
            room[:count] = stream[:count]
            decoder.filled(count)
        stream = stream[count:]
        found += decoder.frames(10)
    assert found == sent


@pytest.mark.parametrize("size", [2**20, 2**24, 2**26, 2**32 - 1])
def test_a_declared_length_takes_no_memory(size: int) -> None:
    decoder, frame = Decoder(2**32 - 1), encode(Message.octets(b""))[:-5] + size.to_bytes(4)
    before = resident()
    decoder.feed(frame)
    assert decoder.next() is None
    came = 0
    while came < size // 8 and came < 2**22:
        assert (room := decoder.room()) is None or len(room) == size + 1 - came
        assert resident() - before < 9 * came + 2**21
        decoder.feed(b"x" * 2**16)
        came += 2**16
        assert decoder.next() is None
    assert decoder.buffered == came


@pytest.mark.parametrize(
    ("size", "came", "enough"),
    [
        (2**20, 2**17 - 1, False), (2**20, 2**17, True),  # An eighth of the content is enough.
        (2**25 - 8, 2**17, False), (2**25 - 8, 2**22 - 2, False), (2**25 - 8, 2**22 - 1, True),
        (2**25, 2**16, False), (2**25, 2**17 - 1, False), (2**25, 2**17, True),  # The system gives memory of this size page by page.
    ],
)  # fmt: skip
def test_a_decoder_makes_room_for_the_rest_once_enough_came(size: int, came: int, enough: bool) -> None:  # noqa: FBT001 - a parameter of the test
    decoder = Decoder(size)
    decoder.feed(encode(Message.octets(b""))[:-5] + size.to_bytes(4) + b"x" * came)
    assert decoder.next() is None
    room = decoder.room()
    assert (None if room is None else len(room)) == (size + 1 - came if enough else None)


def resident() -> int:
    """Bytes of this process that are in memory, or their maximum where the system tells only that."""
    if sys.platform == "linux":
        return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def test_a_room_that_the_caller_still_holds_does_no_harm() -> None:
    decoder, message = Decoder(2**20), Message.octets(b"x" * 2**17)
    stream = memoryview(encode(message))
    decoder.feed(bytes(stream[: 2**16]))
    assert decoder.next() is None
    at, held = 2**16, list[memoryview | None]()
    while (room := decoder.room()) is not None:
        held += [room, decoder.room()]  # The second call takes the first room back.
        room = held[-1]
        assert room
        room[:] = stream[at : at + len(room)]
        at += len(room)
        decoder.filled(len(room))
    assert decoder.next() == message


@given(signals(), st.integers(0, 40), st.integers(1, 40))
def test_signals_arrive_however_small_the_limit_of_messages_is(signal: Signal, size: int, limit: int) -> None:
    message = Message.text("x" * size)
    expected = message if size <= limit else Broken(f"a content of {size} bytes is over the limit of {limit}")
    assert decoded([signal.frame + encode(message)], limit) == [signal, expected]


@pytest.mark.parametrize(
    ("signal", "content"),
    [
        (Signal.START, b"innmind/ipc:connection.start"),
        (Signal.START_OK, b"innmind/ipc:connection.start-ok"),
        (Signal.RECEIVED, b"innmind/ipc:message.received"),
        (Signal.HEARTBEAT, b"innmind/ipc:heartbeat"),
        (Signal.CLOSE, b"innmind/ipc:connection.close"),
        (Signal.CLOSE_OK, b"innmind/ipc:connection.close-ok"),
    ],
)
def test_each_signal_has_its_content_and_frame(signal: Signal, content: bytes) -> None:
    assert signal.content == content
    assert signal.frame == b"\x00\x0atext/plain" + len(content).to_bytes(4) + content + b"\xce"


def test_only_the_exact_type_and_content_make_a_signal() -> None:
    content = Signal.HEARTBEAT.content
    for message in (
        Message.octets(content),
        Message.text("innmind/ipc:connection.unknown"),
        Message.text(content.decode() + " "),
        Message.of("text/plain; charset=utf-8", content).unwrap(),
    ):
        assert decoded([encode(message)]) == [message]
        assert refusal(message, Limits()) == Nothing
        assert Encoder(Limits()).encode([message]) == [encode(message)]


@pytest.mark.parametrize("size", [7, 70])
def test_a_decoder_reads_media_types_that_are_too_long_to_cache(size: int) -> None:
    message = Message.of("text/plain; a=" + "b" * 500, b"x" * size).unwrap()
    assert decoded([encode(message)]) == [message]


@given(st.lists(messages()))
def test_an_encoder_writes_the_frames_of_messages_in_order(sent: list[Message]) -> None:
    encoder = Encoder(Limits())
    for _ in range(2):  # The first round fills the caches. They must not change the second.
        assert b"".join(encoder.encode(sent)) == b"".join(map(encode, sent))
    assert encoder.largest == max((len(message.content) for message in sent), default=0)


@pytest.mark.parametrize("size", [2**16, 2**16 + 1])
def test_an_encoder_neither_joins_nor_copies_large_contents(size: int) -> None:
    small, large = Message.text("small"), Message.octets(b"x" * size)
    pieces = Encoder(Limits()).encode([small, large])
    assert b"".join(pieces) == encode(small) + encode(large)
    assert any(piece is large.content for piece in pieces) == (size > 2**16)


def test_an_encoder_does_not_cache_a_long_media_type() -> None:
    encoder, long = Encoder(Limits()), Message.of("text/plain; a=" + "b" * 10_000, b"").unwrap()
    tracemalloc.start()
    encoder.encode([long])
    assert tracemalloc.get_traced_memory()[0] < 5_000
    tracemalloc.stop()


@given(st.lists(messages(), max_size=3), signals())
def test_an_encoder_refuses_all_messages_if_it_refuses_one(others: list[Message], signal: Signal) -> None:
    reserved, encoder = Message.text(signal.content.decode()), Encoder(Limits())
    with pytest.raises(RefusedError) as raised:
        encoder.encode([*others, reserved])
    assert raised.value.refusal == ReservedMessage(reserved)
    assert str(raised.value) == str(ReservedMessage(reserved))
    assert b"".join(encoder.encode(others)) == b"".join(map(encode, others))


@given(signals())
def test_a_message_equal_to_a_signal_is_refused(signal: Signal) -> None:
    message = Message.text(signal.content.decode())
    assert refusal(message, Limits()) == Some(ReservedMessage(message))


@pytest.mark.parametrize(
    "wrong",
    ["text", Message.text("a").content, Message(TEXT_PLAIN, "text"), Message(TEXT_PLAIN, bytearray(b"a")), Message("text/plain", b"a")],  # type: ignore[arg-type]  # The test needs wrong types.
)
def test_an_encoder_raises_for_an_object_that_is_not_a_message(wrong: Message) -> None:
    with pytest.raises(TypeError, match="Message"):
        Encoder(Limits()).encode([Message.text("right"), wrong])


@pytest.mark.parametrize(("size", "refused"), [(9, Nothing), (10, Nothing), (11, Some(MessageTooLarge(11, 10)))])
def test_a_message_over_the_limit_is_refused(size: int, refused: object) -> None:
    message = Message.octets(b"x" * size)
    assert refusal(message, Limits(message=10)) == refused
    if refused == Nothing:
        assert Encoder(Limits(message=10)).encode([message]) == [encode(message)]
    else:
        with pytest.raises(RefusedError, match=f"{size} bytes"):
            Encoder(Limits(message=10)).encode([message])


A_B = MediaType("a", "b")


def test_a_new_decoder_is_empty() -> None:
    decoder = Decoder(LIMIT)
    assert (decoder.buffered, decoder.fresh) == (0, False)


def test_a_decoder_tells_similar_frames_apart_wherever_the_stream_is_cut() -> None:
    alike = [Message(A_B, bytes([number]) * 40) for number in range(3)]
    stream = b"".join(map(encode, alike[1:]))
    for cut in range(len(stream) + 1):
        decoder, found = Decoder(LIMIT), list[Frame | Broken]()
        for chunk, left in (encode(alike[0]), 0), (stream[:cut], cut % len(encode(alike[0]))), (stream[cut:], 0):
            decoder.feed(chunk)
            found += decoder.frames(9)
            assert (decoder.buffered, decoder.fresh) == (left, False)
        assert found == alike


def test_a_frame_without_its_end_mark_is_broken_even_if_it_resembles_the_last_one() -> None:
    frame = encode(Message(A_B, b"x" * 40))
    assert decoded([frame, frame[:-1] + b"\x00"]) == [Message(A_B, b"x" * 40), Broken("a frame does not end in the end mark")]


@pytest.mark.parametrize(
    "sent",
    [
        # The lengths that a decoder would read at two wrong places: at the length of the media type, and one byte late.
        [Message(A_B, b"x" * (0x0003612F - 5))],
        [Message(A_B, b"x" * 40), Message(A_B, b"x" * 40), Message(A_B, b"x" * (0x0003612F - 50))],
        [Message(A_B, b"x" * 40), Message(A_B, b"\x05"), Message(A_B, b"x" * 251)],
    ],
)
def test_a_decoder_reads_the_length_of_a_content_at_its_place(sent: list[Message]) -> None:
    decoder = Decoder(2**20)
    decoder.feed(encode(sent[0]))
    found = decoder.frames(9)
    decoder.feed(b"".join(map(encode, sent[1:])))
    assert found + decoder.frames(9) == sent


def test_long_media_types_take_more_of_a_share_than_usual_frames() -> None:
    long = [Message(MediaType("a", "b", tuple((f"p{number}-{each}", "x") for each in range(60))), b"") for number in range(8)]
    decoder = Decoder(100)
    decoder.feed(b"".join(map(encode, [*long, *[Message.text("one")] * 40])))
    found, shares = list[object](), list[int]()
    while decoder.fresh:
        frames = decoder.frames(32)
        shares.append(len(frames))
        found += frames
    assert found == [*long, *[Message.text("one")] * 40]
    assert shares[:4] == [2, 2, 2, 2]
    assert shares[4:6] == [32, 8]


def test_a_decoder_reads_a_usual_media_type_again_after_a_long_one() -> None:
    usual, long = Message(A_B, b"usual"), Message.of("text/plain; a=" + "b" * 500, b"long").unwrap()
    assert decoded([b"".join(map(encode, [usual, long, usual]))]) == [usual, long, usual]
