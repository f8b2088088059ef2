"""Ollama, with its own API (https://docs.ollama.com/api/chat): local models, and its cloud."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Unpack

import msgspec

from tako import Capabilities, Chat, ChatRequest, Stream, Translator, UrlPrefetch, hookimpl
from tako.errors import NotFoundError, ProviderError, TransportError
from tako.kit.addresses import server_of
from tako.kit.checks import check_kind
from tako.kit.encoding import encode, merge_extra
from tako.kit.exchange import Exchange, chat_through, stream_through
from tako.kit.fetching import encode_fetched
from tako.kit.http import CallOptions, HttpOptions, HttpProvider
from tako.kit.keys import find_key
from tako.kit.listing import decode_models, fetch_json
from tako_ollama.host import BASE_URL, find_host
from tako_ollama.reply import decode_block, decode_reply
from tako_ollama.show import read_show
from tako_ollama.stream import ChatDecoder
from tako_ollama.wire import encode_body, encode_part

if TYPE_CHECKING:
    from tako.kit.wire import Body, HttpReply
    from tako.listing import ModelInfo
    from tako.translator import PartContext

UNREACHABLE = ("ConnectionRefusedError", "ConnectError")
"""The errors of the system and of httpx if the server isn't running."""


class Ollama(HttpProvider):
    """A model of an Ollama server.

    ``timeout`` is 600 seconds by default, since a model may take minutes to load.

    Args:
        model: The model, such as "qwen3".
        base_url: The server, in any form that OLLAMA_HOST may have. None reads OLLAMA_HOST, and otherwise is
            http://localhost:11434.
        api_key: A key for Ollama's cloud or a proxy, sent as Bearer. None reads OLLAMA_API_KEY.
        url_prefetch: Whether tako downloads images and text files from URLs: True, False, or a UrlPrefetch.
        keep_alive: How long the model stays loaded: "5m", seconds, or -1 for ever.
        options: Options of the model, such as ``{"num_ctx": 8192}``. A request's fields override them.
    """

    name = "ollama"
    needs_event_loop = False
    default_timeout = 600.0

    def __init__(
        self,
        model: str,
        *,
        base_url: str | None = BASE_URL,
        api_key: str | None = None,
        url_prefetch: bool | UrlPrefetch = False,
        keep_alive: str | float | None = None,
        options: Mapping[str, Any] | None = None,
        **http: Unpack[HttpOptions],
    ) -> None:
        key = find_key(api_key, "OLLAMA_API_KEY", self.name)
        api_key = None  # a traceback with locals shows this frame
        super().__init__(model, url_prefetch=url_prefetch, **http)
        self.base_url = find_host(base_url, self.id)
        self.server = server_of(self.base_url)
        check_kind(keep_alive, (str, int, float), "keep_alive", self.id, 'a time as in "5m", or a number of seconds')
        check_kind(options, Mapping, "options", self.id, "a dict")
        self.keep_alive = keep_alive
        self.options = dict(options or {})
        self.discovered: Capabilities | None = None
        if key is not None:
            self.add_headers({"authorization": key.prefixed("Bearer ")})

    async def list_models(self) -> list[ModelInfo]:
        """List the models that the server has pulled. Raises ProviderError."""
        body = await fetch_json(self, f"{self.base_url}/api/tags")
        return decode_models(body.get("models"), "name", provider=self)

    async def discover(self) -> Capabilities:
        """Fetch the model's capabilities from the server, and keep them. Raises ProviderError."""
        _, body = await self.fetch(f"{self.base_url}/api/show", encode({"model": self.model}))
        self.discovered = read_show(body, self.options, WIRE_CAPABILITIES)
        self.refresh()
        return self.capabilities

    async def send(self, url: str, body: Body, **call: Unpack[CallOptions]) -> HttpReply:
        """Send a request; the text of an error says what the user of a local server can do."""
        try:
            return await super().send(url, body, **call)
        except ProviderError as error:
            error.provider = error.provider or self.name
            error.model = error.model or msgspec.json.decode(body if isinstance(body, bytes) else b"{}").get("model")
            add_advice(error)
            raise


WIRE = "Ollama's API"
WIRE_CAPABILITIES = Capabilities(
    supports_tools=True,
    supports_vision=True,
    supports_json_mode=True,
    origins={
        **dict.fromkeys(("supports_streaming", "supports_json_mode"), WIRE),
        **dict.fromkeys(("supports_documents", "supports_audio", "supports_video"), WIRE),
        **dict.fromkeys(("supports_tools", "supports_vision"), ""),
    },
)
"""The capabilities of the API; ``discover`` fetches those of the model."""


@hookimpl
def tako_capabilities(provider: Ollama) -> Capabilities:
    """Return the model's capabilities if ``discover`` has fetched them, else the API's."""
    return provider.discovered or WIRE_CAPABILITIES


@hookimpl
def tako_translator(provider: Ollama) -> Translator:
    """Translate parts into fragments of messages, and back."""
    return Translator(encode_part, decode_block)


@hookimpl
def tako_chat(provider: Ollama, translator: Translator) -> Chat:
    """Request a complete reply."""
    return chat_through(
        provider,
        partial(prepare, provider, translator),
        partial(decode_reply, provider=provider, translator=translator),
    )


@hookimpl
def tako_stream(provider: Ollama, translator: Translator) -> Stream:
    """Request a reply in lines. A complete reply is one line."""
    return stream_through(
        provider,
        partial(prepare, provider, translator),
        lambda _, exchange: ChatDecoder(provider, exchange, translator),
    )


async def prepare(provider: Ollama, translator: Translator, request: ChatRequest, stream: bool) -> Exchange:
    """Encode a request."""

    def encode(request: ChatRequest, context: PartContext) -> Exchange:
        body = encode_body(
            request,
            translator,
            context,
            model=request.model or provider.model,
            stream=stream,
            options=provider.options,
            keep_alive=provider.keep_alive,
        )
        return Exchange(f"{provider.base_url}/api/chat", merge_extra(body, request.extra), context)

    return await encode_fetched(provider, request, encode)


def add_advice(error: ProviderError) -> None:
    """Give an error what the user can do, by its status and its cause."""
    if isinstance(error, NotFoundError):
        error.advice = f"`ollama pull {error.model}` gets the model"
    elif isinstance(error, TransportError) and type(error.__cause__).__name__ in UNREACHABLE:
        error.advice = "`ollama serve` starts Ollama, and OLLAMA_HOST or base_url is its address"
