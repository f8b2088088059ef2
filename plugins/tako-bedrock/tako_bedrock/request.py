"""A ChatRequest as the body of Converse and ConverseStream, which are the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from tako import notices
from tako.kit.encoding import merge
from tako.kit.families import make_room, note_mixed_citations, sampling
from tako.kit.schemas import CONVERSE, NOVA, adapt
from tako.kit.tools import encode_tools
from tako.kit.turns import with_user_turn
from tako.types import JsonSchema, Tool
from tako_bedrock.documents import documents_in
from tako_bedrock.reasoning import MODEL_FIELDS, drop_refused_fields, encode_reasoning
from tako_bedrock.turns import arrange, cache_mark, cache_point, called_tools, content_of, has_open_calls

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tako.kit.families import Rules
    from tako.kit.turns import Turn
    from tako.translator import PartContext, Translator
    from tako.types import ChatRequest

EMPTY_SCHEMA: dict[str, Any] = {"type": "object", "properties": {}}


def encode_request(
    request: ChatRequest, model: str, rules: Rules, translator: Translator, context: PartContext
) -> dict[str, Any]:
    """Return the body of a request, without ``extra``. The context gets a notice for everything that's left out."""
    request = adapt(request, context, NOVA if rules.family == "nova" else CONVERSE, model, rules)
    system, turns = with_user_turn(*arrange(request, rules, translator, context), context)
    if rules.family == "claude":
        note_mixed_citations(documents_in(turns), context)
    body: dict[str, Any] = {}
    if system:
        body["system"] = content_of(system)
    body["messages"] = [{"role": turn.role, "content": content_of(turn.items)} for turn in turns]
    if tools := _tool_config(request, turns, rules, context):
        body["toolConfig"] = tools
    if request.metadata:
        body["requestMetadata"] = request.metadata
    if isinstance(request.response_format, JsonSchema):
        body["outputConfig"] = {"textFormat": _text_format(request.response_format)}
    elif request.response_format is not None:
        text = "response_format was left out: Converse has no JSON mode without a schema; give a JsonSchema"
        context.notice(notices.UNSUPPORTED_PARAMETER, text, "response_format")
    for name in ("seed", "parallel_tool_calls"):
        if getattr(request, name) is not None:
            context.notice(notices.UNSUPPORTED_PARAMETER, f"{name} was left out: Converse doesn't have it", name)
    forced = bool({"any", "tool"} & body.get("toolConfig", {}).get("toolChoice", {}).keys())
    thinking = encode_reasoning(request, rules, context, forced=forced, open_calls=has_open_calls(turns))
    if inference := dict(_inference_config(request, rules, thinking.get(MODEL_FIELDS, {}), context)):
        body["inferenceConfig"] = inference
    body = merge(body, thinking)
    drop_refused_fields(body, rules, context)
    return body


def _inference_config(
    request: ChatRequest, rules: Rules, thinking_fields: dict[str, Any], context: PartContext
) -> Iterator[tuple[str, Any]]:
    """Yield limits, sampling and stop sequences. ``thinking_fields`` ask the model to think."""
    if request.max_tokens is not None:
        yield "maxTokens", make_room(thinking_fields, request.max_tokens, rules, request, context)
    for name, value in sampling(request, rules, context, thinking=bool(thinking_fields)):
        yield {"temperature": "temperature", "top_p": "topP"}[name], value
    if request.stop and not rules.converse.stops:
        context.notice(notices.UNSUPPORTED_PARAMETER, "stop was left out: Converse refuses it for this model", "stop")
    elif request.stop:
        stops = request.stop if rules.blank_stops else [text for text in request.stop if text.strip()]
        if len(stops) < len(request.stop):
            text = "stop sequences that are only white space were left out: the model refuses them"
            context.notice(notices.UNSUPPORTED_PARAMETER, text, "stop")
        if stops:
            yield "stopSequences", stops


def _tool_config(request: ChatRequest, turns: list[Turn], rules: Rules, context: PartContext) -> dict[str, Any]:
    """Declare the tools. Converse refuses a history with calls without them, even if the model may call none."""
    names = dict.fromkeys(called_tools(turns))
    choice = request.tool_choice
    if choice == "none" and request.tools:
        text = "Converse can't forbid tools: they were sent, because the history has calls"
        if not names:
            text = "Converse can't forbid tools, so they were left out"
        context.notice(notices.CHANGED_PARAMETER, text, "tool_choice")
        return {"tools": _declare_tools(request, rules, context)} if names else {}
    if request.tools:
        config: dict[str, Any] = {"tools": _declare_tools(request, rules, context)}
        if choice is not None and (tool_choice := _tool_choice(choice, rules, context)):
            config["toolChoice"] = tool_choice
        return config
    if choice is not None:
        context.notice(
            notices.UNSUPPORTED_PARAMETER, "tool_choice was left out: the request has no tools", "tool_choice"
        )
    if not names or "toolConfig" in request.extra:
        return {}
    text = "the tools that were called so far were declared: Converse refuses a history with calls without them"
    context.notice(notices.ADDED_TOOLS, text, "tools")
    return {"tools": [{"toolSpec": {"name": name, "inputSchema": {"json": EMPTY_SCHEMA}}} for name in names]}


def _tool_choice(choice: str, rules: Rules, context: PartContext) -> dict[str, Any] | None:
    """Return which tool to call, as far as the model accepts it. "auto" is the default; some models have no choice."""
    if choice == "auto":
        return None
    kind = "any" if choice == "required" else "tool"
    if kind in rules.converse.choices:
        return {"any": {}} if kind == "any" else {"tool": {"name": choice}}
    if "any" in rules.converse.choices:
        text = f"tool_choice {choice!r} was sent as 'required': this model can't be told which tool to call"
        context.notice(notices.CHANGED_PARAMETER, text, "tool_choice")
        return {"any": {}}
    text = "tool_choice was left out: this model decides itself whether it calls a tool"
    context.notice(notices.UNSUPPORTED_PARAMETER, text, "tool_choice")
    return None


def _declare_tools(request: ChatRequest, rules: Rules, context: PartContext) -> list[dict[str, Any]]:
    """Declare the tools, each with its cache point; a tool's ``extra`` goes into its ``toolSpec``."""
    tools = [
        (i, tool) for i, tool in enumerate(request.tools) if isinstance(tool, Tool) or tool.provider == context.provider
    ]
    declared: list[dict[str, Any]] = []
    for (i, tool), block in zip(tools, encode_tools(request, context, _tool_spec), strict=True):
        declared.append({"toolSpec": block} if "inputSchema" in block else block)
        mark = isinstance(tool, Tool) and cache_mark(tool.cache, "tools", f"tools[{i}].cache", rules, context)
        if mark:
            declared.append(cache_point(mark))
    return declared


def _tool_spec(tool: Tool) -> dict[str, Any]:
    spec: dict[str, Any] = {"name": tool.name}
    if tool.description:
        spec["description"] = tool.description
    spec["inputSchema"] = {"json": tool.input_schema}
    if tool.strict is not None:
        spec["strict"] = tool.strict
    return spec


def _text_format(response_format: JsonSchema) -> dict[str, Any]:
    schema = {"schema": msgspec.json.encode(response_format.schema).decode(), "name": response_format.name}
    return {"type": "json_schema", "structure": {"jsonSchema": schema}}
