"""A whole reply, and what whole and streamed replies share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from tako import notices
from tako.errors import ResponseError
from tako.json_values import as_object, count_of, text_of
from tako.kit.body import decode_any, decode_json, excerpt
from tako.kit.failures import read_facts
from tako.kit.finish_reasons import lookup_finish_reason
from tako.kit.hidden_errors import hidden_error
from tako.kit.ids import CallIds, read_id
from tako.parts import Part, TextPart, ToolCallPart
from tako.state import State
from tako.types import ChatResponse, FinishReason, Message, Role, Usage

if TYPE_CHECKING:
    from tako.errors import ProviderError
    from tako.kit.exchange import Exchange
    from tako.kit.failures import Reporter
    from tako.translator import PartContext, Translator

FINISH_REASONS = {
    "end_turn": FinishReason.STOP,
    "stop_sequence": FinishReason.STOP,
    "max_tokens": FinishReason.LENGTH,
    "model_context_window_exceeded": FinishReason.LENGTH,
    "tool_use": FinishReason.TOOL_CALLS,
    "refusal": FinishReason.CONTENT_FILTER,
    "pause_turn": FinishReason.PAUSE,
    "compaction": FinishReason.PAUSE,
}
"""The API's stop reasons; any other is OTHER."""

STATUSES = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "api_error": 500,
    "timeout_error": 504,
    "overloaded_error": 529,
}
"""The status that an error type has when it comes before the reply (https://platform.claude.com/docs/en/api/errors)."""


class Reply(Struct):
    """The fields of a reply that tako reads."""

    id: Any = None
    model: Any = None
    content: list[Any] | str | None = None
    stop_reason: str | None = None
    stop_details: Any = None
    usage: Any = None
    error: Any = None
    errors: Any = None
    request_id: Any = None


REPLY = msgspec.json.Decoder(Reply)


def decode_reply(body: bytes, exchange: Exchange, provider: Reporter, translator: Translator) -> ChatResponse:
    """Read a reply; raises ResponseError where it is none, and the error that it reports where it does."""
    reply = decode_json(body, REPLY)
    if reply.error or reply.errors:
        raise error_of(body, provider)
    if reply.content is None and (facts := hidden_error(decode_any(body))):
        raise provider.failure(facts, body=body.decode("utf-8", "replace"))
    if reply.content is None:
        raise ResponseError(f"the reply has no content: {excerpt(body)}", body=body[:4096].decode("utf-8", "replace"))
    context = exchange.context
    ids = CallIds()
    content = [{"type": "text", "text": reply.content}] if isinstance(reply.content, str) else reply.content
    decoded = [translator.decode(with_id(block, ids), context) for block in content]
    parts = [part for part in decoded if part is not None]
    has_calls = any(isinstance(part, ToolCallPart) for part in parts)
    finish = finish_reason(reply.stop_reason, reply.stop_details, context, has_calls=has_calls)
    return ChatResponse(
        message=Message(
            Role.ASSISTANT, with_origin_of_paused_text(parts, context) if finish is FinishReason.PAUSE else parts
        ),
        finish_reason=finish,
        usage=usage_of(reply.usage),
        model=text_of(reply.model) or exchange.body.get("model", ""),
        id=text_of(reply.id),
        finish_word=reply.stop_reason or "",
        notices=list(exchange.notices),
        raw=decode_any(body),
    )


def usage_of(value: Any) -> Usage:
    """Count as tako does: the API leaves what was read from the cache or written to it out of the input."""
    counts = as_object(value) or {}
    cache_read = count_of(counts.get("cache_read_input_tokens"))
    cache_written = count_of(counts.get("cache_creation_input_tokens"))
    details = as_object(counts.get("output_tokens_details")) or {}
    return Usage(
        count_of(counts.get("input_tokens")) + cache_read + cache_written,
        count_of(counts.get("output_tokens")),
        cache_read,
        cache_written,
        count_of(details.get("thinking_tokens")),
    )


def with_id(block: Any, ids: CallIds) -> Any:
    """Give a call an id that no other call of its reply has."""
    call = as_object(block)
    if call is None or call.get("type") != "tool_use":
        return block
    return {**call, "id": ids.unique(read_id(call.get("id")))}


def finish_reason(stop_reason: str | None, details: Any, context: PartContext, *, has_calls: bool) -> FinishReason:
    """Read a stop reason; without one, calls speak for themselves, and otherwise it's noted.

    ``details`` tell why the model refused.
    """
    if stop_reason:
        reason = lookup_finish_reason(stop_reason, FINISH_REASONS)
        refusal = as_object(details)
        if refusal is not None and reason is FinishReason.CONTENT_FILTER:
            reasons = [text_of(refusal.get(name)) for name in ("category", "explanation")]
            context.notice(
                notices.BLOCKED, f"the model refused: {': '.join(filter(None, reasons)) or 'no reason given'}", ""
            )
        return reason
    if has_calls:
        return FinishReason.TOOL_CALLS
    context.notice(notices.FINISH_MISSING, "the reply has no stop reason", "")
    return FinishReason.OTHER


def with_origin_of_paused_text(parts: list[Part], context: PartContext) -> list[Part]:
    """Say of the last text of a paused turn who made it, so that it can be told from a beginning by the caller."""
    if parts and isinstance(parts[-1], TextPart) and parts[-1].state is None:
        return [*parts[:-1], replace(parts[-1], state=State(context.origin))]
    return parts


def error_of(data: bytes, provider: Reporter) -> ProviderError:
    """Make the error that a reply of status 200, or an event of it, reports: of the class that its status would say."""
    facts = read_facts(data)
    status = next((STATUSES[code] for code in facts.codes if code in STATUSES), None)
    return provider.failure(facts, status=status, body=data.decode("utf-8", "replace"))
