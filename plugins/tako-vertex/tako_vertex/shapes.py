"""The replies of generateContent and streamGenerateContent, as far as tako reads them.

Source: the discovery document of aiplatform v1, GoogleCloudAiplatformV1GenerateContentResponse.
"""

from __future__ import annotations

from typing import Any, Generic, TypeVar

import msgspec
from msgspec import Struct

from tako.loose import count_of
from tako.types import FinishReason, Usage

P = TypeVar("P")

FINISH_REASONS = {
    "STOP": FinishReason.STOP,
    "MAX_TOKENS": FinishReason.LENGTH,
    "SAFETY": FinishReason.CONTENT_FILTER,
    "RECITATION": FinishReason.CONTENT_FILTER,
    "BLOCKLIST": FinishReason.CONTENT_FILTER,
    "PROHIBITED_CONTENT": FinishReason.CONTENT_FILTER,
    "SPII": FinishReason.CONTENT_FILTER,
    "IMAGE_SAFETY": FinishReason.CONTENT_FILTER,
    "MALFORMED_FUNCTION_CALL": FinishReason.ERROR,
    "UNEXPECTED_TOOL_CALL": FinishReason.ERROR,
}
"""Gemini's words; any other is OTHER."""


class PartialArg(Struct, rename="camel"):
    """A value, or a piece of a string, at one place of a call's arguments; the place is a JSON path (RFC 9535)."""

    json_path: str = ""
    string_value: str | None = None
    number_value: float | int | None = None
    bool_value: bool | None = None
    null_value: Any = msgspec.UNSET


class Call(Struct, rename="camel"):
    """A function call, or the next piece of one."""

    id: str | None = None
    name: str | None = None
    args: Any = None
    partial_args: list[PartialArg] | None = None
    will_continue: bool | None = None


class Part(Struct, rename="camel", omit_defaults=True):
    """A part of a streamed reply. The last five are what tako has no part for; they may be signed too."""

    text: str | None = None
    thought: bool | None = None
    thought_signature: str | None = None
    function_call: Call | None = None
    inline_data: Any = None
    file_data: Any = None
    executable_code: Any = None
    code_execution_result: Any = None
    tool_call: Any = None
    tool_response: Any = None

    @property
    def bare(self) -> bool:
        """Whether there is nothing in it but, perhaps, a signature."""
        return not (
            self.inline_data
            or self.file_data
            or self.executable_code
            or self.code_execution_result
            or self.tool_call
            or self.tool_response
        )


class Content(Struct, Generic[P]):
    """The parts of a candidate."""

    parts: list[P] | None = None


class Candidate(Struct, Generic[P], rename="camel"):
    """One answer, or a piece of one; any field may be missing."""

    content: Content[P] | None = None
    finish_reason: str | None = None
    finish_message: str | None = None
    index: int | None = None
    citation_metadata: Any = None
    grounding_metadata: Any = None
    url_context_metadata: Any = None

    @property
    def sources(self) -> dict[str, Any]:
        """What it rests on, as far as it says so: citations, search results, pages."""
        found = {
            "citationMetadata": self.citation_metadata,
            "groundingMetadata": self.grounding_metadata,
            "urlContextMetadata": self.url_context_metadata,
        }
        return {name: value for name, value in found.items() if value is not None}


class Feedback(Struct, rename="camel"):
    """What Gemini says of the prompt."""

    block_reason: str | None = None
    block_reason_message: str | None = None


class Count(Struct, rename="camel"):
    """Tokens. The counts of a stream are running totals, each of which may be missing."""

    prompt_token_count: Any = None
    tool_use_prompt_token_count: Any = None
    candidates_token_count: Any = None
    thoughts_token_count: Any = None
    cached_content_token_count: Any = None

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
        if self.prompt_token_count is None:  # spelled out, since every chunk of a stream comes here
            self.prompt_token_count = old.prompt_token_count
        if self.tool_use_prompt_token_count is None:
            self.tool_use_prompt_token_count = old.tool_use_prompt_token_count
        if self.candidates_token_count is None:
            self.candidates_token_count = old.candidates_token_count
        if self.thoughts_token_count is None:
            self.thoughts_token_count = old.thoughts_token_count
        if self.cached_content_token_count is None:
            self.cached_content_token_count = old.cached_content_token_count
        return self


class Reply(Struct, Generic[P], rename="camel"):
    """A whole reply, or one chunk of a stream."""

    candidates: list[Candidate[P]] | None = None
    prompt_feedback: Feedback | None = None
    usage_metadata: Count | None = None
    model_version: Any = None
    response_id: Any = None
    error: Any = None


WHOLE: msgspec.json.Decoder[Reply[dict[str, Any]]] = msgspec.json.Decoder(Reply[dict[str, Any]])
CHUNK: msgspec.json.Decoder[Reply[Part]] = msgspec.json.Decoder(Reply[Part])


def finish_reason(word: str | None, *, has_calls: bool) -> FinishReason:
    """Read a finish reason. Gemini has none for calls: they come with STOP."""
    found = FINISH_REASONS.get(word or "", FinishReason.OTHER)
    return FinishReason.TOOL_CALLS if has_calls and found in (FinishReason.STOP, FinishReason.OTHER) else found
