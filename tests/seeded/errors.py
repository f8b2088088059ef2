"""Faults in what is raised, and in what is tried again."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec.structs import replace

from tako.errors import ProviderError, ServerError
from tako.kit.completions import CompletionsDecoder, translator_for
from tako.types import ChatResponse, Message

from .acme import Acme, Plugin

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator

    from tako import Chat, ChatRequest, Stream
    from tako.kit.exchange import Exchange
    from tako.types import Chunk


class ErrorEventIgnored(Plugin):
    caught_by, message = "error_events", "the class of an error event"

    def decoder(self, provider: Acme, exchange: Exchange) -> Any:
        class Deaf(CompletionsDecoder):
            def feed(self, data: bytes) -> Iterator[Chunk]:
                try:
                    yield from super().feed(data)
                except ProviderError as error:
                    if error.status_code is None:
                        raise

        return Deaf(provider, exchange, translator_for())


class UnheardError(ProviderError):
    """An error that a reply reports, and that its plugin doesn't raise."""


class ErrorInAReplyIgnored(Plugin):
    caught_by, message = "error_replies", "it passed for a success"

    class Deaf(Acme):
        def failure(self, *facts: Any, **options: Any) -> ProviderError:
            return UnheardError("an error")

    provider = Deaf

    def chat(self, inner: Chat, provider: Acme) -> Chat:
        async def chat(request: ChatRequest) -> ChatResponse:
            try:
                return await inner(request)
            except UnheardError:
                return ChatResponse(Message.assistant(""))

        return chat


class ErrorsOfOneClass(Plugin):
    caught_by, message = "error_classes", "the class of status 400"

    def chat(self, inner: Chat, provider: Acme) -> Chat:
        async def chat(request: ChatRequest) -> ChatResponse:
            try:
                return await inner(request)
            except ProviderError as error:
                raise ServerError(str(error), status_code=error.status_code) from error

        return chat


class BareErrors(Plugin):
    caught_by, message = "not_json", "a bare DecodeError came out"

    def chat(self, inner: Chat, provider: Acme) -> Chat:
        async def chat(request: ChatRequest) -> ChatResponse:
            try:
                return await inner(request)
            except ProviderError as error:
                if isinstance(error.__cause__, msgspec.DecodeError):
                    raise error.__cause__ from None
                raise

        return chat

    also = ("truncated_chat",)


class RetryAfterIgnored(Plugin):
    caught_by, message = "retry_after", ".retry_after of"

    def chat(self, inner: Chat, provider: Acme) -> Chat:
        async def chat(request: ChatRequest) -> ChatResponse:
            try:
                return await inner(request)
            except ProviderError as error:
                error.retry_after = None
                raise

        return chat


class RedirectFollowed(Plugin):
    caught_by, message = "redirects", "requests that followed a redirect"

    class Following(Acme):
        async def _loop_transport(self, body: Any) -> Any:
            transport = await super()._loop_transport(body)

            class Followed:
                async def send(self, request: Any) -> Any:
                    reply = await transport.send(request)
                    if 300 <= reply.status < 400:
                        await reply.aclose()
                        reply = await transport.send(replace(request, url=reply.headers["location"]))
                    return reply

            return Followed()

    provider = Following


class RetryAfterAChunk(Plugin):
    caught_by, message = "no_retry_after_a_chunk", "requests, where a reset came after"

    def stream(self, inner: Stream, provider: Acme) -> Stream:
        async def stream(request: ChatRequest) -> AsyncGenerator[Chunk, None]:
            try:
                async with aclosing(inner(request)) as chunks:
                    async for chunk in chunks:
                        yield chunk
            except ProviderError:
                async with aclosing(inner(request)) as chunks:
                    async for chunk in chunks:
                        yield chunk

        return stream


class RetryOfEverything(Plugin):
    caught_by, message = "no_retry", "requests after 400"
    also = ("error_classes",)

    def chat(self, inner: Chat, provider: Acme) -> Chat:
        async def chat(request: ChatRequest) -> ChatResponse:
            try:
                return await inner(request)
            except ProviderError as error:
                error.retryable = True
                raise

        return chat


class NoRetries(Plugin):
    caught_by, message = "retries", "and wasn't tried again"

    class Once(Acme):
        def __init__(self, model: str, **options: Any) -> None:
            super().__init__(model, **{**options, "max_retries": 0})

    provider = Once


class RetryAfterNotWaitedFor(Plugin):
    caught_by, message = "retry_after_is_kept", "Retry-After: "  # of half a second, of an hour, or both

    class Hasty(Acme):
        max_retries = 0

        def __init__(self, model: str, **options: Any) -> None:
            super().__init__(model, **options)
            self.tries, self.max_retries = self.max_retries, 0

    provider = Hasty

    def chat(self, inner: Chat, provider: Acme) -> Chat:
        async def chat(request: ChatRequest) -> ChatResponse:
            try:
                return await inner(request)
            except ProviderError as error:
                if not (error.retryable and provider.tries):  # type: ignore[attr-defined]  # Hasty has it
                    raise
                return await inner(request)

        return chat
