"""Makes frozen values fast, for each message of the common path in Python.

A frozen class refuses assignments, so its `__init__` calls the descriptor of each slot, which takes most of its time. A
draft is of a subclass that takes assignments. It becomes the frozen value when its `__class__` is set to the frozen class,
and nobody sees it before that. The classes have the same slots, so Python permits this.
"""

from __future__ import annotations

from typing import Any

__all__ = ["draft_of"]


def draft_of(frozen: type) -> Any:  # Any: type checkers refuse the assignments that a draft is made for
    """The class of drafts of this frozen class with slots."""
    # With both methods of `object` for attributes, the interpreter sets the slots itself, without a call of either.
    own = {"__slots__": (), "__init__": object.__init__, "__setattr__": object.__setattr__, "__delattr__": object.__delattr__}
    return type(frozen)("Draft", (frozen,), own)
