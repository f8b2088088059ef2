"""A provider that counts its calls."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tako import Capabilities, Provider, hookimpl

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from tako import Chat, ChatRequest, ChatResponse, Stream
    from tako.types import Chunk


class Acme(Provider):
    """Answers with a response or chunks; exceptions are raised."""

    name = "acme"
    max_retries = 0

    def __init__(self, model: str = "acme-1", *, response: Any = None, chunks: Any = (), **settings: Any) -> None:
        super().__init__(model)
        self.settings = settings
        self._answers = Answers(response, chunks)

    @property
    def calls(self) -> int:
        return self._answers.calls


class Answers:
    """The answers and the count, which aren't part of the provider's identity."""

    def __init__(self, response: Any, chunks: Any) -> None:
        self.response = response
        self.chunks = chunks
        self.calls = 0


@hookimpl
def tako_capabilities() -> Capabilities:
    return Capabilities()


@hookimpl
def tako_chat(provider: Acme) -> Chat:
    async def chat(request: ChatRequest) -> ChatResponse:
        provider._answers.calls += 1
        if isinstance(provider._answers.response, Exception):
            raise provider._answers.response
        return provider._answers.response

    return chat


@hookimpl
def tako_stream(provider: Acme) -> Stream:
    async def stream(request: ChatRequest) -> AsyncGenerator[Chunk, None]:
        provider._answers.calls += 1
        for chunk in provider._answers.chunks:
            if isinstance(chunk, Exception):
                raise chunk
            yield chunk

    return stream


@pytest.fixture
def acme() -> type[Acme]:
    return Acme
