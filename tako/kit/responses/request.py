"""A ChatRequest as the body of ``POST /responses``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tako import notices
from tako.kit.completions.parameters import effort_of, name_of
from tako.kit.encoding import merge_extra, refuse_empty, speak_as_user
from tako.kit.responses.turns import arrange
from tako.kit.tools import encode_tools
from tako.types import Tool, VendorTool

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tako.kit.completions.dialect import Dialect
    from tako.translator import PartContext, Translator
    from tako.types import ChatRequest, JsonSchema

ENCRYPTED = "reasoning.encrypted_content"
LEAST_OUTPUT = 16
"""The least ``max_output_tokens`` that OpenAI takes."""
MISSING = ("stop", "seed")
"""Parameters that the API doesn't have."""


def encode_request(
    request: ChatRequest, model: str, translator: Translator, context: PartContext, dialect: Dialect, *, stream: bool
) -> dict[str, Any]:
    """Make the body of a request; what it can't carry is noted in the context.

    ``dialect`` says what the model takes: efforts (one that takes none doesn't reason), sampling, the least effort.
    """
    instructions, items = arrange(request, translator, context)
    if not items:
        refuse_empty(items, context)
    if all(item.get("role") == "system" for item in items):
        speak_as_user(items, context)
        items = [{**item, "role": "user"} for item in items]
    body: dict[str, Any] = {"model": request.model or model, "input": items, "store": False}
    if instructions is not None:
        body["instructions"] = instructions
    if dialect.reasoning_effort is not None:
        body["include"] = [ENCRYPTED]
    body.update(_tools(request, context))
    body.update(_sampling(request, context, dialect))
    body.update(_rest(request, context, dialect))
    if stream:
        body["stream"] = True
    return merge_extra(body, request.extra)


def _tools(request: ChatRequest, context: PartContext) -> Iterator[tuple[str, Any]]:
    tools = encode_tools(request, context, _tool)
    if tools:
        yield "tools", tools
    for i, tool in enumerate(request.tools):
        if isinstance(tool, Tool) and tool.cache:
            context.notice(notices.UNSUPPORTED_PARAMETER, "cache was left out: tools have no mark", f"tools[{i}].cache")
    for name in ("tool_choice", "parallel_tool_calls"):
        value = getattr(request, name)
        if value is not None and (tools or "tools" in request.extra):
            yield name, _choice(value, request) if name == "tool_choice" else value
        elif value is not None:
            context.notice(notices.UNSUPPORTED_PARAMETER, f"{name} was left out: there are no tools", name)


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
    schema: dict[str, Any] = tool.input_schema
    if schema.get("type", "object") == "object" and not ("type" in schema and "properties" in schema):
        known: dict[str, Any] = {"type": "object", "properties": {}}
        schema = known | schema  # OpenAI refuses schemas without either
    described = {"description": tool.description} if tool.description else {}
    return {"type": "function", "name": tool.name, **described, "parameters": schema, "strict": bool(tool.strict)}


def _sampling(request: ChatRequest, context: PartContext, dialect: Dialect) -> Iterator[tuple[str, Any]]:
    thinks = request.reasoning not in (None, "none") and not dialect.sampling_beside_effort
    beside = " beside an effort" if thinks else ""
    for name in ("temperature", "top_p"):
        value = getattr(request, name)
        if value is not None and dialect.sampling and not thinks:
            yield name, value
        elif value is not None:
            context.notice(notices.UNSUPPORTED_PARAMETER, f"{name} was left out: this model takes none{beside}", name)
    if request.max_tokens is not None:
        if request.max_tokens < LEAST_OUTPUT:
            text = f"max_tokens went out as {LEAST_OUTPUT}, the least that the API takes"
            context.notice(notices.CHANGED_PARAMETER, text, "max_tokens")
        yield "max_output_tokens", max(request.max_tokens, LEAST_OUTPUT)


def _rest(request: ChatRequest, context: PartContext, dialect: Dialect) -> Iterator[tuple[str, Any]]:
    for name in MISSING:
        if getattr(request, name) not in (None, []):
            context.notice(notices.UNSUPPORTED_PARAMETER, f"{name} was left out: the Responses API has none", name)
    if request.response_format is not None:
        yield "text", {"format": _format(request.response_format, context)}
    if request.reasoning is not None:
        yield from _effort(request.reasoning, context, dialect)
    if request.metadata:
        yield "metadata", request.metadata


def _format(wanted: str | JsonSchema, context: PartContext) -> dict[str, Any]:
    if isinstance(wanted, str):
        return {"type": "json_object"}
    return {"type": "json_schema", "name": name_of(wanted, context), "schema": wanted.schema, "strict": wanted.strict}


def _effort(wanted: int | str, context: PartContext, dialect: Dialect) -> Iterator[tuple[str, Any]]:
    if dialect.reasoning_effort is None:
        context.notice(notices.UNSUPPORTED_PARAMETER, "reasoning was left out: this model takes no effort", "reasoning")
        return
    if isinstance(wanted, int):
        effort = effort_of(wanted) if wanted > 0 else dialect.least_effort
        context.notice(notices.CHANGED_PARAMETER, f"a budget of {wanted} tokens went out as {effort!r}", "reasoning")
        wanted = effort
    yield "reasoning", {"effort": wanted}
