"""Typed messages: both ends use values of attrs classes, and cattrs converts them to contents and back.

This package needs the extra `codec`: `pip install ipcfold[codec]`.
"""

from ipcfold.extras import needs

needs("cattrs", "codec")

from ipcfold.codec.coding import Codec, Undecodable, Unencodable
from ipcfold.codec.given import Format
from ipcfold.codec.handling import TypedAsyncHandler, TypedContinuation, TypedHandler, typed, typed_async, typed_left, typed_woken
from ipcfold.codec.verbs import ask, send, wait

__all__ = [
    "Codec",
    "Format",
    "TypedAsyncHandler",
    "TypedContinuation",
    "TypedHandler",
    "Undecodable",
    "Unencodable",
    "ask",
    "send",
    "typed",
    "typed_async",
    "typed_left",
    "typed_woken",
    "wait",
]
