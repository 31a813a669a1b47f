"""The targets by name: functions of any bytes, which fail where something that must hold does not."""

from collections.abc import Callable
from typing import Final

from tests.fuzz.calling import calling
from tests.fuzz.decoding import decoding
from tests.fuzz.hosting import hosting
from tests.fuzz.serving import serving

TARGETS: Final[dict[str, Callable[[bytes], None]]] = {
    "decoding": decoding,
    "serving": serving,
    "calling": calling,
    "hosting": hosting,
}
