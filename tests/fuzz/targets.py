"""The targets by name. A target is a function of any bytes, which fails where a rule does not hold."""

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
