"""How much a model should think. Each family has its own fields, and Converse passes them on.

Claude: "Extended thinking" and "Adaptive thinking" of the Bedrock user guide, and ``outputConfig.effort`` of Converse.
Nova 2: "Extended thinking" of the Nova user guide. gpt-oss: its model card. As of November 2026.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tako import notices
from tako.kit.families import EFFORTS, effort_for, note_left_out, refusal, thinking
from tako_bedrock.turns import model_phrase

if TYPE_CHECKING:
    from tako.kit.families import Rules
    from tako.translator import PartContext
    from tako.types import ChatRequest

MODEL_FIELDS = "additionalModelRequestFields"


def encode_reasoning(
    request: ChatRequest, rules: Rules, context: PartContext, *, forced: bool, open_calls: bool
) -> dict[str, Any]:
    """Return the fields for ``request.reasoning``. A value that the model lacks is changed or left out, with a notice.

    ``forced``: the model has to call a tool; Claude refuses to think then. ``open_calls``: its last turn has calls
    and no thinking.
    """
    requested = request.reasoning
    if requested is None:
        return {}
    if rules.family == "claude":
        return _claude_fields(thinking(request, rules, context, is_tool_forced=forced, has_open_calls=open_calls))
    levels = [level for level in EFFORTS if level != "none" or level in rules.efforts]
    reason = refusal(requested, rules, levels)
    if rules.family not in ("gpt", "nova"):
        reason = f"tako doesn't know how {model_phrase(rules)} takes it; put it into extra, under {MODEL_FIELDS}"
    if reason:
        return note_left_out(context, reason)
    effort = effort_for(requested, rules.efforts, context)
    if rules.family == "gpt":
        return {MODEL_FIELDS: {"reasoning_effort": effort}}
    return {MODEL_FIELDS: {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": effort}}}


def drop_refused_fields(body: dict[str, Any], rules: Rules, context: PartContext) -> None:
    """Leave out what a model refuses with its highest effort: Nova 2 accepts no token limit and no sampling then."""
    effort = body.get(MODEL_FIELDS, {}).get("reasoningConfig", {}).get("maxReasoningEffort")
    if effort not in rules.alone or "inferenceConfig" not in body:
        return
    for name, path in (("maxTokens", "max_tokens"), ("temperature", "temperature"), ("topP", "top_p")):
        if body["inferenceConfig"].pop(name, None) is not None:
            text = f"{path} was left out: the model refuses it with the effort {effort!r}"
            context.notice(notices.UNSUPPORTED_PARAMETER, text, path)
    if not body["inferenceConfig"]:
        del body["inferenceConfig"]


def _claude_fields(fields: dict[str, Any]) -> dict[str, Any]:
    """Put Anthropic's fields where Converse has them."""
    encoded: dict[str, Any] = {}
    if "output_config" in fields:
        encoded["outputConfig"] = fields["output_config"]
    if "thinking" in fields:
        encoded[MODEL_FIELDS] = {"thinking": fields["thinking"]}
    return encoded
