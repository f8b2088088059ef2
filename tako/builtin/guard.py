"""Pre-flight: what the model can do decides how it is asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tako.errors import UnsupportedError
from tako.fold import chunks_of
from tako.hooks import hookimpl

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from tako.hookspecs import Around, Stream
    from tako.provider import Provider
    from tako.types import ChatRequest, Chunk


@hookimpl(wrapper=True)
def tako_stream(provider: Provider) -> Around[Stream]:
    """Where the model cannot stream, or nobody implements it, answer by one call of ``chat``."""
    inner = yield
    if inner is not None and (not callable(inner) or provider.capabilities.supports_streaming):
        return inner

    async def stream(request: ChatRequest) -> AsyncGenerator[Chunk, None]:
        if request.strict:
            raise UnsupportedError(f"{provider.id} cannot stream, and the request is strict")
        for chunk in chunks_of(await provider.chat(request)):
            yield chunk

    return stream
