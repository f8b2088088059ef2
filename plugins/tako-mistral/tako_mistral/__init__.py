"""Mistral's chat API (https://docs.mistral.ai/api/endpoint/chat)."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Unpack

from msgspec.structs import replace

from tako import Capabilities, Chat, ChatRequest, Stream, Translator, hookimpl
from tako.errors import NotFoundError, OverloadedError, RateLimitError
from tako.kit.checks import check_kind
from tako.kit.completions import Dialect, chat_completions, encode_request, stream_completions
from tako.kit.completions.listing import ask_listing
from tako.kit.encoding import merge
from tako.kit.exchange import Exchange
from tako.kit.http import HttpOptions, HttpProvider, check_url
from tako.kit.keys import read_key
from tako.kit.models import ModelTable, refine
from tako.translator import PartContext
from tako_mistral.wire import arrange, translator_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tako.errors import ProviderError

BASE_URL = "https://api.mistral.ai/v1"
TABLE = ModelTable(__name__)
DIALECT = Dialect(seed="random_seed", required="any", stream_usage=False)


class Mistral(HttpProvider):
    """A model of Mistral's.

    ``api_key``: the key, "$ENV:NAME", or None for MISTRAL_API_KEY. ``base_url``: also https://api.eu.mistral.ai/v1 and
    https://api.us.mistral.ai/v1. ``safe_prompt``: have Mistral put its safety prompt before every conversation; None
    leaves it to the vendor. ``random_seed``: the seed of requests that have none of their own.
    """

    name = "mistral"
    codes: ClassVar[Mapping[str, type[ProviderError]]] = {
        "invalid_model": NotFoundError,
        "rate_limited": RateLimitError,
        "service_tier_capacity_exceeded": OverloadedError,
    }

    def __init__(
        self,
        model: str,
        *,
        api_key: str | None = None,
        base_url: str = BASE_URL,
        safe_prompt: bool | None = None,
        random_seed: int | None = None,
        **options: Unpack[HttpOptions],
    ) -> None:
        key = read_key(api_key, "MISTRAL_API_KEY", self.name)
        api_key = None  # a traceback with locals shows this frame
        super().__init__(model, **options)
        self.base_url = check_url(base_url, "base_url", self.id, beyond="/chat/completions")
        check_kind(safe_prompt, bool, "safe_prompt", self.id, "True or False")
        check_kind(random_seed, int, "random_seed", self.id, "an int")
        given = {"safe_prompt": safe_prompt, "random_seed": random_seed}
        self.defaults = {name: value for name, value in given.items() if value is not None}
        self.discovered: dict[str, Any] = {}
        self.add_headers({"authorization": key.prefixed("Bearer ")})

    def dialect_of(self, model: str) -> Dialect:
        """Return how this model's wire differs: Magistral always reasons and takes no effort."""
        return replace(DIALECT, reasoning_effort=None) if "magistral" in model else DIALECT

    async def discover(self) -> Capabilities:
        """Ask Mistral for its models, and remember what it says of this one. Raises ProviderError."""
        self.discovered = await ask_listing(self, f"{self.base_url}/models")
        self.refresh()
        return self.capabilities


@hookimpl
def tako_capabilities(provider: Mistral) -> Capabilities:
    """Read the table that this package ships, and what the server said when it was asked."""
    return refine(TABLE.find(provider.model), provider.discovered, f"{provider.base_url}/models")


@hookimpl
def tako_translator(provider: Mistral) -> Translator:
    """Translate as the dialect does, with reasoning in thinking chunks."""
    return translator_of(provider.name, DIALECT)


@hookimpl
def tako_chat(provider: Mistral, translator: Translator) -> Chat:
    """Ask for a whole reply."""
    return chat_completions(provider, translator, partial(prepare, provider, translator))


@hookimpl
def tako_stream(provider: Mistral, translator: Translator) -> Stream:
    """Ask for a reply in Server-Sent Events."""
    return stream_completions(provider, translator, partial(prepare, provider, translator), DIALECT)


async def prepare(provider: Mistral, translator: Translator, request: ChatRequest, stream: bool) -> Exchange:
    """Encode a request."""
    context = PartContext(provider.name, request)
    dialect = provider.dialect_of(request.model or provider.model)
    plain = replace(request, extra={})  # it is merged last, into what the steps below have made
    body = encode_request(plain, provider.model, translator, context, dialect, stream=stream)
    body = {**body, "messages": arrange(body["messages"], context)}
    body = merge({**provider.defaults, **body}, request.extra)
    return Exchange(f"{provider.base_url}/chat/completions", body, context.notices)
