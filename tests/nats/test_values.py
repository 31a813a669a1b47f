"""The values of the shells over NATS: configuration, shards, and the texts of errors."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipcfold import Name
from ipcfold.nats import NATS, BrokerUnreachable, shard_of, shards


@given(st.text() | st.binary(), st.integers(1, 50))
def test_a_key_moves_only_to_the_shard_that_is_new(key: str | bytes, n: int) -> None:
    before, after = shard_of(key, n), shard_of(key, n + 1)
    assert 0 <= before < n
    assert after in {before, n}


def test_keys_are_spread_over_all_shards() -> None:
    counts = Counter(shard_of(str(key), 8) for key in range(8000))
    assert len(counts) == 8
    assert all(800 < count < 1200 for count in counts.values())


def test_the_shard_of_a_key_never_changes() -> None:
    assert [shard_of(key, 8) for key in ("", "ann", "bob", "ünï", b"\0")] == [5, 4, 7, 3, 0]


def test_there_is_at_least_one_shard() -> None:
    with pytest.raises(ValueError, match="at least one"):
        shards(Name("a"), 0)
    with pytest.raises(ValueError, match="at least one"):
        shard_of("a", 0)


def test_brokers_are_given_as_a_text_or_as_several() -> None:
    assert NATS("nats://a, nats://b").servers == NATS(["nats://a", "nats://b"]).servers == ("nats://a", "nats://b")
    assert NATS("nats://user:secret@a").address.place == "nats://a"
    assert "secret" not in repr(NATS("nats://a", user="ann", password="secret"))  # noqa: S106 - of a test
    wrong: str | list[str]
    for wrong in ("", [], "nats://a,"):
        with pytest.raises(ValueError, match="address"):
            NATS(wrong)
    for options in ({"inbox": "inbox"}, {"replicas": 6}, {"absent": 0.0}):
        with pytest.raises(ValueError, match="must"):
            NATS("nats://a", **options)


def test_an_error_says_what_to_do_next() -> None:
    assert str(BrokerUnreachable("nats://a", "refused")).endswith("check the addresses and the network")
