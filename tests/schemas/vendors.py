"""Providers of every vendor, at a server on loopback that speaks the vendor's wire."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import tako
from tako.testing.dialects import DIALECTS

if TYPE_CHECKING:
    from collections.abc import Callable

    from tako import ChatRequest, ChatResponse, Provider
    from tako.testing.dialects import Dialect

CLAUDE = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
MAKERS: dict[str, tuple[str, Callable[[str], Provider]]] = {
    "openai": ("completions", lambda url: tako.providers.OpenAI("gpt-4.1", api_key="k", base_url=url)),
    "responses": ("responses", lambda url: tako.providers.OpenAI("gpt-5", api_key="k", base_url=url, api="responses")),
    "azure": ("completions", lambda url: tako.providers.AzureOpenAI("gpt-4.1", api_key="k", endpoint=url)),
    "mistral": ("completions", lambda url: tako.providers.Mistral("mistral-small-latest", api_key="k", base_url=url)),
    "anthropic": ("messages", lambda url: tako.providers.Anthropic("claude-sonnet-4-5", api_key="k", base_url=url)),
    "bedrock": ("converse", lambda url: tako.providers.Bedrock(CLAUDE, region="us-east-1", endpoint_url=url)),
    "vertex": (
        "gemini",
        lambda url: tako.providers.Vertex("gemini-3-flash", project_id="p", access_token="t", endpoint_url=url),
    ),
    "ollama": ("ollama", lambda url: tako.providers.Ollama("qwen3", base_url=url)),
}
"""The dialect of a vendor's wire, and what makes its provider for an address."""


SCHEMA_FIELDS = ("parameters", "input_schema", "inputSchema", "parametersJsonSchema")


def dialect_of(vendor: str) -> Dialect:
    return DIALECTS[MAKERS[vendor][0]]


def ask(vendor: str, url: str, request: ChatRequest, *, stream: bool = False) -> ChatResponse:
    """Ask a vendor's provider, whole or streamed."""
    provider = MAKERS[vendor][1](url)
    return provider.blocking.stream(request).response() if stream else provider.blocking.chat(request)


def declared(vendor: str, body: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the tools of a body, each with ``name``, ``schema`` and ``strict``."""
    declarations: list[dict[str, Any]] = []
    tools = body["toolConfig"]["tools"] if vendor == "bedrock" and "toolConfig" in body else body.get("tools", [])
    for inner in [one for tool in tools for one in tool.get("functionDeclarations", [tool])]:
        fields = inner.get("function") or inner.get("toolSpec") or inner
        schema = next(fields[name] for name in SCHEMA_FIELDS if name in fields)
        declarations.append(
            {"name": fields["name"], "schema": schema.get("json", schema), "strict": fields.get("strict")}
        )
    return declarations


def reply_schema(vendor: str, body: dict[str, Any]) -> tuple[Any, Any]:
    """Return the schema of the reply in a body, and whether it's strict (None if the wire doesn't say)."""
    match vendor:
        case "responses":
            format_of_reply = body.get("text", {}).get("format", {})
        case "anthropic":
            format_of_reply = body.get("output_config", {}).get("format", {})
        case "bedrock":
            text = body.get("outputConfig", {}).get("textFormat", {}).get("structure", {}).get("jsonSchema", {})
            format_of_reply = {"schema": json.loads(text["schema"])} if text else {}
        case "vertex":
            format_of_reply = {"schema": body.get("generationConfig", {}).get("responseJsonSchema")}
        case "ollama":
            format_of_reply = {"schema": body.get("format")}
        case _:
            format_of_reply = body.get("response_format", {}).get("json_schema", {})
    return format_of_reply.get("schema"), format_of_reply.get("strict")
