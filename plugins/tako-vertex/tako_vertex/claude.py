"""Claude on Vertex AI: the Messages API under rawPredict.

Source: https://platform.claude.com/docs/en/build-with-claude/claude-on-vertex-ai
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from msgspec.structs import replace

from tako.capabilities import PRICES
from tako.errors import ConfigurationError
from tako.kit.exchange import Exchange, chat_through, stream_through
from tako.kit.families import rules_of
from tako.kit.fetching import encode_fetched
from tako.kit.messages import MessagesDecoder, decode_reply, encode_request
from tako_vertex.generate_content import TABLE

if TYPE_CHECKING:
    from tako import Capabilities, Chat, ChatRequest, Stream, Translator
    from tako.translator import PartContext
    from tako_vertex import Vertex

VERSION = "vertex-2023-10-16"
CHAT_VERB, STREAM_VERB = "rawPredict", "streamRawPredict"


def is_claude(model: str) -> bool:
    """Whether a model uses the Messages API."""
    return rules_of(model).family == "claude"


def check_same_wire(own_model: str, model: str, owner: str) -> None:
    """Raise ConfigurationError if a request names a model with another wire format than the provider's."""
    if is_claude(own_model) != is_claude(model) and rules_of(model).family:
        raise ConfigurationError(f"{owner}: {model!r} needs another wire format; make another provider for it")


def capabilities_of(provider: Vertex) -> Capabilities:
    """Return a Claude's capabilities. The table's prices are for "global", since regions cost more."""
    model = provider.named(provider.model).rpartition("/")[2]
    capabilities = TABLE.find(model)
    if TABLE.row(model) is None:
        capabilities = replace(capabilities, max_context_tokens=None, supports_audio=False, supports_video=False)
    return capabilities if provider.location == "global" else replace(capabilities, **dict.fromkeys(PRICES))


def chat_claude(provider: Vertex, translator: Translator) -> Chat:
    """Ask for a whole reply."""
    decode = partial(decode_reply, provider=provider, translator=translator)
    return chat_through(provider, partial(prepare, provider, translator), decode)


def stream_claude(provider: Vertex, translator: Translator) -> Stream:
    """Ask for a reply in Server-Sent Events."""
    return stream_through(
        provider,
        partial(prepare, provider, translator),
        lambda _, exchange: MessagesDecoder(provider, exchange, translator),
        partial(decode_reply, provider=provider, translator=translator),
    )


async def prepare(provider: Vertex, translator: Translator, request: ChatRequest, stream: bool) -> Exchange:
    """Encode a request. The URL names the model, the body the version."""
    model = request.model or provider.model
    check_same_wire(provider.model, model, provider.id)

    def encode(request: ChatRequest, context: PartContext) -> Exchange:
        body = encode_request(request, model, translator, context, stream=stream)
        del body["model"]
        if (betas := body.pop("betas", None)) is not None:
            body["anthropic_beta"] = betas
        return Exchange("", {"anthropic_version": VERSION, **body}, context)

    exchange = await encode_fetched(provider, request, encode)
    exchange.url = await provider.url(model, verb=STREAM_VERB if stream else CHAT_VERB)
    return exchange
