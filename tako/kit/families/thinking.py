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
ANSWER = 4096
"""Tokens that are left for the answer beside thinking, where a request doesn't say how many."""


def thinking(
    request: ChatRequest, rules: Rules, context: PartContext, *, forced: bool, open_calls: bool
) -> dict[str, Any]:
    """Return Anthropic's fields for ``request.reasoning``; what is changed or left out is noted.

    ``forced``: a tool has to be called, which forbids thinking. ``open_calls``: the last turn of the model has calls
    and no thinking, which forbids thinking within a budget.
    """
    wanted = request.reasoning
    if wanted is None:
        return {}
    by_effort = bool(rules.efforts) and (isinstance(wanted, str) or rules.budgets is None)
    reason = refusal(wanted, rules, BUDGETS)
    if forced and not by_effort:
        reason = reason or "the API refuses thinking when a tool must be called"
    if open_calls and not by_effort:
        reason = reason or "the turn with the tool calls has no thinking of this model to go on from"
    if reason:
        return left_out(context, reason)
    if by_effort:
        return _by_effort(effort_for(wanted, rules.efforts, context), rules, context, forced=forced)
    return {"thinking": {"type": "enabled", "budget_tokens": _budget(wanted, rules, context)}}


def refusal(wanted: int | str, rules: Rules, words: Collection[str]) -> str:
    """Say why a model can't be asked to think as much, "" if it can; ``words`` are the efforts that are known."""
    if not rules.thinks:
        return "this model doesn't think"
    if isinstance(wanted, str):
        return "" if wanted in words else f"{wanted!r} isn't an effort (known: {', '.join(words)})"
    return "" if wanted > 0 else "a budget of 0 means no thinking"


def make_room(body: dict[str, Any], limit: int, rules: Rules, request: ChatRequest, context: PartContext) -> int:
    """Return ``max_tokens``, which counts thinking too, with as much room for the answer as was asked for.

    ``limit`` is what would go out otherwise. Where the model can't say as much, the budget in ``body`` shrinks.
    """
    fields: dict[str, Any] = body.get("thinking") or {}
    budget: int | None = fields.get("budget_tokens")
    output: dict[str, Any] = body.get("output_config") or {}
    effort = output.get("effort")
    if request.max_tokens is None and budget is None and effort in BUDGETS:
        return min(max(limit, ANSWER + BUDGETS[effort]), rules.most_output or limit)
    if budget is None or limit > budget:
        return limit
    room = budget + max(limit, 1)
    if rules.most_output is not None and room > rules.most_output:
        room = rules.most_output
        budget = max(min(budget, room - max(limit, 1)), (rules.budgets or (1024, 0))[0])
        body["thinking"] = {**fields, "budget_tokens": budget}
        changed(context, f"the budget was sent as {budget} tokens: a reply has at most {room}")
    if request.max_tokens is not None:
        text = f"max_tokens was sent as {room}: it must be more than the thinking's {budget}"
        context.notice(notices.CHANGED_PARAMETER, text, "max_tokens")
    return room


def effort_for(wanted: int | str, efforts: Sequence[str], context: PartContext) -> str:
    """Return the effort that a model takes for the one, or the budget in tokens, that is asked for."""
    if isinstance(wanted, str):
        effort = nearest(wanted, efforts)
        if effort != wanted:
            changed(context, f"the effort {wanted!r} was sent as {effort!r}: the model takes {', '.join(efforts)}")
        return effort
    effort = nearest(next((word for word in ("low", "medium") if wanted <= BUDGETS[word]), "high"), efforts)
    changed(context, f"a budget of {wanted} tokens was sent as effort {effort!r}: the model takes no budget")
    return effort


def nearest(wanted: str, efforts: Sequence[str]) -> str:
    """Return the least effort that is as much as is wanted, or the most that there is."""
    rank = EFFORTS.index(wanted)
    return next((word for word in efforts if EFFORTS.index(word) >= rank), efforts[-1])


def changed(context: PartContext, text: str) -> None:
    """Note that reasoning went out in another form."""
    context.notice(notices.CHANGED_PARAMETER, text, "reasoning")


def left_out(context: PartContext, reason: str) -> dict[str, Any]:
    """Note that reasoning was left out, and return no fields."""
    context.notice(notices.UNSUPPORTED_PARAMETER, f"reasoning was left out: {reason}", "reasoning")
    return {}


def _by_effort(effort: str, rules: Rules, context: PartContext, *, forced: bool) -> dict[str, Any]:
    fields: dict[str, Any] = {"output_config": {"effort": effort}}
    if forced:
        changed(
            context, "the effort was sent without thinking, because the API refuses thinking when a tool must be called"
        )
        return fields
    fields["thinking"] = {"type": "adaptive", "display": "summarized"} if rules.quiet else {"type": "adaptive"}
    return fields


def _budget(wanted: int | str, rules: Rules, context: PartContext) -> int:
    least, most = rules.budgets or (1024, 1024)
    if isinstance(wanted, str):
        budget = min(BUDGETS[wanted], max(most - ANSWER, least))
        changed(context, f"the effort {wanted!r} was sent as a budget of {budget} tokens: the model takes no effort")
        return budget
    budget = min(max(wanted, least), most)
    if budget != wanted:
        changed(context, f"a budget of {wanted} tokens was sent as {budget}: the model takes {least} to {most}")
    return budget
