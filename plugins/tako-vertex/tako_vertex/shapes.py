"""The replies of generateContent and streamGenerateContent, as far as tako reads them.

Source: the discovery document of aiplatform v1, GoogleCloudAiplatformV1GenerateContentResponse.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from msgspec import Struct

from tako.json_values import count_of
from tako.kit.finish_words import known_word
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
"""Gemini's words (FinishReason of google-genai 3.6); any other is OTHER."""


class PartialArg(Struct, rename="camel"):
    """A value, or a piece of a string, at one place of a call's arguments; the place is a JSON path (RFC 9535)."""

    json_path: str = ""
    string_value: str | None = None
    number_value: float | int | None = None
    bool_value: bool | None = None
    null_value: Any = msgspec.UNSET


class Call(Struct, rename="camel"):
    """A function call, or the next piece of one."""

    id: Any = None
    name: str | None = None
    args: Any = None
    partial_args: list[PartialArg] | None = None
    will_continue: bool | None = None


class Content(Struct):
    """The parts of a candidate."""

    parts: list[dict[str, Any]] | None = None


class Candidate(Struct, rename="camel"):
    """One answer, or a piece of one; any field may be missing."""

    content: Content | None = None
    finish_reason: str | None = None
    finish_message: str | None = None
    index: int | None = None


class Feedback(Struct, rename="camel"):
    """What Gemini says of the prompt."""

    block_reason: str | None = None
    block_reason_message: str | None = None


class Count(Struct, rename="camel", gc=False):
    """Tokens, and how they are billed. The counts of a stream are running totals; any of these may be missing."""

    prompt_token_count: Any = None
    tool_use_prompt_token_count: Any = None
    candidates_token_count: Any = None
    thoughts_token_count: Any = None
    cached_content_token_count: Any = None
    traffic_type: Any = None

    def usage(self) -> Usage:
        """Return what tako counts: tools' prompts are input, thoughts are output."""
        thoughts = count_of(self.thoughts_token_count)
        return Usage(
            count_of(self.prompt_token_count) + count_of(self.tool_use_prompt_token_count),
            count_of(self.candidates_token_count) + thoughts,
            count_of(self.cached_content_token_count),
            0,  # caches are filled by another call, which is billed by the hour
            thoughts,
        )

    def after(self, old: Count) -> Count:
        """Return the totals as they are now; what these do not say is as it was."""
        if not self.prompt_token_count:  # spelled out, since every chunk of a stream comes here
            self.prompt_token_count = old.prompt_token_count
        if not self.tool_use_prompt_token_count:
            self.tool_use_prompt_token_count = old.tool_use_prompt_token_count
        if not self.candidates_token_count:
            self.candidates_token_count = old.candidates_token_count
        if not self.thoughts_token_count:
            self.thoughts_token_count = old.thoughts_token_count
        if not self.cached_content_token_count:
            self.cached_content_token_count = old.cached_content_token_count
        if not self.traffic_type:
            self.traffic_type = old.traffic_type
        return self


class Reply(Struct, rename="camel"):
    """A whole reply, or one chunk of a stream."""

    candidates: list[Candidate] | None = None
    prompt_feedback: Feedback | None = None
    usage_metadata: Count | None = None
    model_version: Any = None
    response_id: Any = None
    error: Any = None


class TextPiece(Struct, forbid_unknown_fields=True, gc=False):
    """A part that is text, or a thought, and nothing else."""

    text: str
    thought: bool = False


class TextContent(Struct, forbid_unknown_fields=True, gc=False):
    """Parts that are text."""

    parts: list[TextPiece]
    role: str = ""


class TextCandidate(Struct, forbid_unknown_fields=True, gc=False):
    """A candidate that goes on with its text."""

    content: TextContent
    index: Literal[0] = 0


class TextChunk(Struct, forbid_unknown_fields=True, rename="camel", gc=False):
    """Nearly every chunk of a stream: the only answer goes on with text or thoughts, and nothing else is new."""

    candidates: tuple[TextCandidate]
    usage_metadata: Count | None = None
    model_version: str = ""
    create_time: str = ""
    response_id: str = ""


REPLY = msgspec.json.Decoder(Reply)
TEXT = msgspec.json.Decoder(TextChunk)


def finish_reason(word: str | None, *, has_calls: bool) -> FinishReason:
    """Read a finish reason. Gemini has none for calls: they come with STOP."""
    found = known_word(word or "", FINISH_REASONS)
    return FinishReason.TOOL_CALLS if has_calls and found in (FinishReason.STOP, FinishReason.OTHER) else found
