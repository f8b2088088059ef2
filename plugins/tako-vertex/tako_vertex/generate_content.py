"""The base class of both Gemini providers: the wire of generateContent, its errors and its state."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from msgspec.structs import replace

from tako import Capabilities, Chat, ChatRequest, Stream, Translator, hookimpl, notices
from tako.kit.exchange import Exchange, chat_through, stream_through
from tako.kit.fetching import encode_fetched
from tako.kit.file_limits import MB, Limit
from tako.kit.http import HttpProvider
from tako.kit.listing import fetch_token_count
from tako.kit.models import ModelTable
from tako_vertex.failures import CODES, body_facts
from tako_vertex.parts import decode_block, encode_part
from tako_vertex.reply import decode_reply
from tako_vertex.request import encode_request
from tako_vertex.stream import GeminiDecoder
from tako_vertex.turns import add_placeholders

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tako.errors import BadRequestError
    from tako.kit.failures import Facts
    from tako.kit.wire import HttpReply
    from tako.listing import TokenCount
    from tako.parts import Part
    from tako.state import Origin
    from tako.translator import PartContext

LIMITS = (Limit("https://ai.google.dev/gemini-api/docs/document-processing", ("document", "text"), each=50 * MB),)
TABLE = ModelTable(__package__ or "")
CHAT_VERB, STREAM_VERB = "generateContent", "streamGenerateContent?alt=sse"

SIGNATURE_ERROR = re.compile("thought_?signature", re.IGNORECASE)
"""Matches an error about a call without a signature."""

COUNTED_FIELDS = frozenset(("contents", "systemInstruction", "tools", "generationConfig"))
"""The fields of a request that countTokens accepts: CountTokensRequest of aiplatform v1."""
GEMINI_PROVIDERS = ("vertex", "gemini")
"""The providers of Gemini: Google Cloud, and the Developer API."""


class GenerateContentProvider(HttpProvider, ABC):
    """A provider that uses generateContent."""

    codes = CODES
    labels: ClassVar[bool] = True
    """Whether a request may have labels, which Google uses for billing."""

    @abstractmethod
    async def url(self, model: str, *, verb: str) -> str:
        """Return the URL of a call. ``verb`` is the API's method, with its query."""

    async def count(self, request: ChatRequest) -> TokenCount:
        """Ask how many tokens a request has (countTokens). Raises ProviderError."""
        exchange = await prepare(self, self.translator, request, False)
        body = {name: value for name, value in exchange.body.items() if name in COUNTED_FIELDS}
        path, _, _ = exchange.url.rpartition(":")
        count_body = self.count_body(path, body)
        return await fetch_token_count(self, exchange, f"{path}:countTokens", count_body, "totalTokens")

    def count_body(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Return the body for countTokens. ``path`` ends with the request's model."""
        return body

    def accepts(self, own: Origin, part: Part, origin: Origin) -> bool:
        """Gemini models accept each other's state. Signatures have to go back, also to another model of Gemini.

        https://ai.google.dev/gemini-api/docs/thought-signatures: Gemini 3 answers 400 to a call without its signature.
        """
        return origin.provider in GEMINI_PROVIDERS

    def second_try(self, exchange: Exchange, error: BadRequestError) -> Exchange | None:
        """Add a signature to a call that Gemini made without one and now refuses. The API has no code for that."""
        contents = exchange.body.get("contents", [])  # Claude's requests have none
        signed_contents = add_placeholders(contents)
        if not SIGNATURE_ERROR.search(str(error)) or signed_contents == contents or exchange.context.request.strict:
            return None
        text = (
            "Gemini refused a call that it hadn't signed: the call was sent again with Google's placeholder signature"
        )
        exchange.context.notice(notices.CHANGED_PART, text, "messages")
        return replace(exchange, body={**exchange.body, "contents": signed_contents})

    def limits_for(self, model: str) -> Sequence[Limit]:
        """Return Gemini's limits for documents."""
        return LIMITS

    def error_facts(self, reply: HttpReply, body: bytes) -> Facts:
        """Read google.rpc.Status."""
        return body_facts(body)


@hookimpl
def tako_capabilities(provider: GenerateContentProvider) -> Capabilities:
    """Read the table that this package ships. It has no tuned models."""
    return TABLE.find(provider.named(provider.model).rpartition("/")[2])


@hookimpl
def tako_translator() -> Translator:
    """Translate to Gemini's parts and back."""
    return Translator(encode_part, decode_block)


@hookimpl
def tako_chat(provider: GenerateContentProvider, translator: Translator) -> Chat:
    """Ask for a whole reply."""
    return chat_through(
        provider,
        partial(prepare, provider, translator),
        partial(decode_reply, provider=provider, translator=translator),
    )


@hookimpl
def tako_stream(provider: GenerateContentProvider, translator: Translator) -> Stream:
    """Ask for a reply in Server-Sent Events."""
    return stream_through(
        provider,
        partial(prepare, provider, translator),
        lambda _, exchange: GeminiDecoder(provider, exchange, translator),
    )


async def prepare(
    provider: GenerateContentProvider, translator: Translator, request: ChatRequest, stream: bool
) -> Exchange:
    """Encode a request."""
    model = request.model or provider.model

    def encode(request: ChatRequest, context: PartContext) -> Exchange:
        base = provider.named(model)
        return Exchange("", encode_request(request, base, translator, context, labels=provider.labels), context)

    exchange = await encode_fetched(provider, request, encode)
    exchange.url = await provider.url(model, verb=STREAM_VERB if stream else CHAT_VERB)
    return exchange
