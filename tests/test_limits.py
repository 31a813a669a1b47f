"""Every limit is finite, by default and by force."""

from math import inf, nan

import attrs
import pytest

from ipcfold import IPC, Limits


def test_every_limit_is_finite_by_default() -> None:
    assert all(0 < value < inf for value in attrs.asdict(Limits()).values())


@pytest.mark.parametrize("name", [field.name for field in attrs.fields(Limits)])
@pytest.mark.parametrize("value", [0, -1, inf, nan])
def test_no_limit_can_be_turned_off(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=name):
        Limits(**{name: value})  # type: ignore[arg-type]  # what this test is about


def test_a_message_fits_in_the_length_that_the_wire_has() -> None:
    assert Limits(message=2**32 - 1).message == 2**32 - 1
    with pytest.raises(ValueError, match="message"):
        Limits(message=2**32)


@pytest.mark.parametrize("heartbeat", [0, -1.0, nan])
def test_a_heartbeat_has_a_period(heartbeat: float) -> None:
    with pytest.raises(ValueError, match="heartbeat"):
        IPC(heartbeat=heartbeat)
