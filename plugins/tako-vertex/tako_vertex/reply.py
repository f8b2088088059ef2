"""A whole reply of generateContent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tako import notices
from tako.errors import ResponseError
from tako.kit.body import decode_any, decode_json, excerpt
from tako.loose import as_array, as_object, text_of
from tako.parts import ToolCallPart
from tako.types import ChatResponse, FinishReason, Message, Notice, Role, Usage
from tako_vertex.failures import facts_in
from tako_vertex.parts import mint_id
from tako_vertex.shapes import WHOLE, Candidate, Reply, finish_reason

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tako.kit.exchange import Exchange
    from tako.kit.http import HttpProvider
    from tako.translator import Translator


def decode_reply(
    body: bytes, exchange: Exchange, provider: HttpProvider, translator: Translator, model: str
) -> ChatResponse:
    """Read a reply; raises ResponseError where it is none, and the error that it reports where it does."""
    raise_error(body, provider)
    reply = decode_json(body, WHOLE)
    candidate = next((found for found in reply.candidates or () if not found.index), None)
    blocked = reply.prompt_feedback is not None and reply.prompt_feedback.block_reason
    if candidate is None and not blocked:
        text = body[:4096].decode("utf-8", "replace")
        raise ResponseError(f"the reply has no candidates: {excerpt(body)}", body=text)
    blocks = _blocks(candidate) if candidate is not None else ()
    parts = [part for block in blocks if (part := translator.decode(block)) is not None]
    calls = any(isinstance(part, ToolCallPart) for part in parts)
    word = candidate.finish_reason if candidate is not None else None
    return ChatResponse(
        message=Message(Role.ASSISTANT, parts),
        finish_reason=FinishReason.CONTENT_FILTER if candidate is None else finish_reason(word, has_calls=calls),
        usage=reply.usage_metadata.usage() if reply.usage_metadata is not None else Usage(),
        model=text_of(reply.model_version) or model,
        id=text_of(reply.response_id),
        notices=[*exchange.notices, *oddities(reply, candidate, provider.name)],
        raw=decode_any(body),
    )


def raise_error(body: bytes, provider: HttpProvider) -> None:
    """Raise the error that a reply of status 200 reports, be it in a list."""
    start = body.find(b'"error"')
    if start < 0 and not body.lstrip().startswith(b"["):
        return
    value = decode_any(body)
    for item in map(as_object, as_array(value) or [value]):
        if item is not None and item.get("error"):
            raise provider.failure(facts_in(item), body=body.decode("utf-8", "replace"))


def oddities(reply: Reply[Any], candidate: Candidate[Any] | None, provider: str) -> Iterator[Notice]:
    """Say why a prompt was refused, or why a reply ended, where that is not as it should be."""
    feedback = reply.prompt_feedback
    if candidate is None:
        if feedback is not None and feedback.block_reason:
            yield blocked(f"the prompt was refused: {feedback.block_reason}", feedback.block_reason_message, provider)
        return
    if not candidate.finish_reason:
        yield Notice(notices.FINISH_MISSING, "the reply ended without a finish reason", "", provider)
    elif candidate.finish_reason not in ("STOP", "MAX_TOKENS"):
        yield blocked(f"the reply was stopped: {candidate.finish_reason}", candidate.finish_message, provider)


def blocked(what: str, why: str | None, provider: str) -> Notice:
    """Make the notice of what Gemini refused or stopped."""
    return Notice(notices.BLOCKED, f"{what} ({why})" if why else what, "", provider)


def _blocks(candidate: Candidate[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """List the parts of a candidate; every call gets an id that no other has."""
    used: set[str] = set()
    for block in (candidate.content and candidate.content.parts) or ():
        call = as_object(block.get("functionCall"))
        if call is not None:
            id = text_of(call.get("id"))
            if not id or id in used:
                id = mint_id()
            used.add(id)
            yield {**block, "functionCall": {**call, "id": id}}
        else:
            yield block
