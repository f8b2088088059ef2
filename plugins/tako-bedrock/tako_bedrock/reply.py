"""A whole reply of Converse, and the words that whole and streamed replies share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from tako import notices
from tako.errors import ResponseError
from tako.kit.body import decode_any, decode_json, excerpt
from tako.kit.completions.decode import mint_id
from tako.kit.exchange import Exchange
from tako.loose import as_object, count_of, text_of
from tako.parts import ToolCallPart
from tako.types import ChatResponse, FinishReason, Message, Notice, Role, Usage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tako.translator import Translator

FINISH_REASONS = {
    "end_turn": FinishReason.STOP,
    "stop_sequence": FinishReason.STOP,
    "tool_use": FinishReason.TOOL_CALLS,
    "max_tokens": FinishReason.LENGTH,
    "model_context_window_exceeded": FinishReason.LENGTH,
    "guardrail_intervened": FinishReason.CONTENT_FILTER,
    "content_filtered": FinishReason.CONTENT_FILTER,
    "refusal": FinishReason.CONTENT_FILTER,
    "malformed_model_output": FinishReason.ERROR,
    "malformed_tool_use": FinishReason.ERROR,
}
"""Converse's stop reasons (and Claude's own "refusal"); any other is OTHER."""


class ConverseExchange(Exchange):
    """An exchange that knows its model, which the body does not name."""

    model: str = ""


class Said(Struct):
    """The message of a reply."""

    content: list[Any] | None = None


class Output(Struct):
    """What was generated."""

    message: Said | None = None


class Reply(Struct, rename="camel"):
    """The fields of a reply that tako reads."""

    output: Output | None = None
    stop_reason: str | None = None
    usage: Any = None


REPLY = msgspec.json.Decoder(Reply)


def decode_reply(body: bytes, exchange: Exchange, translator: Translator, provider: str) -> ChatResponse:
    """Read a reply; raises ResponseError where it is none."""
    reply = decode_json(body, REPLY)
    message = reply.output.message if reply.output is not None else None
    if message is None:
        raise ResponseError(f"the reply has no message: {excerpt(body)}", body=body[:4096].decode("utf-8", "replace"))
    blocks = _unique(message.content or [])
    parts = [part for block in blocks if (part := translator.decode(block)) is not None]
    said = list(exchange.notices)
    has_calls = any(isinstance(part, ToolCallPart) for part in parts)
    return ChatResponse(
        message=Message(Role.ASSISTANT, parts),
        finish_reason=finish_reason(reply.stop_reason, said, provider, has_calls=has_calls),
        usage=usage_of(reply.usage),
        model=exchange.model if isinstance(exchange, ConverseExchange) else "",
        notices=said,
        raw=decode_any(body),
    )


def usage_of(value: Any) -> Usage:
    """Count as tako does: the API leaves what was read from the cache or written to it out of the input."""
    counts = as_object(value) or {}
    read, written = count_of(counts.get("cacheReadInputTokens")), count_of(counts.get("cacheWriteInputTokens"))
    return Usage(
        count_of(counts.get("inputTokens")) + read + written, count_of(counts.get("outputTokens")), read, written
    )


def finish_reason(word: str | None, said: list[Notice], provider: str, *, has_calls: bool) -> FinishReason:
    """Read a stop reason; where there is none, calls speak for themselves, and their absence is noted."""
    if word:
        return FINISH_REASONS.get(word, FinishReason.OTHER)
    if has_calls:
        return FinishReason.TOOL_CALLS
    said.append(Notice(notices.FINISH_MISSING, "the reply has no stop reason", "", provider))
    return FinishReason.OTHER


def _unique(blocks: list[Any]) -> Iterator[Any]:
    """Give calls that repeat an id one of their own."""
    used: set[str] = set()
    for block in blocks:
        call = as_object((as_object(block) or {}).get("toolUse"))
        id = text_of(call.get("toolUseId")) if call is not None else ""
        yield {"toolUse": {**(call or {}), "toolUseId": mint_id()}} if id in used else block
        if id:
            used.add(id)
