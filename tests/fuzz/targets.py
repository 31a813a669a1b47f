"""The targets by name: functions of any bytes, which fail where something that must hold does not."""

from collections.abc import Callable
from typing import Final

from tests.fuzz.calling import calling
from tests.fuzz.decoding import decoding
from tests.fuzz.hosting import hosting

TARGETS: Final[dict[str, Callable[[bytes], None]]] = {
    "decoding": decoding,
    "calling": calling,
    "hosting": hosting,
}
