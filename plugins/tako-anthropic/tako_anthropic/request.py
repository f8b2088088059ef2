"""A ChatRequest as the body of ``POST /v1/messages``, by what a model of Anthropic's takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tako import notices
from tako.kit.encoding import merge, merge_extra
from tako.kit.messages import BETWEEN, BLOCKS, COMPATIBLE, arrange, content, declared, parameters, tool_fields
from tako.kit.turns import with_user
from tako_anthropic.models import UNKNOWN, Model, model_of
from tako_anthropic.thinking import decide

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tako.kit.turns import Turn
    from tako.translator import PartContext, Translator
    from tako.types import ChatRequest

NO_SAMPLING = "2026-10-21"
"""The first API version that answers 400 to temperature, top_p and top_k."""
FORCED = ("any", "tool")


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
    name = request.model or model
    known = model_of(name)
    tools = declared(request, context)
    blocks = COMPATIBLE if known is UNKNOWN else BETWEEN if known.system_between else BLOCKS
    system, turns = with_user(*arrange(request, translator, context, blocks, tools), context)
    if not known.goes_on:
        _leave_out_beginning(turns, context)
    limit = default_max_tokens if request.max_tokens is None else request.max_tokens
    body: dict[str, Any] = {"model": name, "max_tokens": limit}
    if system:
        body["system"] = content(system)
    body["messages"] = [{"role": turn.role, "content": content(turn.items)} for turn in turns]
    body.update(tool_fields(request, tools, turns, context))
    choice = body.get("tool_choice", {}).get("type")
    body.update(decide(request, known, context, forced=choice in FORCED, open_calls=_open_calls(turns)))
    if body.get("thinking", {}).get("type") == "enabled":
        _make_room(body, request, context)
    body.update(_sampling(request, known, context, version=version, thinking="thinking" in body))
    body = merge(body, dict(parameters(request, context)))
    if stream:
        body["stream"] = True
    return merge_extra(body, request.extra)


def _leave_out_beginning(turns: list[Turn], context: PartContext) -> None:
    """Leave out a beginning of the reply that the caller wrote; a turn of the model's own that's not over goes on."""
    if turns and turns[-1].role == "assistant" and not turns[-1].own:
        for item in turns.pop().items:
            text = "it was left out: this model does not go on from a turn of its own"
            context.notice(notices.MISPLACED_PART, text, item.path)


def _open_calls(turns: list[Turn]) -> bool:
    """Tell whether the reply goes on after tool results to a turn of the model that does not begin with thinking."""
    turns = [turn for turn in turns if turn.role != "system"]
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
                text = f"{name} went out as 1: the API takes 0 to 1, and {value} was asked for"
                context.notice(notices.CHANGED_PARAMETER, text, name)
            sampled = True
            yield name, min(value, 1)
            continue
        context.notice(notices.UNSUPPORTED_PARAMETER, f"{name} was left out: {reason}", name)
