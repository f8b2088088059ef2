"""A plugin in one piece, with a seam for every fault, and what it means that a fault is caught."""

from __future__ import annotations

import sys
from contextlib import aclosing
from itertools import count
from types import ModuleType
from typing import TYPE_CHECKING, Any

from tako import Capabilities, hookimpl
from tako.kit.addresses import check_url, server_of
from tako.kit.completions import CompletionsDecoder, Dialect, decode_reply, encode_request, translator_for
from tako.kit.exchange import Exchange, chat_through, stream_through
from tako.kit.http import HttpProvider
from tako.kit.keys import read_key
from tako.testing.suite import ProviderSuite, run_suite

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from tako import Chat, ChatRequest, Stream
    from tako.translator import Translator
    from tako.types import ChatResponse, Chunk

CONTROLS = (
    "chat",
    "stream",
    "tool_call",
    "usage",
    "error_classes",
    "conversation",
    "notices",
    "key_in_repr",
    "truncated_chat",
)
"""Checks that a fault elsewhere must leave alone: what fails them by accident proves nothing."""
PATIENCE = (0.3, 3.0, ProviderSuite.patience)
"""Seconds for which a check waits for what a fault keeps from happening: as few as the machine is fast enough for."""
_numbers = count()


class Acme(HttpProvider):
    """A vendor that speaks Chat Completions."""

    name = "acme"

    def __init__(self, model: str, *, api_key: str, base_url: str, **options: Any) -> None:
        key = read_key(api_key, "ACME_API_KEY", self.name)
        api_key = None  # type: ignore[assignment]  # a traceback with locals shows this frame
        super().__init__(model, **options)
        self.base_url = check_url(base_url, "base_url", self.id)
        self.server = server_of(self.base_url)
        self.key = key
        self.add_headers({"authorization": key.prefixed("Bearer ")})


class Plugin:
    """The plugin as it should be. A fault is a subclass that gets one thing wrong.

    ``caught_by`` is the check that names the fault, ``message`` stands in what it says, ``also`` are controls that fail
    for the same reason.
    """

    caught_by = ""
    message = ""
    also: tuple[str, ...] = ()
    provider: type[Acme] = Acme

    def prepare_request(self, request: ChatRequest) -> ChatRequest:
        return request

    def exchange(self, exchange: Exchange) -> Exchange:
        return exchange

    def response(self, response: ChatResponse, request: ChatRequest) -> ChatResponse:
        return response

    def decoder(self, provider: Acme, exchange: Exchange) -> Any:
        return CompletionsDecoder(provider, exchange, translator_for())

    def chat(self, inner: Chat, provider: Acme) -> Chat:
        return inner

    def stream(self, inner: Stream, provider: Acme) -> Stream:
        return inner

    def chunk(self, chunk: Chunk) -> Chunk | None:
        return chunk


def build(plugin: Plugin) -> type[Acme]:  # noqa: C901 - four hooks, each with a seam for a fault
    """Put the plugin together, in a module of its own."""
    module = ModuleType(f"acme_{next(_numbers)}")
    sys.modules[module.__name__] = module

    async def prepare(provider: Acme, translator: Translator, request: ChatRequest, stream: bool) -> Exchange:
        context = provider.context(request)
        body = encode_request(
            plugin.prepare_request(request), provider.model, translator, context, Dialect(), stream=stream
        )
        return plugin.exchange(Exchange(f"{provider.base_url}/chat/completions", body, context))

    def tako_capabilities(provider: Acme) -> Capabilities:
        return Capabilities(supports_tools=True, supports_vision=True, supports_json_mode=True)

    def tako_translator(provider: Acme) -> Translator:
        return translator_for()

    def tako_chat(provider: Acme, translator: Translator) -> Chat:
        inner = chat_through(
            provider,
            lambda request, stream: prepare(provider, translator, request, stream),
            lambda body, exchange: decode_reply(body, exchange, provider, translator),
        )

        async def chat(request: ChatRequest) -> ChatResponse:
            return plugin.response(await inner(request), request)

        return plugin.chat(chat, provider)

    def tako_stream(provider: Acme, translator: Translator) -> Stream:
        inner = stream_through(
            provider,
            lambda request, stream: prepare(provider, translator, request, stream),
            lambda _, exchange: plugin.decoder(provider, exchange),
        )

        async def stream(request: ChatRequest) -> AsyncGenerator[Chunk, None]:
            async with aclosing(inner(request)) as chunks:
                async for chunk in chunks:
                    changed = plugin.chunk(chunk)
                    if changed is not None:
                        yield changed

        return plugin.stream(stream, provider)

    for hook in (tako_capabilities, tako_translator, tako_chat, tako_stream):
        setattr(module, hook.__name__, hookimpl(hook))
    cls = type("Acme", (plugin.provider,), {"__module__": module.__name__, "name": "acme"})
    module.Acme = cls  # type: ignore[attr-defined]  # so that it can be pickled
    return cls


def suite_of(plugin: Plugin, seconds: float = ProviderSuite.patience) -> type[ProviderSuite]:
    cls = build(plugin)

    class Suite(ProviderSuite):
        dialect = "completions"
        patience = seconds

        def provider(self, base_url: str, **options: Any) -> Acme:
            return cls("acme-1", api_key=self.secret, base_url=base_url, **options)

    return Suite


def faults_of(*modules: ModuleType) -> list[type[Plugin]]:
    return [
        value
        for module in modules
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, Plugin) and value is not Plugin
    ]


def judged(fault: type[Plugin]) -> tuple[str, set[str]]:
    """Return what the check that names the fault says, and the controls that fail beside it."""
    name, outcome = fault.caught_by, ""
    for seconds in PATIENCE:
        result = run_suite(suite_of(fault(), seconds), [name]).results[name]
        outcome = f"{result.outcome}: {result.reason}"
        if fault.message in outcome:
            break
    controls = run_suite(suite_of(fault()), [control for control in CONTROLS if control != name])
    return outcome, set(controls.named("failed"))
