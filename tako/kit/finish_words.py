"""Why a reply ended: the words of Chat Completions, and those that gateways hand through from other wires."""

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


def finish_reason(word: str, words: Mapping[str, FinishReason], *, has_calls: bool) -> FinishReason:
    """Read a vendor's finish reason; if it gives none, calls speak for themselves."""
    if not word:
        return FinishReason.TOOL_CALLS if has_calls else FinishReason.OTHER
    return words.get(word) or words.get(word.lower(), FinishReason.OTHER)


def known_word(word: str, own: Mapping[str, FinishReason]) -> FinishReason:
    """Read a finish word by a wire's ``own`` ones, or by those of other wires, however it's written."""
    known = own.get(word) or own.get(word.upper()) or FINISH_REASONS.get(word.lower())
    return known or FinishReason.OTHER
