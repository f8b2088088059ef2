"""A ChatRequest as a Chat Completions body."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec.structs import replace

from tako import notices
from tako.errors import kind_of
from tako.fold import parse_arguments
from tako.json_values import as_array, as_object, text_of
from tako.kit.blocks import is_own, own_data
from tako.kit.completions.audio import encode_spoken
from tako.kit.completions.blocks import CALL_FIELDS, REASONING, Block, decode_block
from tako.kit.completions.dialect import Dialect
from tako.kit.completions.parameters import json_mode_instruction, parameters
from tako.kit.completions.prefill import without_prefill
from tako.kit.completions.turns import MOVED_BLOCKS, arrange
from tako.kit.encoding import (
    complete,
    encode,
    encode_inner,
    encode_vendor_part,
    is_foreign,
    merge,
    merge_extra,
    note_empty,
    refuse_empty,
    result_parts,
)
from tako.kit.files import FETCHING, MEDIA, MediaPart, as_text, is_fetched, read_media, unsupported
from tako.kit.schemas.request import adapt
from tako.media import IMAGE_TYPES
from tako.parts import (
    FileIdPart,
    FilePart,
    FileUrlPart,
    ImagePart,
    ImageUrlPart,
    Part,
    ReasoningPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
    VendorPart,
)
from tako.translator import PartContext, Translator
from tako.types import Role

if TYPE_CHECKING:
    from collections.abc import Callable

    from tako.kit.files import Media
    from tako.types import ChatRequest

RESULT_FOLLOWS = "The result is in the user's next message."
"""The text of a tool result whose images and files follow it."""
CACHEABLE = ("text", "image_url", "file", "input_audio")
"""Types of chunks that may mark the end of what is cached."""
CACHE_MARKS = {"prompt_cache_breakpoint": {"mode": "explicit"}, "cache_control": {"type": "ephemeral"}}
"""Fields of a chunk that mark the end of what is cached (OpenAI from gpt-5.6 on; OpenRouter for Claude)."""
CACHE_LIFETIMES = {"prompt_cache_breakpoint": ("30m", "12h"), "cache_control": ("5m", "1h")}
"""How long a cache may live, in the words of each; others go out as they are."""


def encode_request(
    request: ChatRequest, model: str, translator: Translator, context: PartContext, dialect: Dialect, *, stream: bool
) -> dict[str, Any]:
    """Make the body of a request; what the wire can't carry is noted in the context."""
    request = adapt(request, context, dialect.wire, context.known_as)
    messages = without_prefill(arrange(request, translator, context, dialect), context)
    messages = dialect.arrange(messages, context) if dialect.arrange is not None else messages
    refuse_empty(messages, context)
    if json_instruction := json_mode_instruction(request, context, dialect):
        messages = [{"role": "system", "content": json_instruction}, *messages]
    body = {"model": request.model or model, "messages": messages, **dict(parameters(request, context, dialect))}
    if stream:
        body["stream"] = True
        if dialect.stream_usage:
            body["stream_options"] = {"include_usage": True}
    return merge_extra(body, request.extra)


def translator_for(dialect: Dialect | None = None, dialect_of: Callable[[str], Dialect] | None = None) -> Translator:
    """Make the dialect's translator; ``dialect_of(model)`` tells how one model's differs, if models do."""
    dialect = dialect or Dialect()
    encode = partial(encode_part, dialect=dialect, dialect_of=dialect_of)
    return Translator(encode, partial(decode_block, dialect=dialect))


def encode_part(
    part: Part, context: PartContext, dialect: Dialect, dialect_of: Callable[[str], Dialect] | None = None
) -> Any:
    """Return the block of one part: a chunk of content, a call, a message for a tool result, or fields of a message."""
    if part.state is not None and (spoken := encode_spoken(part, context)) is not None:
        return merge(spoken, part.extra)
    match part:
        case TextPart():
            block = _text(part, context, dialect)
        case ImagePart() | ImageUrlPart() | FilePart() | FileUrlPart() | FileIdPart():
            block = _media(part, context, dialect)
        case ToolCallPart():
            block = _call(part, context)
        case ToolResultPart():
            block = _result(part, context)
        case ReasoningPart():
            return _reasoning(part, context, dialect)
        case VendorPart():
            return _vendor(part, context)
        case _:  # a part of a later version, or of a plugin that wraps the translator
            return None
    if block is None:
        return None
    if part.cache:
        models = dialect_of(context.known_as) if dialect_of is not None else dialect
        block = _with_cache_mark(block, part.cache, context, models.cache_mark)
    return complete(block, part, context)


def _with_cache_mark(block: Block, cache: bool | str, context: PartContext, field: str | None) -> Block:
    """Mark the end of what is cached: chunks of content have a field for it, that of a result too."""
    if field is None or not (block.get("role") == "tool" or block.get("type") in CACHEABLE):
        context.notice(notices.UNSUPPORTED_PARAMETER, "cache was left out: the wire has no mark for it here")
        return block
    mark = cache_mark(field, cache, context)
    if "role" in block:
        return {**block, "content": [{"type": "text", "text": block["content"], **mark}]}
    return {**block, **mark}


def cache_mark(field: str, cache: bool | str, context: PartContext) -> Block:
    """Return the field that marks the end of what is cached; a lifetime that is another vendor's word is left out."""
    mark = CACHE_MARKS[field]
    if isinstance(cache, str) and any(
        cache in lifetimes and name != field for name, lifetimes in CACHE_LIFETIMES.items()
    ):
        accepted = " or ".join(CACHE_LIFETIMES[field])
        text = f"the cache lives as long as the server decides: it takes {accepted}, not {cache}"
        context.notice(notices.CHANGED_PARAMETER, text)
        return {field: mark}
    return {field: {**mark, **({} if cache is True else {"ttl": cache})}}


def _text(part: TextPart, context: PartContext, dialect: Dialect) -> Block | None:
    if not part.text:
        note_empty(part, context)
        return None
    if part.refusal and dialect.refusal and _is_in_assistant_message(context):
        return {"refusal": part.text}
    return {"type": "text", "text": part.text}


def _media(part: MediaPart, context: PartContext, dialect: Dialect) -> Block | None:
    """Encode an image or a file. One of the model's goes back to who made it alone: no wire has a place elsewhere."""
    if _is_in_assistant_message(context) and not is_own(part, context):
        context.notice(notices.MISPLACED_PART, f"{kind_of(part)} can't be in an assistant message")
        return None
    media = read_media(part, context)
    if media is None:
        return None
    if media.kind == "image" and (media.url or media.mime in IMAGE_TYPES) and not media.id:
        return _image(part, media.url or media.data_url, context)
    return dialect.file(media) or _as_text(media, part, context, dialect)


def _as_text(media: Media, part: MediaPart, context: PartContext, dialect: Dialect) -> Block | None:
    """Encode a text file, or hold the place of one that is fetched."""
    if media.url and (not media.mime or media.kind == "text" or dialect.file(replace(media, url="", data="-"))):
        return {"type": "text", "text": FETCHING} if is_fetched(media, part, context) else None
    if not media.url and media.kind == "text" and not media.id:
        return {"type": "text", "text": as_text(media, context)}
    unsupported(media, context)
    return None


def _image(part: MediaPart, url: str, context: PartContext) -> Block:
    data = own_data(part, context)
    images = as_array(data.get("images"))
    image = images[0] if images else data
    url_field = {"image_url": url if image.get("image_url") == "" else {"url": url}}
    return {"images": [merge(image, url_field)]} if images else {"type": "image_url", **url_field}


def _call(part: ToolCallPart, context: PartContext) -> Block:
    """Encode a call in the form in which it came: of a function, of a custom tool, or the one call of older servers."""
    data = own_data(part, context)
    kind = text_of(data.get("type")) or "function"
    field = CALL_FIELDS.get(kind, "arguments")
    text = (as_object(data.get(kind)) or {}).get(field)
    if (
        not isinstance(text, str) or parse_arguments(text) != part.args
    ):  # a plugin changed it, or there's one way to write it
        text = _arguments(part.args, context) if field == "arguments" else _input(part.args)
    return {"id": part.id, "type": kind, kind: {"name": part.name, field: text}}


def _input(args: Any) -> str:
    """Return the input of a custom tool, which is any text."""
    return args if isinstance(args, str) else encode(args).decode()


def _arguments(args: Any, context: PartContext) -> str:
    """Return arguments as JSON text; text that isn't JSON goes out inside an object, since servers parse it."""
    if not isinstance(args, str):
        return encode(args).decode()
    try:
        msgspec.json.decode(args or "{}")
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        context.notice(notices.CHANGED_PART, "the arguments aren't JSON, so they were sent inside an object")
        return encode({"arguments": args}).decode()
    return args or "{}"


def _result(part: ToolResultPart, context: PartContext) -> Block:
    """Encode a result. Its images and files stand under ``BESIDE``: they go out as the user's, after the results."""
    if part.is_error:
        context.notice(notices.ERROR_FLAG, "the wire has no error mark for tool results; the text was sent without it")
    message: Block = {"role": "tool", "tool_call_id": part.id}
    items = result_parts(part)
    if items is None:
        return {**message, "content": result_text(part, context)}
    blocks = encode_inner(items, context, accepted=(TextPart, *MEDIA), is_moved=_is_media)
    media = [block for block in blocks if _is_media(block)]
    text = "".join([block["text"] for block in blocks if not _is_media(block)])
    if not media:
        return {**message, "content": text}
    return {**message, "content": text or RESULT_FOLLOWS, MOVED_BLOCKS: media}


def _is_media(block: Block) -> bool:
    return block.get("type") != "text"


def result_text(part: ToolResultPart, context: PartContext) -> str:
    """Return a tool result as text, for wires that take nothing else: a str as it is, parts joined, others as JSON."""
    items = result_parts(part)
    if items is None:
        return part.result if isinstance(part.result, str) else encode(part.result).decode()
    blocks = encode_inner(items, context, accepted=(TextPart,))
    return "".join([block.get("text", "") for block in blocks])


def _reasoning(part: ReasoningPart, context: PartContext, dialect: Dialect) -> Block | None:
    """Encode reasoning as it came: in fields of the message, or in a chunk of its content."""
    if is_foreign(part, context):
        return None
    data = own_data(part, context)
    if data.get("type") == "thinking":
        return complete({"thinking": _thinking(part.text, data.get("thinking"))}, part, context)
    fields = [name for name in REASONING if data.get(name) == ""]
    if dialect.reasoning_text is not None:
        fields = [dialect.reasoning_text] if dialect.reasoning_text else []
        data = {}
    elif "reasoning_details" in data:
        return {**part.extra}  # its text is in the details, which are a part of their own
    if not fields:
        context.notice(notices.UNSUPPORTED_PART, "reasoning was left out: the API doesn't take it back")
        return None
    return merge({**data, **dict.fromkeys(fields, part.text)}, part.extra)


def _thinking(text: str, original: Any) -> Any:
    """Return what a thinking chunk holds: its chunks as they came, unless a plugin changed the text."""
    if original == "":
        return text
    chunks = as_array(original) or []
    if "".join([text_of((as_object(chunk) or {}).get("text")) for chunk in chunks]) == text:
        return chunks
    return [{"type": "text", "text": text}]


def _vendor(part: VendorPart, context: PartContext) -> Block | None:
    """Encode a block as it came; of sound only the id goes back (https://platform.openai.com/docs/guides/audio)."""
    block = encode_vendor_part(part, context)
    audio = as_object((block or {}).get("audio")) if part.kind == "audio" else None
    return {**(block or {}), "audio": {"id": audio["id"]}} if audio and "id" in audio else block


def _is_in_assistant_message(context: PartContext) -> bool:
    return context.message is not None and context.message.role is Role.ASSISTANT
