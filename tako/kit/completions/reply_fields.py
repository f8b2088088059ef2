"""The fields of Chat Completions replies that tako reads."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Raw, Struct, convert, defstruct

from tako.errors import ResponseError
from tako.json_values import as_object, count_of
from tako.kit.completions.expected_chunks import NOTHING
from tako.kit.completions.repair import repaired
from tako.types import Usage


class Content(Struct, gc=False):
    """A message, or a delta of one. Content may be a list of chunks (Mistral)."""

    content: str | list[Any] | None = None
    role: Any = None
    reasoning_content: Any = None
    reasoning: Any = None
    reasoning_details: Any = None
    refusal: str | None = None
    tool_calls: list[dict[str, Any]] | None = None
    function_call: dict[str, Any] | None = None
    audio: Any = None

    @property
    def is_silent(self) -> bool:
        """Whether it has no text, no reasoning, no sound and no calls."""
        reasoning = self.reasoning_content or self.reasoning or self.reasoning_details
        return not (self.content or self.refusal or reasoning or self.audio or self.calls)

    @property
    def calls(self) -> list[dict[str, Any]]:
        """The calls, or the lone one of servers that make one at a time.

        Some servers say each call in both places, and Snowflake writes a blank ``function_call`` if there is none.
        """
        if self.tool_calls:
            return self.tool_calls
        single_call = self.function_call or {}
        return (
            [{"index": 0, "function_call": single_call}]
            if single_call.get("name") or single_call.get("arguments")
            else []
        )


class Choice(Struct, gc=False):
    """One of ``n`` alternatives; tako reads the first. Moonshot counts the tokens here."""

    delta: Content | None = None
    message: Content | None = None
    text: Any = None
    finish_reason: str | None = None
    index: int | None = 0
    error: Any = None
    usage: Any = None
    logprobs: Any = None
    content_filter_results: Any = None
    native_finish_reason: Any = None
    stop_reason: Any = None
    token_ids: Any = None

    @property
    def delta_or_message(self) -> Content | None:
        """What a chunk says: some servers stream a ``message``, or have ``text`` alone."""
        content = self.message if self.delta is None else self.delta
        return Content(self.text) if content is None and self.text and isinstance(self.text, str) else content

    @property
    def repeats(self) -> bool:
        """Whether a chunk has a message and no more pieces; it may say again what has come in pieces."""
        return self.message is not None and (self.delta is None or self.delta.is_silent)

    @property
    def full_message(self) -> Content | None:
        """What the model says in a whole reply: Perplexity's has an empty ``delta`` beside its message."""
        return self.message or self.delta_or_message


class Reply(Struct, gc=False):
    """A whole reply, or one chunk of a stream. Fields that nothing depends on may have any shape."""

    id: Any = None
    model: Any = None
    choices: list[Choice] | None = None
    usage: Any = None
    error: Any = None
    errors: Any = None
    object: Any = None
    x_groq: Any = None
    created: Any = None
    service_tier: Any = None
    system_fingerprint: Any = None
    provider: Any = None
    obfuscation: Any = None
    p: Any = None

    @property
    def failed(self) -> bool:
        """Whether this reports an error: under ``error``, ``errors``, or as ``{"object": "error"}`` (Mistral, vLLM)."""
        return bool(self.error or self.errors) or self.object == "error"

    @property
    def counts(self) -> dict[str, Any] | None:
        """The counts of tokens, wherever they are, or None if there are none."""
        if usage := as_object(self.usage):
            return usage
        groq = as_object(self.x_groq) or {}
        candidates = (groq.get("usage"), *[choice.usage for choice in self.choices or ()])
        return next((counts for candidate in candidates if (counts := as_object(candidate))), None)


_STRICT: dict[str, Any] = {"gc": False, "forbid_unknown_fields": True}


def _null_fields(*names: str) -> list[tuple[str, Any, Any]]:
    return [(name, None, None) for name in names]


_texts: Any = [(name, str | None, None) for name in ("reasoning_content", "reasoning")]
_content: Any = defstruct(
    "Content", [*_null_fields("reasoning_details", "audio"), *_texts], bases=(Content,), **_STRICT
)
_choice: Any = defstruct(
    "Choice",
    [
        ("delta", _content | None, None),
        ("content_filter_results", Raw, NOTHING),
        *_null_fields("message", "text", "error", "usage", "logprobs", "token_ids"),
    ],
    bases=(Choice,),
    **_STRICT,
)
_chunk: Any = defstruct(
    "Reply",
    [("choices", list[_choice] | None, None), *_null_fields("error", "errors", "x_groq")],
    bases=(Reply,),
    **_STRICT,
)
CHUNK: msgspec.json.Decoder[Reply] = msgspec.json.Decoder(_chunk)
"""Reads a chunk that has no more than the usual; for any other it raises a msgspec.ValidationError."""


def read_reply(document: Any, body: bytes) -> Reply:
    """Read the fields that tako uses, whatever others there are; raises ResponseError with the path of what's wrong."""
    try:
        try:
            return convert(document, Reply)
        except msgspec.ValidationError:
            return convert(repaired(document), Reply)
    except msgspec.ValidationError as error:
        text = f"the reply doesn't have the expected shape: {error}"
        raise ResponseError(text, body=body[:4096].decode("utf-8", "replace")) from error


CACHED_FIELDS = ("num_cached_tokens", "cached_tokens", "prompt_cache_hit_tokens")
"""Fields of Mistral's, of Together's and Moonshot's, and of DeepSeek's."""


def usage_of(counts: dict[str, Any] | None) -> Usage:
    """Count as tako does; what is no number is 0.

    Cached tokens stand among the details, or in ``CACHED_FIELDS`` fields.
    Where the total shows that reasoning was counted beside the completion (xAI), it is added to it.
    """
    counts = counts or {}
    prompt_details = as_object(counts.get("prompt_tokens_details")) or {}
    completion_details = as_object(counts.get("completion_tokens_details")) or {}
    prompt_tokens, completion_tokens = count_of(counts.get("prompt_tokens")), count_of(counts.get("completion_tokens"))
    reasoning_tokens = count_of(completion_details.get("reasoning_tokens")) or count_of(counts.get("reasoning_tokens"))
    if (
        reasoning_tokens
        and count_of(counts.get("total_tokens")) == prompt_tokens + completion_tokens + reasoning_tokens
    ):
        completion_tokens += reasoning_tokens
    cached = count_of(prompt_details.get("cached_tokens"))
    if not cached and not counts.keys().isdisjoint(CACHED_FIELDS):
        cached = next((count for name in CACHED_FIELDS if (count := count_of(counts.get(name)))), 0)
    return Usage(
        prompt_tokens, completion_tokens, cached, count_of(prompt_details.get("cache_write_tokens")), reasoning_tokens
    )
