"""Whether a call is made from within the provider's own code: then it's the same request, which has its wrappers.

A provider may make its chat of ``provider.stream``, or the other way round. What has gone around the outer call then
doesn't go around the inner one: retries don't multiply, and no plugin sees one request twice.
"""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Literal

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Generator

Way = Literal["chat", "stream", "alone"]
"""How the outer call was made; "alone" is a chat that stands in for a stream, without any wrapper of chat."""


class Inside(Struct):
    """The provider whose own code runs. None once that is done: a task that lives on makes calls of its own."""

    provider: Any
    way: Way


INSIDE: ContextVar[Inside | None] = ContextVar("inside", default=None)


@contextmanager
def entering(provider: Any, way: Way) -> Generator[None]:
    """Run a provider's own code. Never spans a ``yield`` of chunks, which would let whoever reads them see it."""
    outer, here = INSIDE.get(), Inside(provider, way)
    INSIDE.set(here)
    try:
        yield
    finally:
        here.provider = None
        INSIDE.set(outer)  # set rather than reset, since a coroutine may be closed in another context


def inside(provider: Any) -> Inside | None:
    """Return how the provider's own code was entered, None if this isn't called from there."""
    found = INSIDE.get()
    return found if found is not None and found.provider is provider else None
