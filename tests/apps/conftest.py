"""Vendors that say what a test scripts, each over its own wire; and every provider by the name of its vendor."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

import tako
from tako.testing.dialects import DIALECTS

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from tako import ChatRequest, Provider
    from tako.testing.server import Server

WIRES = {
    "openai": "completions",
    "azure-openai": "completions",
    "mistral": "completions",
    "anthropic": "messages",
    "bedrock": "converse",
    "vertex": "gemini",
    "ollama": "ollama",
    "responses": "responses",
}
"""Providers and the dialects that they speak; "responses" is OpenAI at its newer API."""


@pytest.fixture
def scripted(at: Callable[..., Provider]) -> Callable[..., Any]:
    """Return what runs a vendor that gives these answers in turn: a context manager of its provider and its server."""

    @contextmanager
    def run(name: str, *answers: Any, **options: Any) -> Generator[tuple[Provider, Server]]:
        own = {"api": "responses"} if name == "responses" else {}
        with DIALECTS[WIRES[name]].serve(*answers) as server:
            yield at("openai" if name == "responses" else name, server.url, max_retries=0, **own, **options), server

    return run


@pytest.fixture
def saying() -> Callable[..., tuple[Provider, list[ChatRequest]]]:
    """Return a maker of providers that give these answers in turn, with the list of requests that reached them."""

    def make(*answers: Any, **options: Any) -> tuple[Provider, list[ChatRequest]]:
        seen: list[ChatRequest] = []
        left = list(answers)

        def chat(request: ChatRequest) -> Any:
            seen.append(request)
            answer = left.pop(0) if len(left) > 1 else left[0]
            return answer(request) if callable(answer) else answer

        def stream(request: ChatRequest) -> Iterator[Any]:
            answer = chat(request)
            yield from answer if isinstance(answer, str) else tako.fold.chunks_of(answer)

        return tako.providers.PythonProvider("p", chat, stream=stream, **options), seen

    return make
