"""One plugin of ten lines edits every request and every delta, whoever the vendor is and however it is asked."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest

from tako import ContentPart, Message
from tako.discovery import provider_entries
from tako.testing.dialects import Script, find_dialect, stage_at

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tako import Provider
    from tako.testing.server import Server

PLUGIN = """
@hookimpl(wrapper=True)
def tako_stream(provider):
    inner = yield
    async def stream(request):
        async with aclosing(inner(replace(request, messages=[BRIEF, *request.messages]))) as chunks:
            async for chunk in chunks:
                yield replace(chunk, text=chunk.text.upper()) if chunk.kind == "delta" and chunk.text else chunk
    return stream
tako_chat = hookimpl(lambda provider: lambda request: provider.stream(request).response())
"""
"""The last line makes one way of two: what is asked as a whole is the stream, folded."""
IMPORTS = "from contextlib import aclosing\nfrom msgspec.structs import replace\nfrom tako import hookimpl\n"
BRIEF = "Answer in one word."
WIRES = {
    "anthropic": "messages",
    "azure-openai": "completions",
    "bedrock": "converse",
    "gemini": "gemini",
    "http-generic": "completions",
    "mistral": "completions",
    "ollama": "ollama",
    "openai": "completions",
    "python": "in process",
    "vertex": "gemini",
}
EMBEDDED = "llamacpp"
"""The one that has no scripted vendor: the model in this process answers."""
MADE_OF_OTHERS = "fallback"
"""Its requests pass around it, and then around the provider that it asks."""


@pytest.fixture
def around(register: Callable[..., None]) -> Callable[[], None]:
    def add() -> None:
        module = ModuleType("brief_and_loud")
        vars(module)["BRIEF"] = Message.system(BRIEF)
        exec(IMPORTS + PLUGIN, vars(module))
        register(module)

    return add


@pytest.fixture
def standing(at: Callable[..., Provider]) -> Iterator[Callable[..., tuple[Provider, Server]]]:
    """Return a maker: an installed provider before a vendor that says what the script says."""
    with ExitStack() as stack:

        def make(name: str, script: Script) -> tuple[Provider, Server]:
            server = stack.enter_context(find_dialect(WIRES[name]).serve(script))
            if name == "http-generic":
                from tako_http_generic import EXAMPLES, HttpGeneric

                url = f"{server.url}/v1/chat/completions"
                return HttpGeneric.from_file(EXAMPLES / "openai.toml", "m", url=url, headers={}), server
            if name == "python":
                from tako.providers import PythonProvider

                stage: Any = stage_at(server.url)
                return PythonProvider("python:scripted", stage.chat, stream=stage.stream), server
            return at(name, server.url), server

        yield make


def all_ways(provider: Provider) -> dict[str, str]:
    """Ask in every way there is, and return the texts."""
    messages = [Message.user([ContentPart.text("Say something loud.")])]

    async def asynchronously() -> dict[str, str]:
        async with provider:
            chat_text = (await provider.chat(messages)).text
            async with provider.stream(messages) as stream:
                pieces = [chunk.text or "" async for chunk in stream if chunk.kind == "delta"]
            return {"chat": chat_text, "stream": "".join(pieces)}

    texts = asyncio.run(asynchronously())
    texts["blocking chat"] = provider.blocking.chat(messages).text
    texts["blocking stream"] = "".join(provider.blocking.stream(messages).text)
    provider.blocking.close()
    return texts


def test_the_plugin_has_ten_lines() -> None:
    assert len(PLUGIN.strip().splitlines()) <= 10


def test_no_installed_provider_is_left_out() -> None:
    assert {entry.name for entry in provider_entries()} == {*WIRES, EMBEDDED, MADE_OF_OTHERS}


@pytest.mark.parametrize("name", WIRES)
def test_every_request_is_edited_and_every_delta_rewritten(
    name: str, standing: Callable[..., tuple[Provider, Server]], around: Callable[[], None]
) -> None:
    provider, server = standing(name, Script(text="Straße, 雨, and a bit more."))
    assert set(all_ways(provider).values()) == {"Straße, 雨, and a bit more."}
    around()
    assert set(all_ways(provider).values()) == {"STRASSE, 雨, AND A BIT MORE."}
    texts = [[seen.value for seen in find_dialect(WIRES[name]).read(sent).of("text")] for sent in server.requests]
    assert texts == [["Say something loud."]] * 4 + [[BRIEF, "Say something loud."]] * 4
    assert server.left_early == 0


@pytest.mark.usefixtures("llamacpp")
def test_the_model_in_this_process_is_no_exception(around: Callable[[], None]) -> None:
    from tako.providers import LlamaCpp

    provider = LlamaCpp()
    messages = [Message.user("Hi")]
    before = provider.blocking.chat(messages)
    around()
    chat_response, streamed = provider.blocking.chat(messages), provider.blocking.stream(messages).response()
    assert chat_response.usage.input_tokens == streamed.usage.input_tokens != before.usage.input_tokens
    for response in (chat_response, streamed):
        assert response.text
        assert response.text == response.text.upper()
    assert before.text != before.text.upper()
    provider.blocking.close()
