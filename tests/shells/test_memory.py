"""The memory of large contents is used again, and no holder of a content ever notices."""

import ctypes
import os
import platform
import resource
import threading
import weakref
from io import BytesIO
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from returns.result import Success

from ipcfold import IPC, Continuation, Message
from ipcfold.core.buffers import fresh
from ipcfold.core.wire import Decoder, encode
from ipcfold.local import memory  # its values themselves would be copied into a child
from ipcfold.local.memory import KEPT, Kept
from tests.shells.children import Channel, Child
from tests.shells.support import NAME, PATIENCE

SIZE = 2**24
M_ARENA_MAX = -8  # of <malloc.h>
Held = tuple[bytes, ...]
NOTHING: Held = ()
counted = pytest.mark.skipif(KEPT is fresh, reason="this Python does not count references exactly")


def received(decoder: Decoder, content: bytes, parts: int) -> bytes:
    """The content that the decoder gives, after it was read into the room in so many parts."""
    stream = memoryview(encode(Message.octets(content)))
    part, found = len(stream) // parts, list[object]()
    while stream:
        room = decoder.room()
        if room is None:
            count = 2**14
            decoder.feed(bytes(stream[:count]))
        else:
            count = min(part, len(room), len(stream))
            room[:count] = stream[:count]
            decoder.filled(count)
        stream = stream[count:]
        found += decoder.frames(1)
    (message,) = found
    assert isinstance(message, Message)
    return message.content


SIZES = st.integers(2**14, 2**17) | st.sampled_from([2**15, 2**16])
HOLDINGS = st.sampled_from(["content", "view", "part", "nothing"])


@given(st.lists(st.tuples(SIZES, HOLDINGS, st.integers(1, 4), st.booleans(), st.booleans()), max_size=12), st.integers(0, 2**32))
def test_no_content_changes_while_anybody_holds_it(steps: list[tuple[int, str, int, bool, bool]], seed: int) -> None:
    random = Random(seed)  # noqa: S311 - Hypothesis cannot draw so many bytes
    kept = Kept(smallest=1)
    decoders = Decoder(2**18, memory=kept), Decoder(2**18, memory=kept)
    held = list[tuple[bytes | memoryview, bytes, int]]()
    for size, holding, parts, second, drop in steps:
        if drop and held:
            held.pop(random.randrange(len(held)))
        sent = random.randbytes(size)
        came = received(decoders[second], sent, parts)
        assert came == sent
        assert hash(came) == hash(sent), "a hash of an earlier content"
        if holding == "content":
            held.append((came, sent, hash(sent)))
        elif holding == "view":
            held.append((memoryview(came)[5:], sent[5:], hash(sent[5:])))
        elif holding == "part":
            held.append((came[7:], sent[7:], hash(sent[7:])))
        del came
    for holder, sent, number in held:
        assert holder == sent
        assert hash(holder) == number


@given(st.lists(st.tuples(SIZES, st.binary(min_size=1, max_size=1)), min_size=2, max_size=5))
def test_memory_has_the_wanted_size_and_starts_at_its_beginning(steps: list[tuple[int, bytes]]) -> None:
    kept = Kept(smallest=1)
    for size, byte in steps:
        large = kept(size)
        assert large.tell() == 0
        assert large.write(byte * size) == size
        assert large.getvalue() == byte * size
        del large


@counted
def test_memory_is_used_again_once_nobody_holds_the_content() -> None:
    kept = Kept()
    first = weakref.ref(kept(SIZE))
    content = handed_over(first)
    second = kept(SIZE)
    assert second is not first(), "its content is held"
    third = kept(SIZE)
    assert third is not second, "the memory itself is held, as while a content arrives"
    assert third is not first()
    del content, third
    assert kept(SIZE) is not second


@counted
def test_two_contents_alternate_where_the_last_one_is_held_while_the_next_arrives() -> None:
    kept, used, last = Kept(), set[int](), b""
    for _ in range(6):
        large = weakref.ref(kept(SIZE))
        used.add(id(large()))
        last = handed_over(large)
    assert len(used) == 2
    assert len(last) == SIZE


def handed_over(large: weakref.ref[BytesIO]) -> bytes:
    """The content of the memory, which nothing else refers to afterwards but who keeps it."""
    alive = large()
    assert alive is not None
    return alive.getvalue()


@counted
def test_memory_of_another_size_is_kept_for_contents_of_its_own_size() -> None:
    kept = Kept()
    large = weakref.ref(kept(2 * SIZE))
    small = weakref.ref(kept(SIZE))
    assert kept(2 * SIZE) is large()
    assert kept(SIZE + 5) is small()


@pytest.mark.parametrize("size", [2**24 - 1, 2**26 + 2])
def test_smaller_and_larger_memory_is_not_kept(size: int) -> None:
    large = weakref.ref(Kept()(size))
    assert large() is None


@counted
def test_idle_memory_is_given_back() -> None:
    def work(_: Channel) -> object:
        large = weakref.ref(memory.KEPT(SIZE))
        alive = large() is not None
        setattr(memory, "_IDLE", 0.0)  # noqa: B010 - mypy refuses the assignment to a constant
        while large() is not None:
            pass  # the other thread runs meanwhile
        return alive

    with Child(work) as child:
        assert child.result() == "True"


@counted
def test_memory_is_kept_no_longer_than_the_program() -> None:
    """The end of the program does not wait for the memory to be idle."""

    def work(_: Channel) -> object:
        setattr(memory, "_IDLE", float("inf"))  # noqa: B010 - mypy refuses the assignment to a constant
        memory.KEPT(SIZE)
        return "ends"

    with Child(work) as child:
        assert child.result() == "ends"


@counted
def test_a_forked_child_keeps_nothing_of_its_parent_and_keeps_its_own() -> None:
    def work(_: Channel) -> object:
        parent = weakref.ref(memory.KEPT(SIZE))
        if (pid := os.fork()) == 0:
            inherited = parent()
            own = weakref.ref(memory.KEPT(SIZE))
            kept = own() is not None
            setattr(memory, "_IDLE", 0.0)  # noqa: B010 - as above
            while own() is not None:
                pass  # the child has a thread of its own, which runs meanwhile
            os._exit(0 if inherited is None and kept else 1)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), parent() is not None

    with Child(work) as child:
        assert child.result() == "(0, True)"


@counted
def test_memory_is_not_kept_where_no_thread_can_be_started() -> None:
    def work(_: Channel) -> object:
        threading.stack_size(2**47)  # more than there is: no thread can start from now on
        large = weakref.ref(memory.KEPT(SIZE))
        return large() is None

    with Child(work) as child:
        assert child.result() == "True"


@counted
@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the address space is counted as glibc uses it")
def test_kept_memory_is_given_back_where_memory_is_missing() -> None:
    def work(_: Channel) -> object:
        ctypes.CDLL(None).mallopt(M_ARENA_MAX, 1)  # or the first allocation of the thread reserves twice 64 MiB of addresses, at any moment
        kept = [weakref.ref(memory.KEPT(2**26)) for _ in range(2)]
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + SIZE // 2, resource.RLIM_INFINITY))
        large = memory.KEPT(SIZE)
        return [each() is None for each in kept], len(large.getbuffer()) == SIZE

    with Child(work) as child:
        assert child.result() == "([True, True], True)"


@counted
def test_contents_that_a_client_and_a_server_hold_never_change(directory: Path) -> None:
    """Over real sockets. The carry of the server holds what it received, and the client holds some of the responses."""
    with Child(lambda _: echoes(directory)) as client:
        assert IPC(directory).listen(NAME)(NOTHING, keep) == Success((b"0", b"1", b"2", b"3", b"4"))
        assert client.result() == "(True, True)"


def keep(message: Message, continuation: Continuation[Held], carry: Held) -> Continuation[Held]:
    """Respond with each content, and carry every second one; stop at the fifth, and carry the first bytes."""
    carry = (*carry, message.content if len(carry) % 2 else message.content[:1])
    if len(carry) == 5:
        return continuation.respond(carry, message).stop(tuple(content[:1] for content in carry if content == content[:1] * len(content)))
    return continuation.respond(carry, message)


def echoes(directory: Path) -> tuple[bool, bool]:
    """Whether the contents that came back are right while they are held, and whether any memory was used again."""
    used, held = set[int](), list[bytes]()
    with IPC(directory).wait(NAME, PATIENCE).unwrap() as process:
        for number in range(5):
            content = process.ask(Message.octets(str(number).encode() * SIZE)).unwrap().content
            used.add(id(content))
            if number == 1:
                held.append(content)
            del content
    return held == [b"1" * SIZE], len(used) < 5
