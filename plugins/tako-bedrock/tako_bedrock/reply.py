"""A whole reply of Converse, and the stop reasons and usage that whole and streamed replies share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from tako import notices
from tako.errors import ResponseError
from tako.json_values import as_object, count_of
from tako.kit.body import decode_any, decode_json, excerpt
from tako.kit.finish_reasons import lookup_finish_reason
from tako.kit.ids import CallIds
from tako.parts import ToolCallPart
from tako.types import ChatResponse, FinishReason, Message, Role, Usage

if TYPE_CHECKING:
    from tako.kit.exchange import Exchange
    from tako.translator import PartContext, Translator

FINISH_REASONS = {
    "end_turn": FinishReason.STOP,
    "stop_sequence": FinishReason.STOP,
    "tool_use": FinishReason.TOOL_CALLS,
    "max_tokens": FinishReason.LENGTH,
    "model_context_window_exceeded": FinishReason.LENGTH,
    "guardrail_intervened": FinishReason.CONTENT_FILTER,
    "content_filtered": FinishReason.CONTENT_FILTER,
    "refusal": FinishReason.CONTENT_FILTER,
    "pause_turn": FinishReason.PAUSE,
    "malformed_model_output": FinishReason.ERROR,
    "malformed_tool_use": FinishReason.ERROR,
}
"""Converse's stop reasons (and Claude's own "refusal" and "pause_turn"); any other is OTHER."""


class OutputMessage(Struct):
    """The message of a reply."""

    content: list[Any] | None = None


class Output(Struct):
    """What was generated."""

    message: OutputMessage | None = None


class Reply(Struct, rename="camel"):
    """The fields of a reply that tako reads."""

    output: Output | None = None
    stop_reason: str | None = None
    usage: Any = None


REPLY = msgspec.json.Decoder(Reply)


def decode_reply(body: bytes, exchange: Exchange, translator: Translator) -> ChatResponse:
    """Read a reply; raises ResponseError if it isn't one."""
    reply = decode_json(body, REPLY)
    message = reply.output.message if reply.output is not None else None
    if message is None:
        raise ResponseError(f"the reply has no message: {excerpt(body)}", body=body[:4096].decode("utf-8", "replace"))
    context = exchange.context
    decoded = [part for block in message.content or () if (part := translator.decode(block, context)) is not None]
    parts = list(CallIds().give(decoded))
    has_calls = any(isinstance(part, ToolCallPart) for part in parts)
    return ChatResponse(
        message=Message(Role.ASSISTANT, parts),
        finish_reason=finish_reason(reply.stop_reason, context, has_calls=has_calls),
        finish_word=reply.stop_reason or "",
        usage=usage_of(reply.usage),
        model=context.origin.model,  # the body doesn't name it
        notices=context.notices,
        raw=decode_any(body),
    )


def usage_of(value: Any) -> Usage:
    """Return the usage as tako counts it. The API doesn't count tokens of the cache as input, tako does."""
    counts = as_object(value) or {}
    read, written = count_of(counts.get("cacheReadInputTokens")), count_of(counts.get("cacheWriteInputTokens"))
    return Usage(
        count_of(counts.get("inputTokens")) + read + written, count_of(counts.get("outputTokens")), read, written
    )


def finish_reason(stop_reason: str | None, context: PartContext, *, has_calls: bool) -> FinishReason:
    """Read a stop reason. Without one, it's TOOL_CALLS if there are calls, otherwise OTHER with a notice."""
    if stop_reason:
        return lookup_finish_reason(stop_reason, FINISH_REASONS)
    if has_calls:
        return FinishReason.TOOL_CALLS
    context.notice(notices.FINISH_MISSING, "the reply has no stop reason", "")
    return FinishReason.OTHER
