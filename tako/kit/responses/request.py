"""A ChatRequest as the body of ``POST /responses``."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from tako import notices
from tako.json_values import as_object, text_of
from tako.kit.completions.parameters import encode_effort, json_mode_instruction, name_of, temperatures, tools_of
from tako.kit.encoding import merge_extra, note_system_as_user, refuse_empty
from tako.kit.responses.hosts import is_openai_or_azure
from tako.kit.responses.turns import arrange
from tako.kit.schemas.request import adapt
from tako.types import VendorTool

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tako.kit.completions.dialect import Dialect
    from tako.translator import PartContext, Translator
    from tako.types import ChatRequest, JsonSchema, Tool

ENCRYPTED = "reasoning.encrypted_content"
MIN_OUTPUT_TOKENS = 16
"""The least ``max_output_tokens`` that OpenAI takes."""
UNSUPPORTED = ("stop", "seed")
"""Parameters that the API doesn't have."""


def encode_request(
    request: ChatRequest, model: str, translator: Translator, context: PartContext, dialect: Dialect, *, stream: bool
) -> dict[str, Any]:
    """Make the body of a request; what it can't carry is noted in the context.

    ``dialect`` says what the model takes: efforts (one that takes none doesn't reason), sampling, the least effort.
    """
    request = adapt(request, context, dialect.wire, context.known_as)
    instructions, items = arrange(request, translator, context)
    if not items:
        refuse_empty(items, context)
    if all(item.get("role") == "system" for item in items):
        note_system_as_user(items, context)
        items = [{**item, "role": "user"} for item in items]
    body: dict[str, Any] = {"model": request.model or model, "input": items}
    if "conversation" not in request.extra:  # which the vendor keeps
        body["store"] = False
    if json_instruction := json_mode_instruction(request, context, dialect):
        instructions = f"{instructions}\n\n{json_instruction}" if instructions else json_instruction
    if instructions is not None:
        body["instructions"] = instructions
    if dialect.reasoning_effort is not None:
        body["include"] = [ENCRYPTED]
    body.update(tools_of(request, context, _tool, partial(_choice, request=request)))
    body.update(_sampling(request, context, dialect))
    body.update(_other_fields(request, context, dialect))
    if stream:
        body["stream"] = True
    return merge_extra(body, request.extra)


def _choice(choice: str, request: ChatRequest) -> Any:
    """Return the choice in the wire's words: a function by its name, a vendor's own tool by its type."""
    if choice in ("auto", "none", "required"):
        return choice
    block = next((tool.block for tool in request.tools if isinstance(tool, VendorTool) and tool.name == choice), None)
    if block is None:
        return {"type": "function", "name": choice}
    return {name: block[name] for name in ("type", "name", "server_label") if name in block}


def _tool(tool: Tool) -> dict[str, Any]:
    """Declare a function. Without ``strict`` the API would hold its arguments to the schema, and refuse many."""
    description = {"description": tool.description} if tool.description else {}
    return {
        "type": "function",
        "name": tool.name,
        **description,
        "parameters": tool.input_schema,
        "strict": bool(tool.strict),
    }


def _sampling(request: ChatRequest, context: PartContext, dialect: Dialect) -> Iterator[tuple[str, Any]]:
    effort = text_of((as_object(request.extra.get("reasoning")) or {}).get("effort"))
    effective = replace(request, reasoning=effort) if effort and request.reasoning is None else request
    if is_openai_or_azure(context.origin.server):  # none of OpenAI's models takes both, unknown ones neither
        dialect = replace(dialect, sampling_beside_effort=False)
    yield from temperatures(effective, context, dialect)
    if request.max_tokens is not None:
        if request.max_tokens < MIN_OUTPUT_TOKENS:
            text = f"max_tokens was sent as {MIN_OUTPUT_TOKENS}, the least that the API takes"
            context.notice(notices.CHANGED_PARAMETER, text, "max_tokens")
        yield "max_output_tokens", max(request.max_tokens, MIN_OUTPUT_TOKENS)


def _other_fields(request: ChatRequest, context: PartContext, dialect: Dialect) -> Iterator[tuple[str, Any]]:
    for name in UNSUPPORTED:
        if getattr(request, name) not in (None, []):
            context.notice(
                notices.UNSUPPORTED_PARAMETER, f"{name} was left out: the Responses API doesn't have it", name
            )
    if request.response_format is not None:
        yield "text", {"format": _format(request.response_format, context)}
    effort = encode_effort(request.reasoning, context, dialect)
    if effort is not None:
        yield "reasoning", {"effort": effort}
    if request.metadata:
        yield "metadata", request.metadata


def _format(response_format: str | JsonSchema, context: PartContext) -> dict[str, Any]:
    if isinstance(response_format, str):
        return {"type": "json_object"}
    return {
        "type": "json_schema",
        "name": name_of(response_format, context),
        "schema": response_format.schema,
        "strict": response_format.strict,
    }
