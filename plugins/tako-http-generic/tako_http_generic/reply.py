"""A whole reply, read by pointers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from tako import notices
from tako.errors import ResponseError
from tako.fold import arguments
from tako.json_values import as_array, as_object, text_of
from tako.kit.body import decode_json, excerpt
from tako.kit.complaints import complaint
from tako.kit.counts import note_odd
from tako.kit.ids import CallIds
from tako.parts import Part, ReasoningPart, TextPart, ToolCallPart
from tako.state import State
from tako.types import ChatResponse, FinishReason, Message, Role, Usage
from tako_http_generic.pointers import Paths, describe
from tako_http_generic.request import asked_model

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tako.kit.exchange import Exchange
    from tako.translator import PartContext, Translator
    from tako_http_generic import HttpGeneric

ANY = msgspec.json.Decoder()
NO_TEXT = (FinishReason.LENGTH, FinishReason.CONTENT_FILTER, FinishReason.ERROR)
"""Endings that may leave a reply without its text."""


def decode_reply(body: bytes, exchange: Exchange, provider: HttpGeneric, translator: Translator) -> ChatResponse:
    """Read a reply; raises ResponseError where it is none, and the error that it reports where it does."""
    doc = decode_json(body, ANY)
    reader = provider.reader
    if reader.error.get(doc):
        raise provider.failure(reader.facts(doc), body=body.decode("utf-8", "replace"))
    context = exchange.context
    parts = [part for block in _blocks(doc, provider) if (part := translator.decode(block, context)) is not None]
    finish, word = _ending(doc, provider, parts, context)
    if not parts and finish not in NO_TEXT:
        problem = reader.text.problem(doc)
        if problem is not None and (facts := complaint(doc)) is not None:
            raise provider.failure(facts, body=body.decode("utf-8", "replace"))
        if problem is not None:
            raise ResponseError(
                f"response_text_pointer {problem}: {excerpt(body)}", body=body[:4096].decode("utf-8", "replace")
            )
    counts = reader.usage.get(doc) if reader.usage is not None else None
    return ChatResponse(
        message=Message(Role.ASSISTANT, parts),
        finish_reason=finish,
        finish_word=word,
        usage=note_odd(reader.counter.usage(counts), context) if counts is not None else Usage(),
        model=_word(reader.model, doc) or asked_model(exchange, provider),
        id=_word(reader.id, doc),
        notices=context.notices,
        raw=doc,
    )


def decode_block(block: Any, context: PartContext) -> Part | None:
    """Return the part of one block: text, reasoning of either kind, or ``function``, as Chat Completions has calls."""
    match block.get("type"):
        case "text":
            return TextPart(block["text"])
        case "reasoning":
            return ReasoningPart(block["text"], State(context.origin, block["state"]))
        case "function":
            return ToolCallPart(block["id"], block["function"]["name"], arguments(block["function"]["arguments"]))
        case _:
            return None


def finish_reason(word: Any, words: dict[str, FinishReason], *, has_calls: bool, trust_calls: bool) -> FinishReason:
    """Read a finish reason; where there is none, calls speak for themselves."""
    if not isinstance(word, str) or not word:
        return FinishReason.TOOL_CALLS if has_calls else FinishReason.OTHER
    reason = words.get(word) or words.get(word.lower(), FinishReason.OTHER)
    return FinishReason.TOOL_CALLS if trust_calls and has_calls and reason is FinishReason.STOP else reason


def content_blocks(value: Any, place: str) -> Iterator[dict[str, Any]]:
    """Take content apart: text, or an array of content blocks, as Anthropic, Cohere and Mistral have them.

    Raises ResponseError where it is neither. Blocks of other kinds are left to ``raw``.
    """
    if value is None or isinstance(value, str):
        if value:
            yield {"type": "text", "text": value}
        return
    items = as_array(value)
    if items is None and as_object(value) is None:
        raise ResponseError(f"{place} leads to {describe(value)}, which isn't text")
    for item in items if items is not None else [value]:
        block = as_object(item) or {"type": "text", "text": item}
        match block.get("type", "text"):
            case "text" | "output_text" if text_of(block.get("text")):
                yield {"type": "text", "text": block["text"]}
            case "thinking":
                state = {name: value for name, value in block.items() if name not in ("type", "thinking") and value}
                yield {"type": "reasoning", "text": thoughts(block.get("thinking")), "state": state}
            case "redacted_thinking":
                yield {"type": "reasoning", "text": "", "state": block}
            case _:
                pass


def thoughts(value: Any) -> str:
    """Return reasoning as text; some servers have it in pieces."""
    pieces = as_array(value)
    if pieces is None:
        return text_of(value)
    return "".join([text_of((as_object(piece) or {"text": piece}).get("text")) for piece in pieces])


def _blocks(doc: Any, provider: HttpGeneric) -> Iterator[dict[str, Any]]:
    reader = provider.reader
    content = list(content_blocks(reader.text.get(doc), "response_text_pointer"))
    if reader.reasoning is not None and all(block["type"] != "reasoning" for block in content):
        reasoning = thoughts(reader.reasoning.get(doc))
        if reasoning:
            yield {"type": "reasoning", "text": reasoning, "state": {}}
    yield from content
    ids = CallIds()
    for found in reader.calls.read(reader.calls.place.get(doc)) if reader.calls is not None else ():
        function = {"name": found.name, "arguments": found.arguments}
        yield {"type": "function", "id": ids.unique(found.id), "function": function}


def _ending(doc: Any, provider: HttpGeneric, parts: list[Part], context: PartContext) -> tuple[FinishReason, str]:
    reader = provider.reader
    has_calls = any(isinstance(part, ToolCallPart) for part in parts)
    if reader.finish is None:  # the endpoint has no word for it
        return (FinishReason.TOOL_CALLS if has_calls else FinishReason.STOP), ""
    word = text_of(reader.finish.get(doc))
    reason = finish_reason(word, reader.words, has_calls=has_calls, trust_calls=reader.trust_calls)
    if not (word or has_calls):
        context.notice(notices.FINISH_MISSING, "the reply has no finish reason", "")
    return reason, word


def _word(paths: Paths | None, doc: Any) -> str:
    return text_of(paths.get(doc)) if paths is not None else ""
