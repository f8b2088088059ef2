"""A ChatRequest as the body of ``POST /v1/messages``, by what a model takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tako.json_values import as_array
from tako.kit.encoding import merge, merge_extra
from tako.kit.families import UNKNOWN, leave_out_prefill, make_room, note_mixed_citations, rules_of, sampling, thinking
from tako.kit.messages.request import parameters, tool_fields, tool_items
from tako.kit.messages.turns import BETWEEN, BLOCKS, COMPATIBLE, arrange, content
from tako.kit.schemas import ANTHROPIC, adapt
from tako.kit.turns import with_user_turn

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tako.kit.turns import Turn
    from tako.translator import PartContext, Translator
    from tako.types import ChatRequest

FORCING_CHOICES = ("any", "tool")


def encode_request(
    request: ChatRequest,
    model: str,
    translator: Translator,
    context: PartContext,
    *,
    stream: bool,
    default_max_tokens: int | None = None,
    no_sampling: str = "",
) -> dict[str, Any]:
    """Make the body of a request; what cannot be carried is noted in the context.

    ``default_max_tokens`` goes out if the request has no limit; None is as much as the model needs. ``no_sampling``:
    why the server takes neither temperature nor top_p, "" if it does.
    """
    name = request.model or model
    rules = rules_of(context.known_as)
    request = adapt(request, context, ANTHROPIC, name, rules)
    tools = tool_items(request, context)
    blocks = COMPATIBLE if rules is UNKNOWN else BETWEEN if rules.system_between else BLOCKS
    system, turns = with_user_turn(*arrange(request, translator, context, blocks, tools), context)
    leave_out_prefill(turns, rules, context)
    note_mixed_citations(_documents(turns), context)
    body: dict[str, Any] = {"model": name, "max_tokens": 0}
    if system:
        body["system"] = content(system)
    body["messages"] = [{"role": turn.role, "content": content(turn.items)} for turn in turns]
    body.update(tool_fields(request, tools, turns, context))
    is_tool_forced = body.get("tool_choice", {}).get("type") in FORCING_CHOICES
    body.update(thinking(request, rules, context, is_tool_forced=is_tool_forced, has_open_calls=_has_open_calls(turns)))
    limit = default_max_tokens or rules.default_output if request.max_tokens is None else request.max_tokens
    body["max_tokens"] = make_room(body, limit, rules, request, context)
    body.update(sampling(request, rules, context, thinking="thinking" in body, refusal=no_sampling))
    body = merge(body, dict(parameters(request, context)))
    if stream:
        body["stream"] = True
    return merge_extra(body, request.extra)


def _documents(turns: list[Turn]) -> Iterator[tuple[dict[str, Any], str]]:
    """List the documents, those in tool results too."""
    for item in [item for turn in turns for item in turn.items]:
        inner = as_array(item.block.get("content")) if item.kind == "tool_result" else None
        yield from ((block, item.path) for block in inner or [item.block] if block.get("type") == "document")


def _has_open_calls(turns: list[Turn]) -> bool:
    """Tell whether the reply goes on after tool results to a turn of the model that does not begin with thinking."""
    turns = [turn for turn in turns if turn.role != "system"]
    if len(turns) < 2 or turns[-1].items[0].kind != "tool_result":  # noqa: PLR2004 - calls and their results
        return False
    return turns[-2].items[0].kind not in ("thinking", "redacted_thinking")
