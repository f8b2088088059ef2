"""What a server tells of a model."""

from __future__ import annotations

import asyncio

import pytest
from tako_ollama import Ollama

import tako
from tako.errors import NotFoundError, ResponseError
from tako.testing.server import reply, serve

SHOWN = {
    "capabilities": ["completion", "tools"],
    "model_info": {"general.architecture": "llama", "llama.context_length": 131072},
    "parameters": 'stop                           "<|eot|>"\ntemperature                    0.7',
}


def discover(answer, **options):
    async def main(url):
        async with Ollama("m", base_url=url, **options) as provider:
            return await provider.discover(), provider

    with serve(reply(json=answer)) as server:
        found, provider = asyncio.run(main(server.url))
    assert [(request.path, request.json) for request in server.requests] == [("/api/show", {"model": "m"})]
    return found, provider


def test_capabilities_are_asked_for_and_remembered() -> None:
    assert Ollama("m").capabilities.max_context_tokens is None
    found, provider = discover(SHOWN)
    assert (found.supports_tools, found.supports_vision, found.max_context_tokens) == (True, False, 131072)
    assert found.origins["max_context_tokens"] == "Ollama's /api/show"
    assert provider.capabilities == found


def test_the_context_that_is_set_counts_before_the_one_that_was_trained() -> None:
    in_file = {**SHOWN, "parameters": "num_ctx                        8192"}
    assert discover(in_file)[0].max_context_tokens == 8192
    assert discover(in_file, options={"num_ctx": 2048})[0].max_context_tokens == 2048


def test_an_old_server_that_tells_less_leaves_the_rest_as_it_was() -> None:
    found, _ = discover({"model_info": None})
    assert (found.supports_tools, found.max_context_tokens) == (True, None)


def test_given_capabilities_stay() -> None:
    given = tako.Capabilities(max_context_tokens=5)
    assert discover(SHOWN, capabilities=given)[0] is given


def test_a_model_that_is_not_there_or_a_reply_that_is_none_is_an_error() -> None:
    with serve(reply(json={"error": "not found"}, status=404), reply(json={"capabilities": "all"})) as server:
        provider = Ollama("m", base_url=server.url)
        with pytest.raises(NotFoundError, match=r"^ollama:m: 404: not found; `ollama pull m`"):
            asyncio.run(provider.discover())
        with pytest.raises(ResponseError):
            asyncio.run(provider.discover())
