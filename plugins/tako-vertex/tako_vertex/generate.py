"""What both of Google's ways to Gemini share: the wire of generateContent, its errors, and each other's state."""

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
from tako_vertex.failures import CODES, google_facts
from tako_vertex.parts import decode_block, encode_part
from tako_vertex.reply import decode_reply
from tako_vertex.request import encode_request
from tako_vertex.stream import GeminiDecoder
from tako_vertex.turns import with_stand_ins

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
WHOLE, STREAM = "generateContent", "streamGenerateContent?alt=sse"

SIGNATURE = re.compile("thought_?signature", re.IGNORECASE)
"""How a refusal names what a call is missing."""

COUNTED = frozenset(("contents", "systemInstruction", "tools", "generationConfig"))
"""What of a request counts: CountTokensRequest of aiplatform v1."""
GOOGLE = ("vertex", "gemini")
"""The providers of Gemini: on Google Cloud, and by the Developer API."""


class GenerateContent(HttpProvider, ABC):
    """A provider of Gemini models."""

    codes = CODES
    labels: ClassVar[bool] = True
    """Whether a request may have labels, for the bill."""

    @abstractmethod
    async def url(self, model: str, *, verb: str) -> str:
        """Return the address of a call; ``verb`` is what is done there, with its query."""

    async def count(self, request: ChatRequest) -> TokenCount:
        """Ask how many tokens a request has (countTokens). Raises ProviderError."""
        exchange = await prepare(self, self.translator, request, False)
        body = {name: value for name, value in exchange.body.items() if name in COUNTED}
        path, _, _ = exchange.url.rpartition(":")
        counted = self.counted(path, body)
        return await fetch_token_count(self, exchange, f"{path}:countTokens", counted, "totalTokens")

    def counted(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Return what is asked about a request; ``path`` ends with its model."""
        return body

    def accepts(self, own: Origin, part: Part, origin: Origin) -> bool:
        """Take the state of any Gemini model: signatures have to come back, whichever model of theirs is asked next.

        https://ai.google.dev/gemini-api/docs/thought-signatures: Gemini 3 answers 400 to a call that lost its own.
        """
        return origin.provider in GOOGLE

    def second_try(self, exchange: Exchange, error: BadRequestError) -> Exchange | None:
        """Sign a call that Gemini refuses because it left it unsigned itself; the API has no code for it."""
        contents = exchange.body.get("contents", [])  # Claude's requests have none
        stood_in = with_stand_ins(contents)
        if not SIGNATURE.search(str(error)) or stood_in == contents or exchange.context.request.strict:
            return None
        text = "Gemini refused a call that it hadn't signed: it went out again with Google's stand-in for a signature"
        exchange.context.notice(notices.CHANGED_PART, text, "messages")
        return replace(exchange, body={**exchange.body, "contents": stood_in})

    def limits_for(self, model: str) -> Sequence[Limit]:
        """Return what Gemini takes of documents."""
        return LIMITS

    def error_facts(self, reply: HttpReply, body: bytes) -> Facts:
        """Read google.rpc.Status."""
        return google_facts(body)


@hookimpl
def tako_capabilities(provider: GenerateContent) -> Capabilities:
    """Read the table that this package ships; a tuned model is not in it."""
    return TABLE.find(provider.named(provider.model).rpartition("/")[2])


@hookimpl
def tako_translator() -> Translator:
    """Translate to Gemini's parts and back."""
    return Translator(encode_part, decode_block)


@hookimpl
def tako_chat(provider: GenerateContent, translator: Translator) -> Chat:
    """Ask for a whole reply."""
    return chat_through(
        provider,
        partial(prepare, provider, translator),
        partial(decode_reply, provider=provider, translator=translator),
    )


@hookimpl
def tako_stream(provider: GenerateContent, translator: Translator) -> Stream:
    """Ask for a reply in Server-Sent Events."""
    return stream_through(
        provider,
        partial(prepare, provider, translator),
        lambda _, exchange: GeminiDecoder(provider, exchange, translator),
    )


async def prepare(provider: GenerateContent, translator: Translator, request: ChatRequest, stream: bool) -> Exchange:
    """Encode a request."""
    model = request.model or provider.model

    def encode(request: ChatRequest, context: PartContext) -> Exchange:
        base = provider.named(model)
        return Exchange("", encode_request(request, base, translator, context, labels=provider.labels), context)

    exchange = await encode_fetched(provider, request, encode)
    exchange.url = await provider.url(model, verb=STREAM if stream else WHOLE)
    return exchange
