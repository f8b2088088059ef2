"""tako-openai and tako-anthropic against a real server: llama.cpp's, which speaks three wires, with a small model."""

from __future__ import annotations

import asyncio
from importlib import import_module
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from tako import ChatRequest, FinishReason, JsonSchema, Message, Provider, get_provider
from tako.errors import AuthenticationError

if TYPE_CHECKING:
    from collections.abc import Iterator

KEY = "real-server-key"
QUESTION = [Message.system("Be brief."), Message.user("What is the capital of France?")]
CITY = JsonSchema(
    "city",
    {
        "type": "object",
        "properties": {"name": {"enum": ["London", "Paris"], "type": "string"}, "big": {"type": "boolean"}},
        "required": ["name", "big"],
        "additionalProperties": False,
    },
)


@pytest.fixture(scope="module")
def address(llamacpp: None) -> Iterator[str]:
    """Run the server, on a port of its own choosing, for as long as this module's tests run."""
    xllamacpp: Any = import_module("xllamacpp")
    embedded: Any = import_module("tako_llamacpp.embedded")
    path = embedded.find_embedded()
    assert path is not None, embedded.MISSING
    params = xllamacpp.CommonParams()
    params.model.path = str(path)
    params.model_alias = {"smollm2"}
    params.n_ctx = 2048
    params.n_parallel = 1
    params.cpuparams.n_threads = 1
    params.cpuparams_batch.n_threads = 1
    params.verbosity = 0
    params.warmup = False
    params.cache_ram_mib = 0
    params.ui = False
    params.n_threads_http = 2
    params.api_keys = [KEY]
    server = xllamacpp.Server(params)
    yield server.listening_address
    del server


@pytest.fixture(params=["openai", "openai responses", "anthropic"])
def provider(request: pytest.FixtureRequest, address: str) -> Provider:
    name, _, api = request.param.partition(" ")
    suffix, options = ("/v1", {"api": api or "chat"}) if name == "openai" else ("", {})
    return get_provider(f"{name}:smollm2", api_key=KEY, base_url=address + suffix, **options)


def test_a_chat(provider: Provider) -> None:
    response = provider.blocking.chat(ChatRequest(QUESTION, max_tokens=24, temperature=0))
    assert "Paris" in response.text
    assert response.finish_reason is FinishReason.STOP
    assert response.usage.input_tokens > 10
    assert 0 < response.usage.output_tokens <= 24
    assert response.id
    assert response.model
    assert response.notices == []


def test_a_stream(provider: Provider) -> None:
    async def main() -> None:
        async with provider, provider.stream(ChatRequest(QUESTION, max_tokens=24, temperature=0)) as stream:
            pieces = [piece async for piece in stream.text]
            response = await stream.response()
        assert "Paris" in response.text
        assert "".join(pieces) == response.text
        assert len(pieces) > 2, "it came piece by piece"
        assert response.finish_reason is FinishReason.STOP
        assert response.usage.input_tokens > 10
        assert 0 < response.usage.output_tokens <= 24

    asyncio.run(main())


@pytest.mark.parametrize("provider", ["openai", "anthropic"], indirect=True)  # its Responses API says "completed"
def test_a_limit_ends_a_reply(provider: Provider) -> None:
    response = provider.blocking.chat(ChatRequest(QUESTION, max_tokens=2, temperature=0))
    assert response.finish_reason is FinishReason.LENGTH


def test_a_schema_is_satisfied(address: str) -> None:
    blocking = get_provider("openai:smollm2", api_key=KEY, base_url=f"{address}/v1").blocking
    request = ChatRequest(QUESTION, max_tokens=60, temperature=0, response_format=CITY)
    with blocking.stream(request) as stream:
        list(stream)
        streamed = stream.response()
    for response in (blocking.chat(request), streamed):
        assert response.notices == []
        value = msgspec.json.decode(response.text)
        assert set(value) == {"name", "big"}
        assert isinstance(value["big"], bool)


def test_a_schema_is_taken_on_the_anthropic_wire(address: str) -> None:
    """llama.cpp reads no output_config and answers freely; what is shown is that the request does no harm."""
    blocking = get_provider("anthropic:smollm2", api_key=KEY, base_url=address).blocking
    response = blocking.chat(ChatRequest(QUESTION, max_tokens=24, temperature=0, response_format=CITY))
    assert (response.notices, response.finish_reason) == ([], FinishReason.STOP)
    assert "Paris" in response.text


def test_a_wrong_key_is_told(address: str) -> None:
    with pytest.raises(AuthenticationError):
        get_provider("openai:smollm2", api_key="wrong", base_url=f"{address}/v1").blocking.chat("Hello")
