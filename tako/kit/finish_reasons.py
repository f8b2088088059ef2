"""Why a reply ended: the finish reasons of Chat Completions, and those that gateways pass on from other wires."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tako.types import FinishReason

if TYPE_CHECKING:
    from collections.abc import Mapping

FINISH_REASONS: Mapping[str, FinishReason] = {
    **dict.fromkeys(
        ("stop", "eos", "eos_token", "end_turn", "stop_sequence", "complete", "completed", "end"), FinishReason.STOP
    ),
    **dict.fromkeys(
        ("length", "model_length", "max_tokens", "max_output_tokens", "max_length", "model_context_window_exceeded"),
        FinishReason.LENGTH,
    ),
    **dict.fromkeys(("tool_calls", "function_call", "tool_use", "tool_call"), FinishReason.TOOL_CALLS),
    **dict.fromkeys(
        (
            *("content_filter", "content_filtered", "sensitive", "refusal", "guardrail_intervened", "safety"),
            *("recitation", "blocklist", "prohibited_content", "spii"),
        ),
        FinishReason.CONTENT_FILTER,
    ),
    **dict.fromkeys(
        ("error", "abort", "insufficient_system_resource", "network_error", "malformed_function_call"),
        FinishReason.ERROR,
    ),
    "pause_turn": FinishReason.PAUSE,
}
"""The vendors' words, in lower case, and those that gateways hand through from other wires; any other is OTHER.

``insufficient_system_resource`` is DeepSeek's, ``network_error`` and ``sensitive`` are Zhipu's, ``abort`` is vLLM's.
"""


def finish_reason(text: str, reasons: Mapping[str, FinishReason], *, has_calls: bool) -> FinishReason:
    """Read a vendor's finish reason; if it gives none, calls speak for themselves."""
    if not text:
        return FinishReason.TOOL_CALLS if has_calls else FinishReason.OTHER
    return reasons.get(text) or reasons.get(text.lower(), FinishReason.OTHER)


def lookup_finish_reason(text: str, own_reasons: Mapping[str, FinishReason]) -> FinishReason:
    """Read a finish word by a wire's ``own_reasons``, or by those of other wires, however it's written."""
    reason = own_reasons.get(text) or own_reasons.get(text.upper()) or FINISH_REASONS.get(text.lower())
    return reason or FinishReason.OTHER
