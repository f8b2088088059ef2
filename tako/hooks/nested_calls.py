"""Nested calls: a provider's own code calls the same provider, such as a chat that uses ``provider.stream``.

That's still one request. The plugins around the outer call aren't put around the nested one: retries don't multiply,
and no plugin sees a request twice.
"""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Literal

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Generator

Method = Literal["chat", "stream", "chat_only"]
"""The method of the outer call. "chat_only" is a chat in place of a stream, without any wrapper of chat."""


class ActiveCall(Struct):
    """The provider whose own code runs, None once it has finished. A task that outlives it makes calls of its own."""

    provider: Any
    method: Method


ACTIVE_CALL: ContextVar[ActiveCall | None] = ContextVar("active_call", default=None)


@contextmanager
def enter(provider: Any, method: Method) -> Generator[None]:
    """Run a provider's own code. It mustn't contain a ``yield`` of chunks: the code that reads them would see it."""
    outer, call = ACTIVE_CALL.get(), ActiveCall(provider, method)
    ACTIVE_CALL.set(call)
    try:
        yield
    finally:
        call.provider = None
        ACTIVE_CALL.set(outer)  # set rather than reset, since a coroutine may be closed in another context


def outer_call(provider: Any) -> ActiveCall | None:
    """Return the call whose own code calls this provider, None if it isn't a nested call."""
    call = ACTIVE_CALL.get()
    return call if call is not None and call.provider is provider else None
