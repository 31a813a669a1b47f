"""`--trust`: in directories that are open to others, and with peers of other users."""

import os
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipcfold import Peer
from ipcfold.cli.status import Status
from ipcfold.cli.trust import trusting
from tests.cli.support import echoing, fails, ipcfold

OTHERS = st.integers(1, 2**32 - 2).filter(lambda user: user != os.geteuid())


@given(users=st.sets(OTHERS, min_size=1), other=OTHERS)
def test_the_users_that_are_named_are_trusted_with_this_one_and_root(users: set[int], other: int) -> None:
    trust = trusting(",".join(map(str, users))).unwrap()
    assert all(trust(Peer(uid=user)) for user in users | {0, os.geteuid()})
    assert trust(Peer(uid=other)) == (other in users)
    assert trusting("any").unwrap()(Peer(uid=other))
    assert not trusting("same-user").unwrap()(Peer(uid=other))


def test_trust_takes_names_of_users() -> None:
    assert trusting("root, 33").unwrap()(Peer(uid=33))


@pytest.mark.parametrize(
    "text", ["", ",", "33,", "-1", "4294967295", "9" * 10_000, "\u0663", "no such user", "a\0b", "\ud800", "same-user,any"]
)
def test_a_text_that_names_no_user_is_an_error(text: str) -> None:
    assert "write same-user, any, or users" in str(trusting(text).failure())


def test_the_command_uses_a_directory_that_others_may_read_only_with_trust(directory: Path) -> None:
    directory.chmod(0o755)
    fails(directory, "list", status=Status.DIRECTORY, says="say with --trust")
    with_trust = ("--trust", "any")
    fails(directory, "listen", "none", "tests.cli.handlers:echo", status=Status.DIRECTORY)
    directory.chmod(0o700)
    with echoing(directory, *with_trust):
        directory.chmod(0o755)
        assert stat.S_IMODE((directory / "echo.sock").stat().st_mode) == 0o666
        for words in (
            ("list",),
            ("ask", "echo", "x"),
            ("send", "echo", "x"),
            ("ping", "echo", "--count", "1"),
            ("bench", "echo", "--count", "1"),
        ):
            assert ipcfold(directory, *words).returncode == Status.DIRECTORY
            for given_trust in (with_trust, ("--trust", str(os.geteuid()))):
                assert ipcfold(directory, *words, *given_trust).returncode == 0
            assert ipcfold(directory, *with_trust, *words).returncode == 0
