"""A model's capabilities from the server."""

from __future__ import annotations

import asyncio

import pytest
from tako_ollama import Ollama

import tako
from tako.errors import NotFoundError, ResponseError
from tako.testing.server import reply, serve

SHOW_REPLY = {
    "capabilities": ["completion", "tools"],
    "model_info": {"general.architecture": "llama", "llama.context_length": 131072},
    "parameters": 'stop                           "<|eot|>"\ntemperature                    0.7',
}


def discover(answer, **options):
    async def main(url):
        async with Ollama("m", base_url=url, **options) as provider:
            return await provider.discover(), provider

    with serve(reply(json=answer)) as server:
        capabilities, provider = asyncio.run(main(server.url))
    assert [(request.path, request.json) for request in server.requests] == [("/api/show", {"model": "m"})]
    return capabilities, provider


def test_capabilities_are_fetched_and_kept() -> None:
    assert Ollama("m").capabilities.max_context_tokens is None
    capabilities, provider = discover(SHOW_REPLY)
    assert (capabilities.supports_tools, capabilities.supports_vision, capabilities.max_context_tokens) == (
        True,
        False,
        131072,
    )
    assert capabilities.origins["max_context_tokens"] == "Ollama's /api/show"
    assert provider.capabilities == capabilities


def test_a_configured_context_overrides_the_trained_one() -> None:
    in_file = {**SHOW_REPLY, "parameters": "num_ctx                        8192"}
    assert discover(in_file)[0].max_context_tokens == 8192
    assert discover(in_file, options={"num_ctx": 2048})[0].max_context_tokens == 2048


def test_an_old_server_that_sends_less_leaves_the_other_capabilities() -> None:
    capabilities, _ = discover({"model_info": None})
    assert (capabilities.supports_tools, capabilities.max_context_tokens) == (True, None)


def test_declared_capabilities_stay() -> None:
    declared = tako.Capabilities(max_context_tokens=5)
    assert discover(SHOW_REPLY, capabilities=declared)[0] is declared


def test_a_missing_model_and_an_invalid_reply_are_errors() -> None:
    with serve(reply(json={"error": "not capabilities"}, status=404), reply(json={"capabilities": "all"})) as server:
        provider = Ollama("m", base_url=server.url)
        with pytest.raises(NotFoundError, match=r"^ollama:m: 404: not capabilities; `ollama pull m`"):
            asyncio.run(provider.discover())
        with pytest.raises(ResponseError):
            asyncio.run(provider.discover())
