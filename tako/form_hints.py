"""Hints for code that takes the async form for the blocking one, or the other way round.

Python's own message for a forgotten ``async``, "does not support the context manager protocol", says too little.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from collections.abc import Callable


def wrong_form(advice: str) -> Callable[..., NoReturn]:
    """Return a method for ``__enter__``, ``__iter__`` and their like that raises a TypeError with advice.

    Define it ``if not TYPE_CHECKING``, so that type checkers still say that the object has no such method.
    """

    def method(self: object, *_: Any) -> NoReturn:
        raise TypeError(f"{type(self).__name__}: {advice}")

    return method
