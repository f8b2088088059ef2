"""The format "anthropic" (https://platform.claude.com/docs/en/api/messages): content blocks, and alternating turns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from tako import JsonSchema, notices
from tako.kit.families import leave_out_prefill, rules_of, sampling
from tako.kit.messages import COMPATIBLE, arrange, content, encode_tool, tool_choice
from tako.kit.schemas import ANTHROPIC, adapt
from tako.kit.tools import encode_tools

if TYPE_CHECKING:
    from tako import ChatRequest
    from tako.translator import PartContext, Translator

WIRE = replace(ANTHROPIC, vendor="the server")
BUDGETS = {"low": 1024, "medium": 4096, "high": 16384}
"""The tokens that are sent for an effort."""


def anthropic_values(
    request: ChatRequest, translator: Translator, context: PartContext, *, separate_system: bool
) -> dict[str, Any]:
    """Return messages and parameters as the Messages API has them. It has no system messages among the others."""
    request = adapt(request, context, WIRE, context.known_as)
    system, turns = arrange(request, translator, context, COMPATIBLE)
    rules = rules_of(context.known_as)
    leave_out_prefill(turns, rules, context)
    values: dict[str, Any] = {"messages": [{"role": turn.role, "content": content(turn.items)} for turn in turns]}
    if not separate_system:
        for item in system:
            context.notice(notices.UNSUPPORTED_PART, "the template has no placeholder for system", item.path)
    elif system:
        plain = all(item.block.keys() == {"type", "text"} for item in system)
        values["system"] = "\n\n".join([item.block["text"] for item in system]) if plain else content(system)
    values.update(_parameters(request, context))
    values.update(sampling(request, rules, context, thinking="reasoning" in values))
    return values


def _parameters(request: ChatRequest, context: PartContext) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name in ("max_tokens", "stop", "seed", "metadata"):
        value = getattr(request, name)
        if value not in (None, [], {}):
            values[name] = value
    if tools := encode_tools(request, context, encode_tool):
        values["tools"] = tools
        if choice := tool_choice(request):
            values["tool_choice"] = choice
    for name in ("tool_choice", "parallel_tool_calls"):
        if not tools and getattr(request, name) is not None:
            context.notice(notices.UNSUPPORTED_PARAMETER, f"{name} was left out: the request has no tools", name)
    if isinstance(request.response_format, JsonSchema):
        values["response_format"] = {"type": "json_schema", "schema": request.response_format.schema}
    elif request.response_format is not None:
        text = "the server has no plain JSON mode; use a JsonSchema"
        context.notice(notices.UNSUPPORTED_PARAMETER, text, "response_format")
    if request.reasoning is not None:
        values.update(_thinking(request.reasoning, context))
    return values


def _thinking(effort: int | str, context: PartContext) -> dict[str, Any]:
    budget = effort if isinstance(effort, int) else BUDGETS.get(effort)
    if budget is None:
        context.notice(notices.UNSUPPORTED_PARAMETER, f"there is no effort {effort!r}", "reasoning")
        return {}
    if isinstance(effort, str):
        text = f"the effort {effort!r} was sent as a budget of {budget} tokens"
        context.notice(notices.CHANGED_PARAMETER, text, "reasoning")
    return {"reasoning": {"type": "enabled", "budget_tokens": budget}}
