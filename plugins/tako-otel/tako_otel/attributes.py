"""Names and values of the GenAI semantic conventions, version 0.1.0, and what of a request and a provider they say.

https://github.com/open-telemetry/semantic-conventions-genai, docs/gen-ai/client-inference.md and
docs/gen-ai/gen-ai-token-metrics.md. No package has them as constants yet.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from opentelemetry.util.types import AttributeValue

    from tako.provider import Provider
    from tako.types import ChatRequest, Usage

SCHEMA_URL = "https://opentelemetry.io/schemas/gen-ai/0.1.0"
"""Which version of the conventions spans, measurements and events follow."""
OPERATION = "gen_ai.operation.name"
PROVIDER = "gen_ai.provider.name"
REQUEST_MODEL = "gen_ai.request.model"
REQUEST_STREAM = "gen_ai.request.stream"
REQUEST_SEED = "gen_ai.request.seed"
REQUEST_MAX_TOKENS = "gen_ai.request.max_tokens"
REQUEST_TEMPERATURE = "gen_ai.request.temperature"
REQUEST_TOP_P = "gen_ai.request.top_p"
REQUEST_STOP = "gen_ai.request.stop_sequences"
REQUEST_REASONING = "gen_ai.request.reasoning.level"
OUTPUT_TYPE = "gen_ai.output.type"
RESPONSE_ID = "gen_ai.response.id"
RESPONSE_MODEL = "gen_ai.response.model"
FINISH_REASONS = "gen_ai.response.finish_reasons"
TIME_TO_FIRST_CHUNK = "gen_ai.response.time_to_first_chunk"
INPUT_TOKENS = "gen_ai.usage.input_tokens"
OUTPUT_TOKENS = "gen_ai.usage.output_tokens"
CACHED_TOKENS = "gen_ai.usage.cache_read.input_tokens"
CACHE_WRITE_TOKENS = "gen_ai.usage.cache_write.input_tokens"
REASONING_TOKENS = "gen_ai.usage.reasoning.output_tokens"
TOKEN_MODALITY = "gen_ai.token.modality"  # noqa: S105 - no password
SYSTEM_INSTRUCTIONS = "gen_ai.system_instructions"
INPUT_MESSAGES = "gen_ai.input.messages"
OUTPUT_MESSAGES = "gen_ai.output.messages"
TOOL_DEFINITIONS = "gen_ai.tool.definitions"
ERROR_TYPE = "error.type"
SERVER_ADDRESS = "server.address"
SERVER_PORT = "server.port"
EXCEPTION_TYPE = "exception.type"
EXCEPTION_MESSAGE = "exception.message"
EXCEPTION_STACKTRACE = "exception.stacktrace"

EXCEPTION_EVENT = "gen_ai.client.inference.exception"
CHAT = "chat"
UNKNOWN = "unknown"
"""The modality of tokens: no vendor's reply says it in a way that all have in common."""
ERROR = "error"
"""The finish reason of a reply that ended before it said how it finished."""
FROM_EXTRA = {
    "frequency_penalty": ("gen_ai.request.frequency_penalty", float),
    "presence_penalty": ("gen_ai.request.presence_penalty", float),
    "top_k": ("gen_ai.request.top_k", int),
    "previous_response_id": ("gen_ai.request.previous_response.id", str),
}
"""What vendors call parameters that a request has in ``extra``, and what the conventions call them."""
WELL_KNOWN = {
    "azure-openai": "azure.ai.openai",
    "bedrock": "aws.bedrock",
    "gemini": "gcp.gemini",
    "mistral": "mistral_ai",
    "moonshot": "moonshot_ai",
    "vertex": "gcp.vertex_ai",
    "xai": "x_ai",
}
"""What the conventions call providers whose own name is another word; all others keep theirs."""
ADDRESSES = ("base_url", "endpoint_url", "endpoint", "url")
"""Attributes in which providers keep the address that they ask."""


def provider_attributes(provider: Provider, request: ChatRequest) -> dict[str, AttributeValue]:
    """Say who is asked; these stand on spans and on measurements."""
    found: dict[str, AttributeValue] = {
        OPERATION: CHAT,
        PROVIDER: WELL_KNOWN.get(provider.name, provider.name),
        REQUEST_MODEL: request.model or provider.model,
    }
    for name in ADDRESSES:
        address = getattr(provider, name, None)
        if isinstance(address, str) and address.startswith(("http://", "https://")):
            parts = urlsplit(address)
            if parts.hostname and "{" not in parts.netloc:
                found[SERVER_ADDRESS] = parts.hostname
                found[SERVER_PORT] = parts.port or (443 if parts.scheme == "https" else 80)
                break
    return found


def request_attributes(request: ChatRequest, *, stream: bool) -> dict[str, AttributeValue]:
    """Say how is asked: the parameters that the request has."""
    given: dict[str, AttributeValue | None] = {
        REQUEST_STREAM: True if stream else None,  # the conventions leave out what is false
        REQUEST_SEED: request.seed,
        REQUEST_MAX_TOKENS: request.max_tokens,
        REQUEST_TEMPERATURE: None if request.temperature is None else float(request.temperature),
        REQUEST_TOP_P: None if request.top_p is None else float(request.top_p),
        REQUEST_STOP: tuple(request.stop) or None,
        REQUEST_REASONING: request.reasoning if isinstance(request.reasoning, str) else None,  # a budget is no level
        OUTPUT_TYPE: None if request.response_format is None else "json",
    }
    for field, (name, kind) in FROM_EXTRA.items():
        value = request.extra.get(field)
        given[name] = kind(value) if isinstance(value, (kind, int)) and not isinstance(value, bool) else None
    return {name: value for name, value in given.items() if value is not None}


def usage_attributes(usage: Usage) -> dict[str, AttributeValue]:
    """Say what was used; nothing where nothing was reported."""
    if not usage.total:
        return {}
    parts = {
        CACHED_TOKENS: usage.cached_tokens,
        CACHE_WRITE_TOKENS: usage.cache_write_tokens,
        REASONING_TOKENS: usage.reasoning_tokens,
    }
    return {
        INPUT_TOKENS: usage.input_tokens,
        OUTPUT_TOKENS: usage.output_tokens,
        **{name: count for name, count in parts.items() if count},
    }
