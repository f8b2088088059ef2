"""A whole Chat Completions reply, and what it shares with a streamed one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from tako import notices
from tako.errors import ResponseError
from tako.json_values import as_array, as_object, text_of
from tako.kit.body import decode_any, excerpt
from tako.kit.completions.audio import split_spoken
from tako.kit.completions.blocks import REASONING, Block, chunks_of
from tako.kit.completions.calls import complete_calls
from tako.kit.completions.citations import REFERENCES, annotated_citations, referenced_citations
from tako.kit.completions.dialect import Dialect
from tako.kit.completions.reply_fields import Content, read_reply, usage_of
from tako.kit.failures import facts_of
from tako.kit.finish_reasons import finish_reason
from tako.kit.hidden_errors import hidden_error, other_api
from tako.kit.ids import mint_id, read_id
from tako.kit.token_counts import note_odd_usage
from tako.parts import Citation, Part, TextPart
from tako.types import ChatResponse, FinishReason, Message, Role

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from tako.kit.completions.reply_fields import Choice
    from tako.kit.exchange import Exchange
    from tako.kit.failures import Reporter
    from tako.kit.http import HttpProvider
    from tako.translator import PartContext, Translator


READ_FIELDS = frozenset(("role", "type", "content", "refusal", "tool_calls", "function_call", "audio", *REASONING))
"""Fields of a message that are read for themselves; the others go back as they came."""
NO_OTHER_FIELDS = READ_FIELDS - {*REASONING}
SILENT_FINISH_REASONS = (FinishReason.LENGTH, FinishReason.CONTENT_FILTER, FinishReason.ERROR)
"""Endings that may leave a choice without a message."""
EMPTY_VALUES: tuple[Any, ...] = (None, "", [], {})
"""Values of fields that say nothing."""


def decode_reply(
    body: bytes,
    exchange: Exchange,
    provider: Reporter | HttpProvider,
    translator: Translator,
    dialect: Dialect | None = None,
) -> ChatResponse:
    """Read a reply; raises ResponseError if it isn't one, and the error that it reports if it does."""
    dialect = dialect or Dialect()
    document = decode_any(body)
    reply = read_reply(document, body)
    choices = reply.choices or []
    is_spread_reply = is_spread(exchange)
    choice = choices[0] if choices else None
    if choice is not None and choice.index:
        choice = next((other for other in choices if not other.index), choice if is_spread_reply else None)
    error = {"error": choice.error} if choice and choice.error else document if reply.failed else None
    facts = facts_of(error) if error else hidden_error(document) if choice is None else None
    if facts is not None:
        raise provider.failure(facts, body=body.decode("utf-8", "replace"))
    if choice is None and (as_object(document) or {}).get("object") == "response":
        raise other_api("responses", provider, body)
    finish_reason_text = (choice.finish_reason or "") if choice is not None else ""
    if choice is None or (
        choice.full_message is None and dialect.finish_reasons.get(finish_reason_text) not in SILENT_FINISH_REASONS
    ):
        missing = "choices" if choice is None else "message"
        raise ResponseError(f"the reply has no {missing}: {excerpt(body)}", body=body[:4096].decode("utf-8", "replace"))
    message = choice.full_message or Content()
    other_choices = (
        [candidate for candidate in choices if candidate is not choice and candidate.full_message is not None]
        if is_spread_reply and choices[1:]
        else []
    )
    if other_choices:
        message = _join_choices(message, [one.full_message for one in other_choices if one.full_message is not None])
        finish_reason_text = (
            next((one.finish_reason for one in other_choices if message.calls and ended_for_calls(one, dialect)), None)
            or finish_reason_text
        )
    calls = message.calls
    raw_choice = as_object(document["choices"][choices.index(choice)]) or {}
    fields: Block = as_object(raw_choice.get("message")) or as_object(raw_choice.get("delta")) or {}
    parts = _parts(message, fields, calls, lambda block: translator.decode(block, exchange.context), dialect)
    if message.refusal:
        note_refusal(exchange.context)
    return ChatResponse(
        message=Message(Role.ASSISTANT, parts),
        finish_reason=finish_reason(finish_reason_text, dialect.finish_reasons, has_calls=bool(calls)),
        finish_word=finish_reason_text,
        usage=note_odd_usage(usage_of(reply.counts), exchange.context),
        model=text_of(reply.model) or exchange.body.get("model", ""),
        id=read_id(reply.id),
        provider=exchange.provider,
        notices=exchange.notices,
        raw=document,
    )


def id_maker(dialect: Dialect) -> Callable[[], str]:
    """Return what makes ids for calls that come without, as the wire takes them back."""
    return lambda: next(dialect.call_ids(mint_id()))


def note_refusal(context: PartContext) -> None:
    """Note that the model refused: the finish word is the same as of an answer."""
    context.notice(notices.BLOCKED, "the model refused to answer; response.refusal has its words", "")


def is_spread(exchange: Exchange) -> bool:
    """Whether several choices are one answer, as a gateway (Copilot) spreads it: one was asked for."""
    return (exchange.body.get("n") or 1) == 1


def _join_choices(first: Content, other_messages: list[Content]) -> Content:
    """Put an answer together that is spread over choices: all of its calls, and the first text and reasoning."""
    fields: dict[str, Any] = {"tool_calls": [call for message in (first, *other_messages) for call in message.calls]}
    for name in ("content", *REASONING, "reasoning_details"):
        fields[name] = next((value for one in (first, *other_messages) if (value := getattr(one, name))), None)
    return replace(first, function_call=None, **fields)


def ended_for_calls(choice: Choice, dialect: Dialect) -> bool:
    """Whether a choice ended for calls."""
    return finish_reason(choice.finish_reason or "", dialect.finish_reasons, has_calls=False) is FinishReason.TOOL_CALLS


def _parts(
    message: Content, fields: Block, calls: list[Block], decode: Callable[[Block], Part | None], dialect: Dialect
) -> list[Part]:
    """Read a message: its reasoning first, then content, refusal, sound and calls, then its other fields."""
    parts: list[Part] = []
    last_text = cited_text = -1  # the last text, and the one that the next reference is about
    for block in (*_blocks(message), *(complete_calls(calls, id_maker(dialect)) if calls else ())):
        kind = block.get("type")
        if kind not in REFERENCES:
            cited_text = -1
        elif cited_text >= 0:
            parts[cited_text] = _with_citations(parts[cited_text], referenced_citations(block))
        part = decode(block)
        if part is not None:
            if kind == "text":
                last_text = cited_text = len(parts)
            parts.append(part)
    if (annotations := fields.get("annotations")) and last_text >= 0:
        parts[last_text] = _with_citations(parts[last_text], annotated_citations(annotations))
    empty_fields = (
        [name for name in REASONING if fields.get(name) == ""] if calls and not reasoning_texts(message) else ()
    )
    last = last_blocks(fields, has_citations=last_text >= 0, empty_fields=empty_fields)
    parts += [part for block in last if (part := decode(block)) is not None]
    return parts


def _with_citations(part: Part, citations: list[Citation]) -> Part:
    return replace(part, citations=[*part.citations, *citations]) if isinstance(part, TextPart) else part


def _blocks(message: Content) -> Iterator[Block]:
    if reasoning := reasoning_texts(message):
        yield reasoning
    if isinstance(message.content, list):
        yield from chunks_of(message.content)
    elif message.content:
        yield {"type": "text", "text": message.content}
    if message.refusal:
        yield {"refusal": message.refusal}
    if message.audio:
        yield from split_spoken(message.audio)


def reasoning_texts(message: Content) -> dict[str, str]:
    """Return the fields of a message, or of a delta, that have text of its reasoning; the details if no other has."""
    if message.reasoning_content is message.reasoning is message.reasoning_details is None:
        return {}  # most
    content, other = text_of(message.reasoning_content), text_of(message.reasoning)
    if content and other:
        return {"reasoning_content": content, "reasoning": other}
    if content or other:
        return {"reasoning_content" if content else "reasoning": content or other}
    details = [as_object(detail) or {} for detail in as_array(message.reasoning_details) or ()]
    text = "".join([text_of(one.get("text")) or text_of(one.get("summary")) for one in details])
    return {"reasoning_details": text} if text else {}


def is_not_text(name: str, value: Any) -> bool:
    """Whether a field of reasoning has something else than text: it goes back like any other field."""
    return name in REASONING and not isinstance(value, str)


def last_blocks(fields: Block, *, has_citations: bool, empty_fields: Iterable[str]) -> Iterator[Block]:
    """List what comes last of a message, by name: fields that tako has no part of its own for, and its images.

    ``has_citations``: its citations are in a text part, so annotations that are only citations don't have to go back.
    ``empty_fields``: fields of reasoning that were there and empty. DeepSeek refuses calls without them
    (https://api-docs.deepseek.com/guides/thinking_mode).
    """
    for name in empty_fields:
        yield {name: ""}
    for name in sorted({*fields} - NO_OTHER_FIELDS):
        value = fields[name]
        if (name in READ_FIELDS and not is_not_text(name, value)) or value in EMPTY_VALUES:
            continue
        if name == "images" and isinstance(value, list):
            yield from ({name: [image]} for image in as_array(value) or ())
        elif (
            name != "annotations"
            or not has_citations
            or len(annotated_citations(value)) < len(as_array(value) or (value,))
        ):
            yield {name: value}
