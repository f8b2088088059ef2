"""Complete replies of ``/api/chat``, and what they share with streams (https://docs.ollama.com/api/chat)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from tako import notices
from tako.errors import ResponseError
from tako.json_values import as_array, as_object, count_of, text_of
from tako.kit.arguments import decode_arguments
from tako.kit.blocks import state_of, vendor_part
from tako.kit.body import decode_any, decode_json, excerpt
from tako.kit.failures import facts_of
from tako.kit.files import head_of
from tako.kit.finish_reasons import lookup_finish_reason
from tako.kit.hidden_errors import hidden_error
from tako.kit.ids import CallIds, read_id
from tako.media import image_type
from tako.parts import ImagePart, Part, ReasoningPart, TextPart, ToolCallPart
from tako.state import State
from tako.types import ChatResponse, FinishReason, Message, Role, Usage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tako.errors import ProviderError
    from tako.kit.exchange import Exchange
    from tako.kit.http import HttpProvider
    from tako.translator import PartContext, Translator

PART_FIELDS = ("role", "thinking", "content", "images", "tool_calls")
"""The fields of a message that tako has parts for."""
FINISH_REASONS = {"stop": FinishReason.STOP, "length": FinishReason.LENGTH}
"""Ollama's finish reasons. ``load`` and ``unload`` are of replies to requests without messages."""


class WireMessage(Struct):
    """A message, or what a line adds to it."""

    content: str | None = None
    thinking: str | None = None
    tool_calls: list[dict[str, Any]] | None = None
    images: list[Any] | None = None


class Line(Struct):
    """The schema of a complete reply, or a line of a stream. The last line is ``done`` and has the counts."""

    message: WireMessage | None = None
    done: bool | None = None
    done_reason: str | None = None


LINE = msgspec.json.Decoder(Line)
ANY = msgspec.json.Decoder(dict[str, Any])


def decode_reply(body: bytes, exchange: Exchange, provider: HttpProvider, translator: Translator) -> ChatResponse:
    """Decode a complete reply. Raises the error that it reports, and ResponseError if it isn't one."""
    line = decode_json(body, ANY)
    if line.get("error") or line.get("errors"):
        raise reported_error(body, provider)
    message = as_object(line.get("message"))
    if message is None and (facts := hidden_error(line)) is not None:
        raise provider.failure(facts, body=body.decode("utf-8", "replace"))
    decode_json(body, LINE)  # raises the error of a wrong field
    if message is None:
        raise ResponseError(f"the reply has no message: {excerpt(body)}", body=body[:4096].decode("utf-8", "replace"))
    context = exchange.context
    decoded = [part for block in blocks(message) if (part := translator.decode(block, context)) is not None]
    parts = list(CallIds().give(decoded))
    vendor_reason = text_of(line.get("done_reason"))
    return ChatResponse(
        message=Message(Role.ASSISTANT, parts),
        finish_reason=finish_reason(
            vendor_reason, context, has_calls=any(isinstance(part, ToolCallPart) for part in parts)
        ),
        finish_word=vendor_reason,
        usage=usage_of(line),
        model=text_of(line.get("model")) or exchange.body.get("model", ""),
        notices=context.notices,
        raw=line,
    )


def blocks(message: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Return a message's blocks. Each is a message with one field, or with one item of a list.

    Fields that tako has no part for come last, as in a stream.
    """
    for name in ("thinking", "content"):
        if message.get(name):
            yield {name: message[name]}
    for name, value in message.items():
        if name in ("images", "tool_calls"):
            yield from ({name: [item]} for item in as_array(value) or ())
    yield from ({name: value} for name, value in message.items() if name not in PART_FIELDS and value not in (None, ""))


def decode_block(block: dict[str, Any], context: PartContext) -> Part:
    """Return the part of a block."""
    match block:
        case {"thinking": str(text)}:
            return ReasoningPart(text, State(context.origin))
        case {"content": str(text)}:
            return TextPart(text)
        case {"images": [str(data)]} if mime := image_type(head_of(data)):
            return ImagePart(mime, data)
        case {"tool_calls": [call]} if isinstance((as_object(call) or {}).get("function"), dict):
            return _call(call, context)
        case _:
            return vendor_part(next(iter(block)), block, context)


def _call(call: dict[str, Any], context: PartContext) -> ToolCallPart:
    """Decode a call. Its arguments are an object; some servers send JSON text.

    Older servers send no id and no ``function.index``. A request has neither, because the API pairs calls by order.
    """
    function = call["function"]
    args = function.get("arguments")
    other_fields = {name: value for name, value in function.items() if name not in ("name", "arguments", "index")}
    state = state_of({**call, "function": other_fields or None}, ("id",), context)
    return ToolCallPart(read_id(call.get("id")), text_of(function.get("name")), decode_arguments(args), state)


def usage_of(line: dict[str, Any]) -> Usage:
    """Return the counts; a prompt in the server's cache may have none."""
    return Usage(count_of(line.get("prompt_eval_count")), count_of(line.get("eval_count")))


def finish_reason(vendor_reason: str, context: PartContext, *, has_calls: bool) -> FinishReason:
    """Return the finish reason. Calls end with "stop"; the cloud and old servers send none if nothing went wrong."""
    reason = lookup_finish_reason(vendor_reason, FINISH_REASONS) if vendor_reason else FinishReason.STOP
    if has_calls and reason is FinishReason.STOP:
        return FinishReason.TOOL_CALLS
    if not vendor_reason:
        context.notice(notices.FINISH_MISSING, "the server didn't say why the reply ended", "")
    return reason


def reported_error(data: bytes, provider: HttpProvider) -> ProviderError:
    """Return the error of ``{"error": "text"}`` with status 200: a 500, unless it has a status or a code."""
    value = as_object(decode_any(data)) or {}
    facts = facts_of(value)
    codes = [value.get(name) for name in ("status", "status_code", "StatusCode")]
    error_statuses = range(400, 600)  # RFC 9110
    status = next((code for code in codes if isinstance(code, int) and code in error_statuses), facts.status)
    if status is None and not facts.codes:
        status = 500
    return provider.failure(facts, status=status, body=data.decode("utf-8", "replace"))
