"""How much a model is asked to think: each family has words of its own, and Converse passes them on.

Claude: "Extended thinking" and "Adaptive thinking" of the Bedrock user guide, and ``outputConfig.effort`` of Converse.
Nova 2: "Extended thinking" of the Nova user guide. gpt-oss: its model card. As of November 2026.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from tako import notices

if TYPE_CHECKING:
    from tako.translator import PartContext

FIELDS = "additionalModelRequestFields"
MIN_BUDGET = 1024
"""The smallest budget, in tokens, that Claude takes."""
BUDGETS = {"low": 2048, "medium": 8192, "high": 16384, "xhigh": 24576, "max": 32000}
"""Efforts, and the budgets in tokens that stand for them where a model knows budgets alone."""
WORDS = ("low", "medium", "high")
"""Efforts that every family with efforts has."""

_NONE = re.compile(r"claude-(v?[12]\b|instant|3-(opus|sonnet|haiku)|3-5)")
_BUDGET = re.compile(r"claude-(3-7|(opus|sonnet|haiku)-4(-[0-5])?(-20\d{6}|\b(?!-)))")
_CLAUDE = re.compile(r"claude")
_GPT = re.compile(r"gpt-oss")
_NOVA = re.compile(r"nova-2")


def reasoning(wanted: int | str, model: str, context: PartContext, *, forced: bool) -> dict[str, Any]:  # noqa: PLR0911 - one a family
    """Return the fields that carry ``request.reasoning``; what the model has no word for is changed or left out, noted.

    ``forced``: a tool has to be called, beside which Claude refuses to think.
    """
    if isinstance(wanted, str) and wanted not in BUDGETS:
        return _left_out(context, f"{wanted!r} is no effort (known: {', '.join(BUDGETS)})")
    if not isinstance(wanted, str) and wanted <= 0:
        return _left_out(context, "a budget of 0 is no thinking")
    if _NONE.search(model):
        return _left_out(context, "this model does not think")
    if _BUDGET.search(model):
        if forced:
            return _left_out(context, "the model refuses thinking where a tool must be called")
        return {FIELDS: {"thinking": {"type": "enabled", "budget_tokens": _budget(wanted, context)}}}
    if _CLAUDE.search(model):
        fields: dict[str, Any] = {"outputConfig": {"effort": _effort(wanted, tuple(BUDGETS), context)}}
        if forced:
            text = "the effort went out without thinking, which the model refuses where a tool must be called"
            context.notice(notices.CHANGED_PARAMETER, text, "reasoning")
            return fields
        return {**fields, FIELDS: {"thinking": {"type": "adaptive"}}}
    if _GPT.search(model):
        return {FIELDS: {"reasoning_effort": _effort(wanted, WORDS, context)}}
    if _NOVA.search(model):
        config = {"type": "enabled", "maxReasoningEffort": _effort(wanted, WORDS, context)}
        return {FIELDS: {"reasoningConfig": config}}
    return _left_out(context, f"no word of this model's for it is known; say it in extra, under {FIELDS}")


def _budget(wanted: int | str, context: PartContext) -> int:
    budget = BUDGETS[wanted] if isinstance(wanted, str) else max(wanted, MIN_BUDGET)
    if budget != wanted:
        text = f"{wanted!r} went out as a budget of {budget} tokens"
        context.notice(notices.CHANGED_PARAMETER, text, "reasoning")
    return budget


def _effort(wanted: int | str, words: tuple[str, ...], context: PartContext) -> str:
    if isinstance(wanted, str):
        effort = wanted if wanted in words else words[-1]
    else:
        effort = next((word for word in ("low", "medium") if wanted <= BUDGETS[word]), "high")
    if effort != wanted:
        context.notice(notices.CHANGED_PARAMETER, f"{wanted!r} went out as the effort {effort!r}", "reasoning")
    return effort


def _left_out(context: PartContext, reason: str) -> dict[str, Any]:
    context.notice(notices.UNSUPPORTED_PARAMETER, f"reasoning was left out: {reason}", "reasoning")
    return {}
