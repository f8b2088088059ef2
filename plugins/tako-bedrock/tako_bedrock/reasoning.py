"""How much a model is asked to think: each family has words of its own, and Converse passes them on.

Claude: "Extended thinking" and "Adaptive thinking" of the Bedrock user guide, and ``outputConfig.effort`` of Converse.
Nova 2: "Extended thinking" of the Nova user guide. gpt-oss: its model card. As of November 2026.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tako import notices
from tako.kit.families import EFFORTS, effort_for, left_out, refusal, thinking
from tako_bedrock.turns import who

if TYPE_CHECKING:
    from tako.kit.families import Rules
    from tako.translator import PartContext
    from tako.types import ChatRequest

FIELDS = "additionalModelRequestFields"


def reasoning(
    request: ChatRequest, rules: Rules, context: PartContext, *, forced: bool, open_calls: bool
) -> dict[str, Any]:
    """Return the fields that carry ``request.reasoning``; what the model has no word for is changed or left out, noted.

    ``forced``: a tool has to be called, beside which Claude refuses to think. ``open_calls``: its last turn has calls
    and no thinking.
    """
    wanted = request.reasoning
    if wanted is None:
        return {}
    if rules.family == "claude":
        return _claude(thinking(request, rules, context, forced=forced, open_calls=open_calls))
    words = [word for word in EFFORTS if word != "none" or word in rules.efforts]
    reason = refusal(wanted, rules, words)
    if rules.family not in ("gpt", "nova"):
        reason = f"no word of {who(rules)} for it is known; say it in extra, under {FIELDS}"
    if reason:
        return left_out(context, reason)
    effort = effort_for(wanted, rules.efforts, context)
    if rules.family == "gpt":
        return {FIELDS: {"reasoning_effort": effort}}
    return {FIELDS: {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": effort}}}


def alone(body: dict[str, Any], rules: Rules, context: PartContext) -> None:
    """Leave out what a model refuses beside its highest effort; Nova 2 takes neither a limit nor sampling there."""
    effort = body.get(FIELDS, {}).get("reasoningConfig", {}).get("maxReasoningEffort")
    if effort not in rules.alone or "inferenceConfig" not in body:
        return
    for name, path in (("maxTokens", "max_tokens"), ("temperature", "temperature"), ("topP", "top_p")):
        if body["inferenceConfig"].pop(name, None) is not None:
            text = f"{path} was left out: the model refuses it beside the effort {effort!r}"
            context.notice(notices.UNSUPPORTED_PARAMETER, text, path)
    if not body["inferenceConfig"]:
        del body["inferenceConfig"]


def _claude(fields: dict[str, Any]) -> dict[str, Any]:
    """Put Anthropic's own fields where Converse has them."""
    made: dict[str, Any] = {}
    if "output_config" in fields:
        made["outputConfig"] = fields["output_config"]
    if "thinking" in fields:
        made[FIELDS] = {"thinking": fields["thinking"]}
    return made
