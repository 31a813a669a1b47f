"""Names of other sockets, whatever bytes they have, change nothing of what is known about a server."""

import os
import socket
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from returns.maybe import Some

from ipcfold import IPC
from ipcfold.local.connections import accepted, file_of
from ipcfold.local.discovery import listeners
from tests.shells.support import NAME
from tests.shells.wire import listening, many_clients

LONGEST = 107
LINE = b"0000000000000000: 00000003 00000000 00000000 0001 03 12345 "  # as /proc/net/unix has it for a connection
LISTENS = LINE.replace(b"00000000 0001 03", b"00010000 0001 01")
PIECES = st.sampled_from([b"\n", b" ", b"\r", b"\x0b", b"\xff", b"@", b"a", LINE[-20:], b"0001 03 7 ", b"zz zz zz zz zz zz zz zz"])


def bound(address: bytes) -> socket.socket:
    stream = socket.socket(socket.AF_UNIX)
    stream.bind(address)
    stream.listen()
    return stream


@pytest.mark.usefixtures("client")
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(pieces=st.lists(PIECES, max_size=8))
def test_no_name_of_another_socket_changes_the_count(directory: Path, pieces: list[bytes]) -> None:
    path = os.fsencode(directory / f"{NAME}.sock")
    hostile = b"".join(pieces)
    file = (os.fsencode(directory) + b"/hostile" + hostile)[:LONGEST]
    with bound(file), bound((b"\0" + hostile)[: LONGEST + 1]):
        assert listeners(IPC(directory)).unwrap()[0].connections == Some(1)
    os.unlink(file)
    for line in (LINE, LISTENS):
        with bound((b"\0\n" + line + path)[: LONGEST + 1]):  # the table then has a line that looks like a connection
            assert listeners(IPC(directory)).unwrap()[0].connections == Some(1)


def test_a_relative_or_renamed_path_is_known_by_its_file(directory: Path) -> None:
    with listening(directory) as listener, socket.socket(socket.AF_UNIX) as client:
        path = directory / f"{NAME}.sock"
        path.rename(directory / "renamed.sock")
        client.connect(str(directory / "renamed.sock"))
        with listener.accept()[0]:
            assert accepted()[file_of(os.lstat(directory / "renamed.sock"))] == 1
        assert accepted()[file_of(os.lstat(directory / "renamed.sock"))] == 0
    assert file_of(os.lstat(directory / "renamed.sock")) not in accepted()


@pytest.mark.usefixtures("server")
def test_all_connections_are_counted_where_one_datagram_cannot_describe_them(directory: Path) -> None:
    with many_clients(directory, 600):
        assert listeners(IPC(directory)).unwrap()[0].connections == Some(600)
