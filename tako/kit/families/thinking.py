"""How much a model is asked to think.

Claude has two ways (https://platform.claude.com/docs/en/build-with-claude/thinking): a budget, up to Claude 4.6, and,
from 4.6 on, adaptive thinking with an effort. What else is here holds for other families, too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tako import notices
from tako.kit.families.rules import EFFORTS

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from tako.kit.families.rules import Rules
    from tako.translator import PartContext
    from tako.types import ChatRequest

BUDGETS = {"low": 2048, "medium": 8192, "high": 16384, "xhigh": 24576, "max": 32000}
"""Efforts, and the budgets in tokens that stand for them where a model knows budgets alone."""
ANSWER_TOKENS = 4096
"""Tokens that are left for the answer beside thinking, where a request doesn't say how many."""


def thinking(
    request: ChatRequest, rules: Rules, context: PartContext, *, is_tool_forced: bool, has_open_calls: bool
) -> dict[str, Any]:
    """Return Anthropic's fields for ``request.reasoning``; what is changed or left out is noted.

    ``is_tool_forced``: a tool has to be called, which forbids thinking. ``has_open_calls``: the last turn of the model
    has calls and no thinking, which forbids thinking within a budget.
    """
    reasoning = request.reasoning
    if reasoning is None:
        return {}
    uses_effort = bool(rules.efforts) and (isinstance(reasoning, str) or rules.budgets is None)
    reason = refusal(reasoning, rules, BUDGETS)
    if is_tool_forced and not uses_effort:
        reason = reason or "the API refuses thinking when a tool must be called"
    if has_open_calls and not uses_effort:
        reason = reason or "the turn with the tool calls has no thinking of this model to go on from"
    if reason:
        return note_left_out(context, reason)
    if uses_effort:
        return _fields_for_effort(
            effort_for(reasoning, rules.efforts, context), rules, context, is_tool_forced=is_tool_forced
        )
    return {"thinking": {"type": "enabled", "budget_tokens": _budget(reasoning, rules, context)}}


def refusal(reasoning: int | str, rules: Rules, known_efforts: Collection[str]) -> str:
    """Say why a model can't be asked to think as much, "" if it can."""
    if not rules.thinks:
        return "this model doesn't think"
    if isinstance(reasoning, str):
        return (
            "" if reasoning in known_efforts else f"{reasoning!r} isn't an effort (known: {', '.join(known_efforts)})"
        )
    return "" if reasoning > 0 else "a budget of 0 means no thinking"


def make_room(body: dict[str, Any], limit: int, rules: Rules, request: ChatRequest, context: PartContext) -> int:
    """Return ``max_tokens``, which counts thinking too, with as much room for the answer as was asked for.

    ``limit`` is what would go out otherwise. Where the model can't say as much, the budget in ``body`` shrinks.
    """
    fields: dict[str, Any] = body.get("thinking") or {}
    budget: int | None = fields.get("budget_tokens")
    output: dict[str, Any] = body.get("output_config") or {}
    effort = output.get("effort")
    if request.max_tokens is None and budget is None and effort in BUDGETS:
        return min(max(limit, ANSWER_TOKENS + BUDGETS[effort]), rules.most_output or limit)
    if budget is None or limit > budget:
        return limit
    max_tokens = budget + max(limit, 1)
    if rules.most_output is not None and max_tokens > rules.most_output:
        max_tokens = rules.most_output
        budget = max(min(budget, max_tokens - max(limit, 1)), (rules.budgets or (1024, 0))[0])
        body["thinking"] = {**fields, "budget_tokens": budget}
        note_changed(context, f"the budget was sent as {budget} tokens: a reply has at most {max_tokens}")
    if request.max_tokens is not None:
        text = f"max_tokens was sent as {max_tokens}: it must be more than the thinking's {budget}"
        context.notice(notices.CHANGED_PARAMETER, text, "max_tokens")
    return max_tokens


def effort_for(reasoning: int | str, efforts: Sequence[str], context: PartContext) -> str:
    """Return the effort that a model takes for the one, or the budget in tokens, that is asked for."""
    if isinstance(reasoning, str):
        effort = nearest(reasoning, efforts)
        if effort != reasoning:
            note_changed(
                context, f"the effort {reasoning!r} was sent as {effort!r}: the model takes {', '.join(efforts)}"
            )
        return effort
    effort = nearest(
        next((effort_name for effort_name in ("low", "medium") if reasoning <= BUDGETS[effort_name]), "high"), efforts
    )
    note_changed(context, f"a budget of {reasoning} tokens was sent as effort {effort!r}: the model takes no budget")
    return effort


def nearest(effort: str, efforts: Sequence[str]) -> str:
    """Return the least effort that is as much as is wanted, or the most that there is."""
    rank = EFFORTS.index(effort)
    return next((candidate for candidate in efforts if EFFORTS.index(candidate) >= rank), efforts[-1])


def note_changed(context: PartContext, text: str) -> None:
    """Note that reasoning went out in another form."""
    context.notice(notices.CHANGED_PARAMETER, text, "reasoning")


def note_left_out(context: PartContext, reason: str) -> dict[str, Any]:
    """Note that reasoning was left out, and return no fields."""
    context.notice(notices.UNSUPPORTED_PARAMETER, f"reasoning was left out: {reason}", "reasoning")
    return {}


def _fields_for_effort(effort: str, rules: Rules, context: PartContext, *, is_tool_forced: bool) -> dict[str, Any]:
    fields: dict[str, Any] = {"output_config": {"effort": effort}}
    if is_tool_forced:
        note_changed(
            context, "the effort was sent without thinking, because the API refuses thinking when a tool must be called"
        )
        return fields
    fields["thinking"] = {"type": "adaptive", "display": "summarized"} if rules.quiet else {"type": "adaptive"}
    return fields


def _budget(reasoning: int | str, rules: Rules, context: PartContext) -> int:
    least, most = rules.budgets or (1024, 1024)
    if isinstance(reasoning, str):
        budget = min(BUDGETS[reasoning], max(most - ANSWER_TOKENS, least))
        note_changed(
            context, f"the effort {reasoning!r} was sent as a budget of {budget} tokens: the model takes no effort"
        )
        return budget
    budget = min(max(reasoning, least), most)
    if budget != reasoning:
        note_changed(context, f"a budget of {reasoning} tokens was sent as {budget}: the model takes {least} to {most}")
    return budget
