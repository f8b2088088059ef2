"""A whole reply, and the words that whole and streamed replies share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from tako import notices
from tako.errors import ResponseError
from tako.kit.body import decode_json, excerpt
from tako.kit.completions.decode import mint_id
from tako.kit.failures import facts_of
from tako.loose import as_object, text_of
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


class OutputDetails(Struct):
    """A part of the output's count."""

    thinking_tokens: int | None = None


class Count(Struct):
    """Usage as the API has it: the input without what was read from the cache or written to it."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    output_tokens_details: OutputDetails | None = None

    def usage(self) -> Usage:
        """Count as tako does."""
        read, written = self.cache_read_input_tokens or 0, self.cache_creation_input_tokens or 0
        thinking = self.output_tokens_details.thinking_tokens if self.output_tokens_details else 0
        return Usage((self.input_tokens or 0) + read + written, self.output_tokens or 0, read, written, thinking or 0)


class Reply(Struct):
    """The fields of a reply that tako reads."""

    id: str | None = None
    model: str | None = None
    content: list[Any] | None = None
    stop_reason: str | None = None
    usage: Count | None = None
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
        usage=reply.usage.usage() if reply.usage else Usage(),
        model=reply.model or exchange.body.get("model", ""),
        id=reply.id or "",
        notices=said,
        raw=msgspec.json.decode(body),
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
