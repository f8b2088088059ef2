"""How one vendor's Chat Completions differ from OpenAI's."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from tako.types import FinishReason

if TYPE_CHECKING:
    from collections.abc import Mapping

FINISH_REASONS: Mapping[str, FinishReason] = {
    "stop": FinishReason.STOP,
    "eos": FinishReason.STOP,
    "length": FinishReason.LENGTH,
    "model_length": FinishReason.LENGTH,
    "max_tokens": FinishReason.LENGTH,
    "tool_calls": FinishReason.TOOL_CALLS,
    "function_call": FinishReason.TOOL_CALLS,
    "content_filter": FinishReason.CONTENT_FILTER,
    "error": FinishReason.ERROR,
}
"""The vendors' words; any other is OTHER."""


class Dialect(Struct, frozen=True, kw_only=True):
    """The differences that a vendor, or one model, has.

    ``max_tokens`` and ``seed`` name the fields of those parameters. ``required`` is the word for "call some tool".
    ``stream_usage``: ask for usage by ``stream_options``. ``metadata``: the wire has it. ``reasoning_effort``: the
    field of the effort, None where there is none. ``reasoning_text``: the field of an assistant message that takes its
    own reasoning back, None where the wire has none. ``sampling``: temperature and top_p are taken.
    ``require_finish``: a stream without a finish reason and without ``[DONE]`` is truncated.
    """

    max_tokens: str = "max_tokens"
    seed: str = "seed"
    required: str = "required"
    stream_usage: bool = True
    metadata: bool = True
    reasoning_effort: str | None = "reasoning_effort"
    reasoning_text: str | None = None
    sampling: bool = True
    require_finish: bool = True


REASONING_MODELS = re.compile(r"(.*/)?(o\d|gpt-5|gpt-6|codex)")
"""OpenAI's models that count reasoning within ``max_completion_tokens`` and refuse ``max_tokens``, by name."""


def for_openai(dialect: Dialect, model: str) -> Dialect:
    """Return how the wire of one of OpenAI's models differs, wherever it is served."""
    return replace(dialect, max_tokens="max_completion_tokens") if REASONING_MODELS.match(model) else dialect


def finish_reason(word: str | None, *, has_calls: bool) -> FinishReason:
    """Read a vendor's finish reason; where it gives none, calls speak for themselves."""
    if not word:
        return FinishReason.TOOL_CALLS if has_calls else FinishReason.OTHER
    return FINISH_REASONS.get(word, FinishReason.OTHER)
