"""The GenAI semantic conventions 0.1.0 for calls to models, from their own files.

Source: https://github.com/open-telemetry/semantic-conventions-genai, tag v0.1.0: docs/gen-ai/client-inference.md (span,
metrics in seconds, events), model/gen-ai/token-metrics.yaml, model/gen-ai/registry.yaml (values), and the schemas of
messages beside it. ``exception.*``, ``error.type`` and ``server.*`` are the core conventions' (1.45).
"""

from __future__ import annotations

from typing import Any

SCHEMA_URL = "https://opentelemetry.io/schemas/gen-ai/0.1.0"
TYPES: dict[str, type] = {
    "error.type": str,
    "gen_ai.input.messages": str,
    "gen_ai.operation.name": str,
    "gen_ai.output.messages": str,
    "gen_ai.output.type": str,
    "gen_ai.provider.name": str,
    "gen_ai.request.frequency_penalty": float,
    "gen_ai.request.max_tokens": int,
    "gen_ai.request.model": str,
    "gen_ai.request.presence_penalty": float,
    "gen_ai.request.previous_response.id": str,
    "gen_ai.request.reasoning.level": str,
    "gen_ai.request.seed": int,
    "gen_ai.request.stop_sequences": tuple,
    "gen_ai.request.stream": bool,
    "gen_ai.request.temperature": float,
    "gen_ai.request.top_k": int,
    "gen_ai.request.top_p": float,
    "gen_ai.response.finish_reasons": tuple,
    "gen_ai.response.id": str,
    "gen_ai.response.model": str,
    "gen_ai.response.time_to_first_chunk": float,
    "gen_ai.system_instructions": str,
    "gen_ai.tool.definitions": str,
    "gen_ai.usage.cache_read.input_tokens": int,
    "gen_ai.usage.cache_write.input_tokens": int,
    "gen_ai.usage.input_tokens": int,
    "gen_ai.usage.output_tokens": int,
    "gen_ai.usage.reasoning.output_tokens": int,
    "server.address": str,
    "server.port": int,
}
"""Attributes of the span that tako has a value for, and their types. Structured ones go on spans as JSON text."""
REQUIRED = {"gen_ai.operation.name", "gen_ai.provider.name"}
LABELS = REQUIRED | {"gen_ai.request.model", "gen_ai.response.model", "server.address", "server.port"}
"""Attributes of every metric."""
METRICS: dict[str, tuple[str, str, set[str]]] = {
    "gen_ai.client.inference.duration": ("histogram", "s", {"error.type"}),
    "gen_ai.client.inference.time_to_first_chunk": ("histogram", "s", set()),
    "gen_ai.client.inference.time_per_output_chunk": ("histogram", "s", set()),
    "gen_ai.client.inference.usage.input_tokens": ("counter", "{token}", {"gen_ai.token.modality"}),
    "gen_ai.client.inference.usage.output_tokens": ("counter", "{token}", {"gen_ai.token.modality"}),
    "gen_ai.client.inference.usage.cache_read.input_tokens": ("counter", "{token}", {"gen_ai.token.modality"}),
    "gen_ai.client.inference.usage.cache_write.input_tokens": ("counter", "{token}", {"gen_ai.token.modality"}),
    "gen_ai.client.inference.usage.reasoning.output_tokens": ("counter", "{token}", {"gen_ai.token.modality"}),
    "gen_ai.client.inference.operation.input_tokens": ("histogram", "{token}", {"error.type"}),
    "gen_ai.client.inference.operation.output_tokens": ("histogram", "{token}", {"error.type"}),
}
"""Metrics: instrument, unit, and additional attributes."""
EXCEPTION_EVENT = "gen_ai.client.inference.exception"
EXCEPTION = {"exception.type", "exception.message", "exception.stacktrace"}
SEVERITY = 13
VALUES: dict[str, set[Any]] = {
    "gen_ai.operation.name": {"chat"},
    "gen_ai.output.type": {"text", "json", "image", "speech"},
    "gen_ai.token.modality": {"text", "image", "audio", "unknown"},
}
PROVIDERS = {
    "anthropic",
    "aws.bedrock",
    "azure.ai.inference",
    "azure.ai.openai",
    "cohere",
    "deepseek",
    "gcp.gemini",
    "gcp.gen_ai",
    "gcp.vertex_ai",
    "groq",
    "ibm.watsonx.ai",
    "mistral_ai",
    "moonshot_ai",
    "openai",
    "perplexity",
    "x_ai",
}
PARTS: dict[str, set[str]] = {
    "text": {"content"},
    "reasoning": {"content"},
    "tool_call": {"name"},
    "tool_call_response": {"response"},
    "blob": {"modality", "content"},
    "uri": {"modality", "uri"},
    "file": {"modality", "file_id"},
    "generic": set(),
}
"""Parts of messages, and the fields that each must have."""
MODALITIES = {"image", "video", "audio", "document"}
ROLES = {"system", "user", "assistant", "tool"}
