"""A whole reply of the Responses API, and what whole and streamed replies share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from tako import notices
from tako.errors import ResponseError
from tako.json_values import as_array, as_object, count_of, text_of
from tako.kit.body import decode_json, excerpt
from tako.kit.completions.decode import note_refusal
from tako.kit.failures import Facts, error_in, facts_of
from tako.kit.hidden_errors import hidden_error, other_api
from tako.kit.ids import CallIds
from tako.kit.responses.blocks import blocks_of
from tako.kit.token_counts import note_odd_usage
from tako.parts import TextPart, ToolCallPart
from tako.types import ChatResponse, FinishReason, Message, Role, Usage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tako.kit.exchange import Exchange
    from tako.kit.http import HttpProvider
    from tako.parts import Part
    from tako.translator import PartContext, Translator

OBJECT = msgspec.json.Decoder(dict[str, Any])
INCOMPLETE_REASONS = {"max_output_tokens": FinishReason.LENGTH, "content_filter": FinishReason.CONTENT_FILTER}
"""Why a reply is not complete, by ``incomplete_details.reason``; anything else is OTHER."""
FINISH_BY_STATUS = {"completed": FinishReason.STOP, "failed": FinishReason.ERROR, "cancelled": FinishReason.ERROR}


def decode_reply(body: bytes, exchange: Exchange, provider: HttpProvider, translator: Translator) -> ChatResponse:
    """Read a reply; raises the error that it reports, and ResponseError if it isn't one."""
    reply = decode_json(body, OBJECT)
    raise_failure(reply, provider, body)
    output = output_of(reply)
    if "output" not in reply:
        raise_hidden_error(reply, provider, body)
    if reply.get("object") == "chat.completion" and "choices" in reply:
        raise other_api("chat", provider, body)
    if has_no_output(reply):
        raise ResponseError(f"the reply has no output: {excerpt(body)}", body=body[:4096].decode("utf-8", "replace"))
    context = exchange.context
    blocks = [block for item in output for block in blocks_of(item)]
    decoded = [part for block in blocks if (part := translator.decode(block, context)) is not None]
    parts = list(CallIds().give(decoded))
    finish, finish_reason_text = finish_of(reply, parts, context)
    return ChatResponse(
        message=Message(Role.ASSISTANT, parts),
        finish_reason=finish,
        finish_word=finish_reason_text,
        usage=note_odd_usage(usage_of(reply.get("usage")), context),
        model=text_of(reply.get("model")) or exchange.body.get("model", ""),
        id=text_of(reply.get("id")),
        notices=context.notices,
        raw=reply,
    )


def output_of(reply: dict[str, Any]) -> list[Any]:
    """Return the items of a reply; some servers give nothing but its text."""
    text = text_of(reply.get("output_text"))
    return as_array(reply.get("output")) or ([{"role": "assistant", "content": text}] if text else [])


def has_no_output(reply: dict[str, Any]) -> bool:
    """Whether a reply counts as complete and has no output at all: it is no reply of this API."""
    is_over = text_of(reply.get("status")) in ("", "completed")
    return is_over and as_array(reply.get("output")) is None and not output_of(reply)


def raise_failure(reply: dict[str, Any], provider: HttpProvider, body: bytes) -> None:
    """Raise the error of a reply that failed; some say no more than that."""
    if error_in(reply) or reply.get("status") == "failed":
        facts = facts_of(reply) if error_in(reply) else Facts("the reply failed, and doesn't say why")
        raise provider.failure(facts, body=body.decode("utf-8", "replace"))


def raise_hidden_error(document: Any, provider: HttpProvider, body: bytes) -> None:
    """Raise what an object that isn't a reply, or an event of one, complains of; nothing if it doesn't complain."""
    facts = hidden_error(document)
    if facts is not None:
        raise provider.failure(facts, body=body.decode("utf-8", "replace"))


def finish_of(reply: dict[str, Any], parts: Sequence[Part], context: PartContext) -> tuple[FinishReason, str]:
    """Tell why a reply ended, and the vendor's word for it. A reply that is completed may still ask for calls."""
    status = text_of(reply.get("status"))
    if status == "incomplete":
        reason = text_of((as_object(reply.get("incomplete_details")) or {}).get("reason"))
        return INCOMPLETE_REASONS.get(reason, FinishReason.OTHER), reason or status
    if any(isinstance(part, TextPart) and part.refusal for part in parts):
        note_refusal(context)
        return FinishReason.CONTENT_FILTER, status
    if any(isinstance(part, ToolCallPart) for part in parts):
        return FinishReason.TOOL_CALLS, status
    if status in ("queued", "in_progress"):
        text = f"the reply is {status}: the vendor is still working on it; get it by its id"
        context.notice(notices.FINISH_MISSING, text, "")
    return FINISH_BY_STATUS.get(status, FinishReason.OTHER), status


def usage_of(value: Any) -> Usage:
    """Count as the API does: cached, written and reasoning tokens are parts of the input and the output.

    Some servers count in the words of Chat Completions.
    """
    counts = as_object(value) or {}
    input_name, output_name = ("input", "output") if "input_tokens" in counts else ("prompt", "completion")
    input_details = as_object(counts.get(f"{input_name}_tokens_details")) or {}
    output_details = as_object(counts.get(f"{output_name}_tokens_details")) or {}
    return Usage(
        count_of(counts.get(f"{input_name}_tokens")),
        count_of(counts.get(f"{output_name}_tokens")),
        count_of(input_details.get("cached_tokens")),
        count_of(input_details.get("cache_write_tokens")),
        count_of(output_details.get("reasoning_tokens")),
    )
