"""The four hooks: everything that a plugin can do.

Each hook is a plain function that is asked once per provider object, when that is first used and again after plugins
came or went. It *returns the thing to use*; requests then pass through plain async functions and never through pluggy.
The first plugin that does not answer None wins; the one registered last is asked first.

- To **override**, return a function for the providers that you mean and None for the rest.
- To go **around**, write a wrapper: ``inner = yield`` is what would have been used. Skip it, call it twice, edit what
  goes in or comes out, see its exceptions and every chunk. ``tako.around`` puts one function around chat and stream.

An implementation names only the parameters that it uses. ``VERSION`` is that of this contract: it grows when plugins
can ask for what an older core does not have. A plugin may say which one it was written for (``tako_hooks = 1`` in the
module with its hooks): an older core refuses it with a clear word, and every later one serves it.
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

    Asked without touching the network; ``provider.model`` names the model. The user's ``capabilities=`` is applied
    after every plugin. A plugin that corrects one value::

        @hookimpl(wrapper=True)
        def tako_capabilities(provider):
            known = yield
            if provider.id == "openai:gpt-5":
                return msgspec.structs.replace(known, max_context_tokens=100_000)
            return known
    """


def tako_translator(provider: Provider) -> Translator | None:
    """Return the pair of functions that turn parts into the vendor's blocks and back.

    ``encode`` runs for every part of every request, ``decode`` for every block of a whole reply; the deltas of a stream
    pass through ``tako_stream`` alone. A plugin that takes a secret out of all text::

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

    It raises a TakoError if the call fails; any other exception is a mistake of the provider, and becomes a
    ProviderError. tako adds retries and the checks of the request. A plugin that answers from memory::

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

    If nobody answers, or the model can't stream, a stream is one call of the provider's own chat, in chunks. Close what
    you iterate, so that leaving a stream early closes its connection. A plugin that shouts::

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
