"""A whole reply, and the words that whole and streamed replies share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from tako import notices
from tako.errors import ResponseError
from tako.kit.body import decode_any, decode_json, excerpt
from tako.kit.completions.decode import mint_id
from tako.kit.failures import facts_of
from tako.loose import as_object, count_of, text_of
from tako.parts import ToolCallPart
from tako.types import ChatResponse, FinishReason, Message, Notice, Role, Usage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tako.errors import ProviderError
    from tako.kit.exchange import Exchange
    from tako.kit.http import HttpProvider
    from tako.translator import Translator

FINISH_REASONS = {
    "end_turn": FinishReason.STOP,
    "stop_sequence": FinishReason.STOP,
    "max_tokens": FinishReason.LENGTH,
    "model_context_window_exceeded": FinishReason.LENGTH,
    "tool_use": FinishReason.TOOL_CALLS,
    "refusal": FinishReason.CONTENT_FILTER,
}
"""The API's stop reasons; any other ("pause_turn") is OTHER."""

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
    content: list[Any] | None = None
    stop_reason: str | None = None
    usage: Any = None
    error: Any = None
    request_id: str | None = None


REPLY = msgspec.json.Decoder(Reply)


def decode_reply(body: bytes, exchange: Exchange, provider: HttpProvider, translator: Translator) -> ChatResponse:
    """Read a reply; raises ResponseError where it is none, and the error that it reports where it does."""
    reply = decode_json(body, REPLY)
    if reply.error:
        raise reported(reply.error, reply.request_id, provider, body)
    if reply.content is None:
        raise ResponseError(f"the reply has no content: {excerpt(body)}", body=body[:4096].decode("utf-8", "replace"))
    parts = [part for block in _unique(reply.content) if (part := translator.decode(block)) is not None]
    said = list(exchange.notices)
    return ChatResponse(
        message=Message(Role.ASSISTANT, parts),
        finish_reason=finish_reason(reply.stop_reason, said, provider, any(isinstance(p, ToolCallPart) for p in parts)),
        usage=usage_of(reply.usage),
        model=text_of(reply.model) or exchange.body.get("model", ""),
        id=text_of(reply.id),
        notices=said,
        raw=decode_any(body),
    )


def usage_of(value: Any) -> Usage:
    """Count as tako does: the API leaves what was read from the cache or written to it out of the input."""
    counts = as_object(value) or {}
    read = count_of(counts.get("cache_read_input_tokens"))
    written = count_of(counts.get("cache_creation_input_tokens"))
    details = as_object(counts.get("output_tokens_details")) or {}
    return Usage(
        count_of(counts.get("input_tokens")) + read + written,
        count_of(counts.get("output_tokens")),
        read,
        written,
        count_of(details.get("thinking_tokens")),
    )


def _unique(blocks: list[Any]) -> Iterator[Any]:
    """Give every call an id that no other has."""
    used: set[str] = set()
    for block in blocks:
        call = as_object(block) or {}
        if call.get("type") != "tool_use":
            yield block
            continue
        id = text_of(call.get("id"))
        if not id or id in used:
            id = mint_id()
        used.add(id)
        yield {**call, "id": id}


def finish_reason(word: str | None, said: list[Notice], provider: HttpProvider, has_calls: bool) -> FinishReason:
    """Read a stop reason; where there is none, calls speak for themselves, and their absence is noted."""
    if word:
        return FINISH_REASONS.get(word, FinishReason.OTHER)
    if has_calls:
        return FinishReason.TOOL_CALLS
    said.append(Notice(notices.FINISH_MISSING, "the reply has no stop reason", "", provider.name))
    return FinishReason.OTHER


def reported(error: Any, request_id: str | None, provider: HttpProvider, body: bytes) -> ProviderError:
    """Make the error that a reply of status 200 reports, of the class that it has when its status says so."""
    facts = facts_of({"error": error})
    status = next((STATUSES[code] for code in facts.codes if code in STATUSES), None)
    failure = provider.failure(facts, status=status, body=body.decode("utf-8", "replace"))
    failure.request_id = request_id
    return failure
