"""The few fields of Chat Completions replies that tako uses; everything else is ignored."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct

from tako.loose import as_array, as_object, count_of, text_of
from tako.types import Usage


class Function(Struct, gc=False):
    """A call's function: arguments are JSON text, or (some servers) the value itself."""

    name: str | None = None
    arguments: Any = None


class Custom(Struct, gc=False):
    """A call of one of OpenAI's custom tools, whose input is text of any kind."""

    name: str | None = None
    input: str | None = None


class Call(Struct, gc=False):
    """A whole call, or a piece of one."""

    index: Any = None
    id: str | None = None
    function: Function | None = None
    custom: Custom | None = None

    @property
    def called(self) -> Function | None:
        """What is called, be it a function or a custom tool."""
        if self.function is None and self.custom is not None:
            return Function(self.custom.name, self.custom.input)
        return self.function


class Content(Struct, gc=False):
    """A message, or a delta of one. Content may be a list of chunks (Mistral)."""

    content: str | list[Any] | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    refusal: str | None = None
    tool_calls: list[Call] | None = None
    function_call: Function | None = None
    images: list[Any] | None = None
    audio: Any = None

    @property
    def lone_call(self) -> Function | None:
        """The call of servers that make one at a time; Snowflake writes a blank one where there is none."""
        call = self.function_call
        return call if call is not None and (call.name or call.arguments) else None


class Choice(Struct, gc=False):
    """One of ``n`` alternatives; tako reads the first. Moonshot counts the tokens here."""

    delta: Content | None = None
    message: Content | None = None
    finish_reason: str | None = None
    index: int | None = 0
    error: Any = None
    usage: Any = None


class Reply(Struct, gc=False):
    """A whole reply, or one chunk of a stream. What nothing hangs on may have any shape."""

    id: Any = None
    model: Any = None
    choices: list[Choice] | None = None
    usage: Any = None
    error: Any = None
    object: Any = None
    x_groq: Any = None

    @property
    def failed(self) -> bool:
        """Whether this reports an error: under ``error``, or as ``{"object": "error", …}`` (Mistral, vLLM)."""
        return bool(self.error) or self.object == "error"

    @property
    def counts(self) -> dict[str, Any] | None:
        """The counts of tokens, wherever they stand, or None where there are none."""
        groq = as_object(self.x_groq) or {}
        places = (self.usage, groq.get("usage"), *[choice.usage for choice in self.choices or ()])
        return next((found for place in places if (found := as_object(place))), None)


REPLY = msgspec.json.Decoder(Reply)


def usage_of(counts: dict[str, Any] | None) -> Usage:
    """Count as tako does; what is no number is 0.

    Cached tokens stand among the details, or in fields of Mistral's, of Together's and Moonshot's, and of DeepSeek's.
    Where the total shows that reasoning was counted beside the completion (xAI), it is added to it.
    """
    found = counts or {}
    prompt = as_object(found.get("prompt_tokens_details")) or {}
    completion = as_object(found.get("completion_tokens_details")) or {}
    own = [count_of(found.get(name)) for name in ("num_cached_tokens", "cached_tokens", "prompt_cache_hit_tokens")]
    read, written = count_of(found.get("prompt_tokens")), count_of(found.get("completion_tokens"))
    thought = count_of(completion.get("reasoning_tokens")) or count_of(found.get("reasoning_tokens"))
    beside = count_of(found.get("total_tokens")) == read + written + thought
    return Usage(
        read,
        written + thought if beside else written,
        count_of(prompt.get("cached_tokens")) or next(filter(None, own), 0),
        count_of(prompt.get("cache_write_tokens")),
        thought,
    )


def content_blocks(content: str | list[Any] | None) -> list[dict[str, Any]]:
    """Take content apart into blocks of ``text`` and ``reasoning``, in order, neighbours of one kind joined.

    Lists hold ``text`` and ``thinking`` chunks (https://docs.mistral.ai/capabilities/reasoning); a thinking chunk may
    have a ``signature``, which ends its block. Other chunks are left to ``raw``.
    """
    if not isinstance(content, list):
        return [{"type": "text", "text": content}] if content else []
    made: list[dict[str, Any]] = []
    for chunk in filter(None, map(as_object, content)):
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


def fragment(arguments: Any) -> str:
    """Return arguments as JSON text."""
    if isinstance(arguments, str):
        return arguments
    return "" if arguments is None else msgspec.json.encode(arguments).decode()
