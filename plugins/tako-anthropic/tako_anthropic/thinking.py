"""How much a model is asked to think (https://platform.claude.com/docs/en/build-with-claude/thinking).

Two wires: ``thinking: {"type": "enabled", "budget_tokens"}`` of models up to Claude 4.6, and, from 4.6 on,
``thinking: {"type": "adaptive"}`` with ``output_config.effort``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tako import notices

if TYPE_CHECKING:
    from tako.translator import PartContext
    from tako.types import ChatRequest
    from tako_anthropic.models import Model

MIN_BUDGET = 1024
"""The smallest budget, in tokens, that the API takes."""
BUDGETS = {"low": 2048, "medium": 8192, "high": 16384, "xhigh": 24576, "max": 32000}
"""Efforts, and the budgets in tokens that stand for them where a model knows budgets alone."""


def decide(
    request: ChatRequest, model: Model, context: PartContext, *, forced: bool, open_calls: bool
) -> dict[str, Any]:
    """Return the fields that carry ``request.reasoning``; what the model has no word for is changed or left out, noted.

    ``forced``: a tool has to be called, which forbids thinking. ``open_calls``: the last turn of the model has calls
    and no thinking, which forbids thinking within a budget.
    """
    wanted = request.reasoning
    if wanted is None:
        return {}
    if not (model.budget or model.effort):
        return _left_out(context, "this model does not think")
    if isinstance(wanted, str) and wanted not in BUDGETS:
        return _left_out(context, f"{wanted!r} is no effort (known: {', '.join(BUDGETS)})")
    if not isinstance(wanted, str) and wanted <= 0:
        return _left_out(context, "a budget of 0 is no thinking")
    if model.effort and (isinstance(wanted, str) or not model.budget):
        return _by_effort(wanted, model, context, forced=forced)
    return _by_budget(wanted, context, forced=forced, open_calls=open_calls)


def _by_effort(wanted: int | str, model: Model, context: PartContext, *, forced: bool) -> dict[str, Any]:
    if not isinstance(wanted, str):
        effort = next((word for word in ("low", "medium") if wanted <= BUDGETS[word]), "high")
        _changed(context, f"a budget of {wanted} tokens went out as effort {effort!r}: the model takes no budget")
        wanted = effort
    fields: dict[str, Any] = {"output_config": {"effort": wanted}}
    if forced:
        _changed(context, "the effort went out without thinking, which the API refuses where a tool must be called")
        return fields
    fields["thinking"] = {"type": "adaptive", "display": "summarized"} if model.quiet else {"type": "adaptive"}
    return fields


def _by_budget(wanted: int | str, context: PartContext, *, forced: bool, open_calls: bool) -> dict[str, Any]:
    if forced:
        return _left_out(context, "the API refuses thinking where a tool must be called")
    if open_calls:
        return _left_out(context, "the turn with the tool calls has no thinking of this model to go on from")
    if isinstance(wanted, str):
        budget = BUDGETS[wanted]
        _changed(context, f"the effort {wanted!r} went out as a budget of {budget} tokens: the model takes no effort")
    elif wanted < MIN_BUDGET:
        budget = MIN_BUDGET
        _changed(context, f"a budget of {wanted} tokens went out as {MIN_BUDGET}, the smallest that the API takes")
    else:
        budget = wanted
    return {"thinking": {"type": "enabled", "budget_tokens": budget}}


def _changed(context: PartContext, text: str) -> None:
    context.notice(notices.CHANGED_PARAMETER, text, "reasoning")


def _left_out(context: PartContext, reason: str) -> dict[str, Any]:
    context.notice(notices.UNSUPPORTED_PARAMETER, f"reasoning was left out: {reason}", "reasoning")
    return {}
