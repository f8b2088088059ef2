"""The four hooks: everything that a plugin can change.

A hook is a plain function. tako calls it once per provider object, on first use and again after plugins changed. It
*returns the function to use*, so requests only pass through plain async functions and never through pluggy. The first
plugin that doesn't return None wins. The plugin that was registered last is called first.

- To **override**, return a function for the providers that you mean, and None for the rest.
- To go **around**, write a wrapper: ``inner = yield`` is what would be used otherwise. You can skip it, call it twice,
  change what goes in and out, and see its exceptions and chunks. ``tako.around`` wraps chat and stream at once.

An implementation only names the parameters that it uses. ``VERSION`` is the version of these hooks. A plugin can say
which version it was written for (``tako_hooks = 1`` in the module with its hooks). An older core refuses it with a
clear error, and every later core supports it.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from typing import TYPE_CHECKING, TypeVar

from tako.types import ChatRequest, ChatResponse, Chunk

if TYPE_CHECKING:
    from tako.capabilities import Capabilities
    from tako.provider import Provider
    from tako.translator import Translator

VERSION = 1

T = TypeVar("T")
Chat = Callable[[ChatRequest], Awaitable[ChatResponse]]
Stream = Callable[[ChatRequest], AsyncGenerator[Chunk, None]]
Around = Generator[None, T, T]
"""What a wrapper returns: it yields once, is sent the inner value, and returns its own."""


def tako_capabilities(provider: Provider) -> Capabilities | None:
    """Return what the provider's model can do.

    Don't use the network here. ``provider.model`` is the model. The user's ``capabilities=`` is applied after all
    plugins. A plugin that corrects one value::

        @hookimpl(wrapper=True)
        def tako_capabilities(provider):
            known = yield
            if provider.id == "openai:gpt-6.2-sol":
                return msgspec.structs.replace(known, max_context_tokens=100_000)
            return known
    """


def tako_translator(provider: Provider) -> Translator | None:
    """Return the two functions that turn parts into the vendor's blocks and back.

    ``encode`` runs for every part of every request, ``decode`` for every block of a whole reply. The deltas of a stream
    only pass through ``tako_stream``. A plugin that takes a secret out of all text::

        @hookimpl(wrapper=True)
        def tako_translator(provider):
            inner = yield

            def encode(part, context):
                if isinstance(part, TextPart):
                    part = msgspec.structs.replace(part, text=part.text.replace("hunter2", "***"))
                return inner.encode(part, context)

            return Translator(encode=encode, decode=inner.decode)
    """


def tako_chat(provider: Provider, translator: Translator) -> Chat | None:
    """Return the coroutine function that answers one request.

    It raises a TakoError if the call fails. Any other exception counts as a bug of the provider and becomes a
    ProviderError. tako adds retries and checks. A plugin that answers from memory::

        @hookimpl(wrapper=True)
        def tako_chat(provider):
            inner = yield
            known = {}

            async def chat(request):
                if (key := msgspec.json.encode(request)) not in known:
                    known[key] = await inner(request)
                return known[key]

            return chat
    """


def tako_stream(provider: Provider, translator: Translator) -> Stream | None:
    """Return the async generator function that answers one request in chunks: deltas, then one End.

    If no plugin returns one, or the model can't stream, tako calls the provider's chat and splits the response into
    chunks. Close what you iterate, so that leaving a stream early closes its connection. A plugin that shouts::

        @hookimpl(wrapper=True)
        def tako_stream(provider):
            inner = yield

            async def stream(request):
                async with aclosing(inner(request)) as chunks:
                    async for chunk in chunks:
                        if chunk.kind == "delta" and chunk.text:
                            chunk = msgspec.structs.replace(chunk, text=chunk.text.upper())
                        yield chunk

            return stream
    """
