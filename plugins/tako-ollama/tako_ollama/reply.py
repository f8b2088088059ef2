"""Whole replies of ``/api/chat``, and what whole and streamed ones share (https://docs.ollama.com/api/chat)."""

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
from tako.kit.complaints import complaint
from tako.kit.failures import facts_of
from tako.kit.files import head_of
from tako.kit.finish_words import known_word
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

KNOWN = ("role", "thinking", "content", "images", "tool_calls")
"""The fields of a message that tako has parts for."""
FINISH_REASONS = {"stop": FinishReason.STOP, "length": FinishReason.LENGTH}
"""The words for how an answer ended; ``load`` and ``unload`` answer requests with nothing to answer."""


class Said(Struct):
    """A message, or what a line adds to it."""

    content: str | None = None
    thinking: str | None = None
    tool_calls: list[dict[str, Any]] | None = None
    images: list[Any] | None = None


class Line(Struct):
    """What a whole reply, or a line of a stream, has to be like. The last line is ``done`` and has the counts."""

    message: Said | None = None
    done: bool | None = None
    done_reason: str | None = None


LINE = msgspec.json.Decoder(Line)
ANY = msgspec.json.Decoder(dict[str, Any])


def decode_reply(body: bytes, exchange: Exchange, provider: HttpProvider, translator: Translator) -> ChatResponse:
    """Read a whole reply; raises the error that it reports, and ResponseError if it isn't one."""
    line = decode_json(body, ANY)
    if line.get("error") or line.get("errors"):
        raise reported(body, provider)
    message = as_object(line.get("message"))
    if message is None and (facts := complaint(line)) is not None:
        raise provider.failure(facts, body=body.decode("utf-8", "replace"))
    decode_json(body, LINE)  # says what doesn't fit
    if message is None:
        raise ResponseError(f"the reply has no message: {excerpt(body)}", body=body[:4096].decode("utf-8", "replace"))
    context = exchange.context
    found = [part for block in blocks(message) if (part := translator.decode(block, context)) is not None]
    parts = list(CallIds().give(found))
    word = text_of(line.get("done_reason"))
    return ChatResponse(
        message=Message(Role.ASSISTANT, parts),
        finish_reason=finish_reason(word, context, calls=any(isinstance(part, ToolCallPart) for part in parts)),
        finish_word=word,
        usage=usage_of(line),
        model=text_of(line.get("model")) or exchange.body.get("model", ""),
        notices=context.notices,
        raw=line,
    )


def blocks(message: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """List a message's blocks: each is a message of its own with one field, of lists with one item.

    Fields that tako has no part for come last, as they do in a stream.
    """
    for name in ("thinking", "content"):
        if message.get(name):
            yield {name: message[name]}
    for name, value in message.items():
        if name in ("images", "tool_calls"):
            yield from ({name: [item]} for item in as_array(value) or ())
    yield from ({name: value} for name, value in message.items() if name not in KNOWN and value not in (None, ""))


def decode_block(block: dict[str, Any], context: PartContext) -> Part:
    """Return the part that a block stands for."""
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
    """Read a call. Its arguments are an object, of some servers JSON text.

    Older servers send neither its id nor ``function.index``. Neither is in a request: the API pairs by order.
    """
    function = call["function"]
    args = function.get("arguments")
    inner = {name: value for name, value in function.items() if name not in ("name", "arguments", "index")}
    state = state_of({**call, "function": inner or None}, ("id",), context)
    return ToolCallPart(read_id(call.get("id")), text_of(function.get("name")), decode_arguments(args), state)


def usage_of(line: dict[str, Any]) -> Usage:
    """Return the counts; a prompt that was in the server's cache may have none."""
    return Usage(count_of(line.get("prompt_eval_count")), count_of(line.get("eval_count")))


def finish_reason(word: str, context: PartContext, *, calls: bool) -> FinishReason:
    """Read why a reply ended. Calls end with "stop"; the cloud and old servers give no word when all went well."""
    reason = known_word(word, FINISH_REASONS) if word else FinishReason.STOP
    if calls and reason is FinishReason.STOP:
        return FinishReason.TOOL_CALLS
    if not word:
        context.notice(notices.FINISH_MISSING, "the server didn't say why the reply ended", "")
    return reason


def reported(data: bytes, provider: HttpProvider) -> ProviderError:
    """Make the error that ``{"error": "text"}`` stands for within status 200: what a 500 does, unless it says more."""
    value = as_object(decode_any(data)) or {}
    facts = facts_of(value)
    given = [value.get(name) for name in ("status", "status_code", "StatusCode")]
    failed = range(400, 600)  # RFC 9110
    status = next((code for code in given if isinstance(code, int) and code in failed), facts.status)
    if status is None and not facts.codes:
        status = 500
    return provider.failure(facts, status=status, body=data.decode("utf-8", "replace"))
