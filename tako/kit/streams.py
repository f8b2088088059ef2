"""For providers whose wire only streams: chat, made from the stream."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING

from tako.errors import ProviderTimeoutError, StreamTruncatedError
from tako.fold import fold

if TYPE_CHECKING:
    from tako.hookspecs import Chat, Stream
    from tako.provider import Provider
    from tako.types import ChatRequest, ChatResponse, Chunk


def chat_from_stream(provider: Provider, stream: Stream) -> Chat:
    """Make a chat function that reads a stream of the provider to its end and puts it together.

    ``stream`` is the provider's own function, without anything around it: what goes around chat does so once, and what
    goes around streams doesn't. ::

        @hookimpl
        def tako_chat(provider, translator):
            return chat_from_stream(provider, tako_stream(provider, translator))
    """

    async def chat(request: ChatRequest) -> ChatResponse:
        model = request.model or provider.model
        chunks_so_far: list[Chunk] = []
        try:
            async with aclosing(stream(request)) as chunks:
                async for chunk in chunks:
                    chunks_so_far.append(chunk)  # noqa: PERF401 - what has come is kept if the rest doesn't
        except (StreamTruncatedError, ProviderTimeoutError) as error:
            error.partial = error.partial or fold(chunks_so_far, model=model)
            raise
        response = fold(chunks_so_far, model=model)
        if not chunks_so_far or chunks_so_far[-1].kind != "end":
            raise StreamTruncatedError("the stream ended before the vendor said so", partial=response)
        return response

    return chat
