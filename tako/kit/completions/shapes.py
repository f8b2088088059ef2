"""The few fields of Chat Completions replies that tako uses; everything else is ignored."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct

from tako.loose import as_array, as_object, text_of
from tako.types import Usage


class Function(Struct, gc=False):
    """A call's function: arguments are JSON text, or (some servers) the object itself."""

    name: str | None = None
    arguments: str | dict[str, Any] | None = None


class Call(Struct, gc=False):
    """A whole call, or a piece of one."""

    index: int | None = None
    id: str | None = None
    function: Function | None = None


class Content(Struct, gc=False):
    """A message, or a delta of one. Content may be a list of chunks (Mistral)."""

    content: str | list[dict[str, Any]] | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    refusal: str | None = None
    tool_calls: list[Call] | None = None
    function_call: Function | None = None


class Choice(Struct, gc=False):
    """One of ``n`` alternatives; tako reads the first."""

    delta: Content | None = None
    message: Content | None = None
    finish_reason: str | None = None
    index: int | None = 0
    error: Any = None


class PromptDetails(Struct, gc=False):
    """Parts of the prompt's count."""

    cached_tokens: int | None = None
    cache_write_tokens: int | None = None


class CompletionDetails(Struct, gc=False):
    """Parts of the completion's count."""

    reasoning_tokens: int | None = None


class Count(Struct, gc=False):
    """Usage as the dialect has it; Mistral counts cached tokens in a field of its own, DeepSeek in another."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    prompt_tokens_details: PromptDetails | None = None
    completion_tokens_details: CompletionDetails | None = None
    num_cached_tokens: int | None = None
    prompt_cache_hit_tokens: int | None = None
    reasoning_tokens: int | None = None

    def usage(self) -> Usage:
        """Count as tako does."""
        prompt = self.prompt_tokens_details or PromptDetails()
        completion = self.completion_tokens_details or CompletionDetails()
        return Usage(
            self.prompt_tokens or 0,
            self.completion_tokens or 0,
            prompt.cached_tokens or self.num_cached_tokens or self.prompt_cache_hit_tokens or 0,
            prompt.cache_write_tokens or 0,
            completion.reasoning_tokens or self.reasoning_tokens or 0,
        )


class Groq(Struct, gc=False):
    """Groq's own field."""

    usage: Count | None = None


class Reply(Struct, gc=False):
    """A whole reply, or one chunk of a stream."""

    id: str | None = None
    model: str | None = None
    choices: list[Choice] | None = None
    usage: Count | None = None
    error: Any = None
    object: Any = None
    x_groq: Groq | None = None

    @property
    def failed(self) -> bool:
        """Whether this reports an error: under ``error``, or as ``{"object": "error", …}`` (Mistral, vLLM)."""
        return bool(self.error) or self.object == "error"


REPLY = msgspec.json.Decoder(Reply)


def content_blocks(content: str | list[dict[str, Any]] | None) -> list[dict[str, Any]]:
    """Take content apart into blocks of ``text`` and ``reasoning``, in order, neighbours of one kind joined.

    Lists hold ``text`` and ``thinking`` chunks (https://docs.mistral.ai/capabilities/reasoning); a thinking chunk may
    have a ``signature``, which ends its block. Other chunks are left to ``raw``.
    """
    if not isinstance(content, list):
        return [{"type": "text", "text": content}] if content else []
    made: list[dict[str, Any]] = []
    for chunk in content:
        thinks = chunk.get("type") == "thinking"
        text = _thoughts(chunk.get("thinking")) if thinks else text_of(chunk.get("text"))
        signature = text_of(chunk.get("signature")) if thinks else ""
        kind = "reasoning" if thinks else "text"
        if made and made[-1]["type"] == kind and "signature" not in made[-1]:
            made[-1]["text"] += text
        elif text or signature:
            made.append({"type": kind, "text": text})
        if signature:
            made[-1]["signature"] = signature
    return made


def _thoughts(thinking: Any) -> str:
    """Join the text of a thinking chunk, which is a list of chunks or (some servers) the text itself."""
    pieces = [as_object(piece) or {} for piece in as_array(thinking) or [{"text": thinking}]]
    return "".join([text_of(piece.get("text")) for piece in pieces])


def fragment(arguments: str | dict[str, Any] | None) -> str:
    """Return arguments as JSON text."""
    if isinstance(arguments, dict):
        return msgspec.json.encode(arguments).decode()
    return arguments or ""
