"""Names and values of the GenAI semantic conventions, version 0.1.0, and the attributes of a request and a provider.

https://github.com/open-telemetry/semantic-conventions-genai, docs/gen-ai/client-inference.md and
docs/gen-ai/gen-ai-token-metrics.md. No package has these constants yet.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from opentelemetry.util.types import AttributeValue

    from tako.provider import Provider
    from tako.types import ChatRequest, Usage

SCHEMA_URL = "https://opentelemetry.io/schemas/gen-ai/0.1.0"
"""The version of the conventions that spans, measurements and events follow."""
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
TOKEN_MODALITY = "gen_ai.token.modality"  # noqa: S105 - not a password
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
"""The modality of tokens, which vendors don't report in a common way."""
ERROR = "error"
"""The finish reason of a reply that broke before its own finish reason."""
EXTRA_ATTRIBUTES = {
    "frequency_penalty": ("gen_ai.request.frequency_penalty", float),
    "presence_penalty": ("gen_ai.request.presence_penalty", float),
    "top_k": ("gen_ai.request.top_k", int),
    "previous_response_id": ("gen_ai.request.previous_response.id", str),
}
"""Parameters in ``extra``, by the vendors' names, with their attributes and types."""
PROVIDER_NAMES = {
    "azure-openai": "azure.ai.openai",
    "bedrock": "aws.bedrock",
    "gemini": "gcp.gemini",
    "mistral": "mistral_ai",
    "moonshot": "moonshot_ai",
    "vertex": "gcp.vertex_ai",
    "xai": "x_ai",
}
"""Names in the conventions for providers that tako calls differently. Others have the same name."""
ADDRESSES = ("base_url", "endpoint_url", "endpoint", "url")
"""Attributes of providers that contain their address."""


def provider_attributes(provider: Provider, request: ChatRequest) -> dict[str, AttributeValue]:
    """Return the attributes about the provider, for spans and measurements."""
    attributes: dict[str, AttributeValue] = {
        OPERATION: CHAT,
        PROVIDER: PROVIDER_NAMES.get(provider.name, provider.name),
        REQUEST_MODEL: request.model or provider.model,
    }
    for name in ADDRESSES:
        address = getattr(provider, name, None)
        if isinstance(address, str) and address.startswith(("http://", "https://")):
            parts = urlsplit(address)
            if parts.hostname and "{" not in parts.netloc:
                attributes[SERVER_ADDRESS] = parts.hostname
                attributes[SERVER_PORT] = parts.port or (443 if parts.scheme == "https" else 80)
                break
    return attributes


def request_attributes(request: ChatRequest, *, stream: bool) -> dict[str, AttributeValue]:
    """Return the attributes about the parameters of a request."""
    attributes: dict[str, AttributeValue | None] = {
        REQUEST_STREAM: True if stream else None,  # the conventions leave it out if it's false
        REQUEST_SEED: request.seed,
        REQUEST_MAX_TOKENS: request.max_tokens,
        REQUEST_TEMPERATURE: None if request.temperature is None else float(request.temperature),
        REQUEST_TOP_P: None if request.top_p is None else float(request.top_p),
        REQUEST_STOP: tuple(request.stop) or None,
        REQUEST_REASONING: request.reasoning if isinstance(request.reasoning, str) else None,  # a budget isn't a level
        OUTPUT_TYPE: None if request.response_format is None else "json",
    }
    for field, (name, kind) in EXTRA_ATTRIBUTES.items():
        value = request.extra.get(field)
        attributes[name] = kind(value) if isinstance(value, (kind, int)) and not isinstance(value, bool) else None
    return {name: value for name, value in attributes.items() if value is not None}


def usage_attributes(usage: Usage) -> dict[str, AttributeValue]:
    """Return the attributes about usage; none if the vendor reported none."""
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
