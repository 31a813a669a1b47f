"""What only tests of the core want beside `ipcfold.testing`: frames as values."""

from hypothesis import strategies as st

from ipcfold.core.wire import Frame, Signal, encode
from ipcfold.testing import messages


def signals() -> st.SearchStrategy[Signal]:
    return st.sampled_from(Signal)


def frames() -> st.SearchStrategy[Frame]:
    return signals() | messages()


def encoded(frame: Frame) -> bytes:
    return frame.frame if isinstance(frame, Signal) else encode(frame)
