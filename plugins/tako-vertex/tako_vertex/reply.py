"""A whole reply of generateContent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tako import notices
from tako.errors import ResponseError
from tako.json_values import as_array, as_object, text_of
from tako.kit.body import decode_any, decode_json, excerpt
from tako.kit.failures import error_in
from tako.kit.hidden_errors import hidden_error
from tako.kit.ids import CallIds
from tako.kit.token_counts import note_odd_usage
from tako.parts import ToolCallPart
from tako.types import ChatResponse, FinishReason, Message, Role, Usage
from tako_vertex.citations import add_citations
from tako_vertex.failures import status_facts
from tako_vertex.parts import TOKEN, mint_id
from tako_vertex.wire import REPLY, Candidate, Reply, finish_reason

if TYPE_CHECKING:
    from tako.kit.exchange import Exchange
    from tako.kit.http import HttpProvider
    from tako.translator import PartContext, Translator


NORMAL_REASONS = (FinishReason.STOP, FinishReason.LENGTH, FinishReason.PAUSE)
"""The finish reasons of a reply without an error."""


def decode_reply(body: bytes, exchange: Exchange, provider: HttpProvider, translator: Translator) -> ChatResponse:
    """Read a reply. Raises the error that it reports, or ResponseError if it isn't a reply."""
    raise_error(body, provider)
    reply = decode_json(body, REPLY)
    candidate = next((candidate for candidate in reply.candidates or () if not candidate.index), None)
    block_reason = reply.prompt_feedback is not None and reply.prompt_feedback.block_reason
    if candidate is None and not block_reason and (facts := hidden_error(decode_any(body))):
        raise provider.failure(facts, body=body.decode("utf-8", "replace"))
    if candidate is None and not block_reason:
        text = body[:4096].decode("utf-8", "replace")
        raise ResponseError(f"the reply has no candidates: {excerpt(body)}", body=text)
    raw, context = decode_any(body), exchange.context
    fields = next((item for item in map(as_object, raw.get("candidates") or ()) if item and not item.get("index")), {})
    decoded = [
        part for block in blocks_of(candidate, fields) if (part := translator.decode(block, context)) is not None
    ]
    parts = add_citations(list(CallIds(mint_id).give(decoded)), fields)
    calls = any(isinstance(part, ToolCallPart) for part in parts)
    reason = candidate.finish_reason if candidate is not None else None
    note_abnormal_end(reply, candidate, context)
    return ChatResponse(
        message=Message(Role.ASSISTANT, parts),
        finish_reason=FinishReason.CONTENT_FILTER if candidate is None else finish_reason(reason, has_calls=calls),
        finish_word=reason or "",
        usage=note_odd_usage(reply.usage_metadata.usage(), context) if reply.usage_metadata is not None else Usage(),
        model=text_of(reply.model_version) or context.origin.model,
        id=text_of(reply.response_id),
        notices=context.notices,
        raw=raw,
    )


def blocks_of(candidate: Candidate | None, fields: dict[str, Any]) -> list[dict[str, Any]]:
    """List the parts of a candidate, and the token with which a paused reply continues."""
    parts = (candidate.content and candidate.content.parts) or [] if candidate is not None else []
    return [*parts, *([{TOKEN: fields[TOKEN]}] if fields.get(TOKEN) else [])]


def raise_error(body: bytes, provider: HttpProvider) -> None:
    """Raise the error that a reply of status 200 reports, also in a list."""
    start = body.find(b'"error')
    if start < 0 and not body.lstrip().startswith(b"["):
        return
    value = decode_any(body)
    for item in map(as_object, as_array(value) or [value]):
        if item is not None and error_in(item):
            raise provider.failure(status_facts(item), body=body.decode("utf-8", "replace"))


def note_abnormal_end(reply: Reply | None, candidate: Candidate | None, context: PartContext) -> None:
    """Add a notice if the prompt was refused, or if the reply didn't end normally."""
    feedback = reply.prompt_feedback if reply is not None else None
    if candidate is None:
        if feedback is not None and feedback.block_reason:
            _note_blocked(context, f"the prompt was refused: {feedback.block_reason}", feedback.block_reason_message)
    elif not candidate.finish_reason:
        context.notice(notices.FINISH_MISSING, "the reply ended without a finish reason", "")
    elif finish_reason(candidate.finish_reason, has_calls=False) not in NORMAL_REASONS:
        _note_blocked(context, f"the reply was stopped: {candidate.finish_reason}", candidate.finish_message)


def _note_blocked(context: PartContext, text: str, reason: str | None) -> None:
    context.notice(notices.BLOCKED, f"{text} ({reason})" if reason else text, "")
