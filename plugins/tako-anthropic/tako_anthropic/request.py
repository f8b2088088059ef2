"""A ChatRequest as the body of ``POST /v1/messages``."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from tako import notices
from tako.kit.encoding import merge
from tako.kit.messages import arrange, content, encode_tool
from tako.kit.turns import with_user
from tako.types import JsonSchema
from tako_anthropic.models import Model, model_of
from tako_anthropic.thinking import decide

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tako.kit.turns import Turn
    from tako.translator import PartContext, Translator
    from tako.types import ChatRequest

NO_SAMPLING = "2026-10-21"
"""The first API version that answers 400 to temperature, top_p and top_k."""
FORCED = ("any", "tool")
_NOT_NAME = re.compile(r"[^a-zA-Z0-9_-]")


def encode_request(
    request: ChatRequest,
    model: str,
    translator: Translator,
    context: PartContext,
    *,
    version: str,
    default_max_tokens: int,
    stream: bool,
) -> dict[str, Any]:
    """Make the body of a request; what cannot be carried is noted in the context."""
    system, turns = with_user(*arrange(request, translator, context), context)
    context.path = ""
    name = request.model or model
    known = model_of(name)
    if turns and turns[-1].role == "assistant" and not known.goes_on:
        for item in turns.pop().items:
            said = "it was left out: this model does not go on from a turn of its own"
            context.notice(notices.MISPLACED_PART, said, item.path)
    asked = default_max_tokens if request.max_tokens is None else request.max_tokens
    body: dict[str, Any] = {"model": name, "max_tokens": asked}
    if system:
        body["system"] = content(system)
    body["messages"] = [{"role": turn.role, "content": content(turn.items)} for turn in turns]
    body.update(_tools(request, turns, context))
    choice = body.get("tool_choice", {}).get("type")
    body.update(decide(request, known, context, forced=choice in FORCED, open_calls=_open_calls(turns)))
    if body.get("thinking", {}).get("type") == "enabled":
        _make_room(body, request, context)
    body.update(_sampling(request, known, context, version=version, thinking="thinking" in body))
    body = merge(body, dict(_parameters(request, context)))
    if stream:
        body["stream"] = True
    return merge(body, request.extra) if request.extra else body


def _tools(request: ChatRequest, turns: list[Turn], context: PartContext) -> Iterator[tuple[str, Any]]:
    if request.tools:
        yield "tools", [encode_tool(tool) for tool in request.tools]
        if request.tool_choice is not None:
            words = {"auto": {"type": "auto"}, "none": {"type": "none"}, "required": {"type": "any"}}
            yield "tool_choice", words.get(request.tool_choice) or {"type": "tool", "name": request.tool_choice}
        return
    if request.tool_choice is not None:
        context.notice(notices.UNSUPPORTED_PARAMETER, "tool_choice was left out: there are no tools", "tool_choice")
    called = {str(item.block["name"]): None for turn in turns for item in turn.items if item.kind == "tool_use"}
    if called and "tools" not in request.extra:
        # a history with calls is refused unless it declares tools; none of these may be called again
        names = {(_NOT_NAME.sub("_", name) or "tool")[:128]: None for name in called}
        yield "tools", [{"name": name, "input_schema": {"type": "object"}} for name in names]
        yield "tool_choice", {"type": "none"}


def _open_calls(turns: list[Turn]) -> bool:
    """Tell whether the reply goes on after tool results to a turn of the model that does not begin with thinking."""
    if len(turns) < 2 or turns[-1].items[0].kind != "tool_result":  # noqa: PLR2004 - calls and their results
        return False
    return turns[-2].items[0].kind not in ("thinking", "redacted_thinking")


def _make_room(body: dict[str, Any], request: ChatRequest, context: PartContext) -> None:
    """Let ``max_tokens``, which counts thinking too, leave as much for the answer as was asked for."""
    budget, limit = body["thinking"]["budget_tokens"], body["max_tokens"]
    if limit <= budget:
        body["max_tokens"] = budget + max(limit, 1)
        if request.max_tokens is not None:
            text = f"max_tokens went out as {body['max_tokens']}: it must be more than the thinking's {budget}"
            context.notice(notices.CHANGED_PARAMETER, text, "max_tokens")


def _sampling(
    request: ChatRequest, model: Model, context: PartContext, *, version: str, thinking: bool
) -> Iterator[tuple[str, float]]:
    sampled = False
    for name, value in (("temperature", request.temperature), ("top_p", request.top_p)):
        if value is None:
            continue
        if version >= NO_SAMPLING:
            reason = f"the API version {version} refuses it"
        elif not model.samples:
            reason = "this model refuses it"
        elif sampled and not model.samples_by_both:
            reason = "this model takes no top_p beside a temperature"
        elif thinking and not (value == 1 if name == "temperature" else 0.95 <= value <= 1):  # noqa: PLR2004 - documented
            reason = "it must be 1 beside thinking" if name == "temperature" else "it must be 0.95 to 1 beside thinking"
        else:
            if value > 1:
                said = f"{name} went out as 1: the API takes 0 to 1, and {value} was asked for"
                context.notice(notices.CHANGED_PARAMETER, said, name)
            sampled = True
            yield name, min(value, 1)
            continue
        context.notice(notices.UNSUPPORTED_PARAMETER, f"{name} was left out: {reason}", name)


def _parameters(request: ChatRequest, context: PartContext) -> Iterator[tuple[str, Any]]:
    stops = [text for text in request.stop if text.strip()]
    if len(stops) < len(request.stop):
        text = "stop sequences of white space were left out: the API refuses them"
        context.notice(notices.UNSUPPORTED_PARAMETER, text, "stop")
    if stops:
        yield "stop_sequences", stops
    if request.seed is not None:
        context.notice(notices.UNSUPPORTED_PARAMETER, "seed was left out: the API has none", "seed")
    if isinstance(request.response_format, JsonSchema):
        yield "output_config", {"format": {"type": "json_schema", "schema": request.response_format.schema}}
    elif request.response_format is not None:
        text = "response_format was left out: the API has no JSON mode without a schema; give a JsonSchema"
        context.notice(notices.UNSUPPORTED_PARAMETER, text, "response_format")
    for key, value in request.metadata.items():
        if key == "user_id":
            yield "metadata", {"user_id": value}
        else:
            text = "the API knows no metadata but user_id"
            context.notice(notices.UNSUPPORTED_PARAMETER, text, f"metadata.{key}")
