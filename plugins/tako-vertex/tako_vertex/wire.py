"""The fields of replies to generateContent and streamGenerateContent that tako reads.

Source: the discovery document of aiplatform v1, GoogleCloudAiplatformV1GenerateContentResponse.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from msgspec import Struct

from tako.json_values import count_of
from tako.kit.finish_reasons import lookup_finish_reason
from tako.types import FinishReason, Usage

FINISH_REASONS = {
    "STOP": FinishReason.STOP,
    "MAX_TOKENS": FinishReason.LENGTH,
    "CONTINUATION": FinishReason.PAUSE,
    **dict.fromkeys(
        (
            "SAFETY",
            "RECITATION",
            "BLOCKLIST",
            "PROHIBITED_CONTENT",
            "SPII",
            "LANGUAGE",
            "MODEL_ARMOR",
            "IMAGE_SAFETY",
            "IMAGE_PROHIBITED_CONTENT",
            "IMAGE_RECITATION",
            "ESCALATION",
            "PUP_LIMITED_DISABLED",
        ),
        FinishReason.CONTENT_FILTER,
    ),
    **dict.fromkeys(
        (
            "MALFORMED_FUNCTION_CALL",
            "MALFORMED_RESPONSE",
            "MISSING_THOUGHT_SIGNATURE",
            "NO_IMAGE",
            "TOO_MANY_TOOL_CALLS",
            "UNEXPECTED_TOOL_CALL",
        ),
        FinishReason.ERROR,
    ),
}
"""Gemini's finish reasons (FinishReason of google-genai 3.6). Any other is OTHER."""


class PartialArg(Struct, rename="camel"):
    """A value, or a fragment of a string, in a call's arguments, with its JSON path (RFC 9535)."""

    json_path: str = ""
    string_value: str | None = None
    number_value: float | int | None = None
    bool_value: bool | None = None
    null_value: Any = msgspec.UNSET


class FunctionCall(Struct, rename="camel"):
    """A function call, or the next fragment of one."""

    id: Any = None
    name: str | None = None
    args: Any = None
    partial_args: list[PartialArg] | None = None
    will_continue: bool | None = None


class Content(Struct):
    """The parts of a candidate."""

    parts: list[dict[str, Any]] | None = None


class Candidate(Struct, rename="camel"):
    """One candidate, or a fragment of one. Any field may be missing."""

    content: Content | None = None
    finish_reason: str | None = None
    finish_message: str | None = None
    index: int | None = None


class PromptFeedback(Struct, rename="camel"):
    """Why Gemini refused the prompt."""

    block_reason: str | None = None
    block_reason_message: str | None = None


class UsageMetadata(Struct, rename="camel", gc=False):
    """Tokens, and how they're billed. The counts of a stream are running totals. Any of them may be missing."""

    prompt_token_count: Any = None
    tool_use_prompt_token_count: Any = None
    candidates_token_count: Any = None
    thoughts_token_count: Any = None
    cached_content_token_count: Any = None
    traffic_type: Any = None

    def usage(self) -> Usage:
        """Return tako's counts. Tokens of tools' prompts are input, thoughts are output."""
        thoughts = count_of(self.thoughts_token_count)
        return Usage(
            count_of(self.prompt_token_count) + count_of(self.tool_use_prompt_token_count),
            count_of(self.candidates_token_count) + thoughts,
            count_of(self.cached_content_token_count),
            0,  # another API call fills caches, and they're billed by the hour
            thoughts,
        )

    def merge(self, previous: UsageMetadata) -> UsageMetadata:
        """Return these totals, with the previous ones for those that are missing."""
        if not self.prompt_token_count:  # no loop, since this runs for every chunk of a stream
            self.prompt_token_count = previous.prompt_token_count
        if not self.tool_use_prompt_token_count:
            self.tool_use_prompt_token_count = previous.tool_use_prompt_token_count
        if not self.candidates_token_count:
            self.candidates_token_count = previous.candidates_token_count
        if not self.thoughts_token_count:
            self.thoughts_token_count = previous.thoughts_token_count
        if not self.cached_content_token_count:
            self.cached_content_token_count = previous.cached_content_token_count
        if not self.traffic_type:
            self.traffic_type = previous.traffic_type
        return self


class Reply(Struct, rename="camel"):
    """A whole reply, or one chunk of a stream."""

    candidates: list[Candidate] | None = None
    prompt_feedback: PromptFeedback | None = None
    usage_metadata: UsageMetadata | None = None
    model_version: Any = None
    response_id: Any = None
    error: Any = None


class TextContentPart(Struct, forbid_unknown_fields=True, gc=False):
    """A part that is text, or a thought, and nothing else."""

    text: str
    thought: bool = False


class TextContent(Struct, forbid_unknown_fields=True, gc=False):
    """Parts that are text."""

    parts: list[TextContentPart]
    role: str = ""


class TextCandidate(Struct, forbid_unknown_fields=True, gc=False):
    """A candidate with more text."""

    content: TextContent
    index: Literal[0] = 0


class TextChunk(Struct, forbid_unknown_fields=True, rename="camel", gc=False):
    """Nearly every chunk of a stream: more text or thoughts of the only candidate, and nothing else."""

    candidates: tuple[TextCandidate]
    usage_metadata: UsageMetadata | None = None
    model_version: str = ""
    create_time: str = ""
    response_id: str = ""


REPLY = msgspec.json.Decoder(Reply)
TEXT_CHUNK = msgspec.json.Decoder(TextChunk)


def finish_reason(name: str | None, *, has_calls: bool) -> FinishReason:
    """Read a finish reason. Gemini has none for calls: they come with STOP."""
    reason = lookup_finish_reason(name or "", FINISH_REASONS)
    return FinishReason.TOOL_CALLS if has_calls and reason in (FinishReason.STOP, FinishReason.OTHER) else reason
