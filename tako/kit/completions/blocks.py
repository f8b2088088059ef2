"""The blocks of a message, as parts: chunks of its content and calls by their type, its other fields by their name.

One table for whole and streamed replies. What a part's own fields don't say of its block is in its state, from which
``encode_part`` makes the same block again. In a state, "" stands where the part's own text goes.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import msgspec

from tako.fold import parse_arguments
from tako.json_values import as_array, as_object, text_of
from tako.kit.blocks import is_spelled_differently, state_of, vendor_part, without
from tako.kit.completions.audio import decode_file
from tako.media import IMAGE_TYPES
from tako.parts import ImagePart, ImageUrlPart, Part, ReasoningPart, TextPart, ToolCallPart
from tako.state import State

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tako.kit.completions.dialect import Dialect
    from tako.translator import PartContext

Block = dict[str, Any]

REASONING = ("reasoning_content", "reasoning")
"""Fields of a message that have its reasoning as text."""
CALL_FIELDS = {"function": "arguments", "custom": "input", "function_call": "arguments"}
"""What a call names, and the field of its text. The last is the one call of older servers, a field of the message."""
_INLINE = re.compile(rf"data:({'|'.join(IMAGE_TYPES)});base64,([A-Za-z0-9+/]+={{0,2}})")
_HTTP_URL = re.compile(r"https?://.", re.IGNORECASE)


def decode_block(block: Block, context: PartContext, dialect: Dialect) -> Part | None:  # noqa: PLR0911 - one a kind
    """Return the part that a block stands for, or None for one that says nothing."""
    if is_plain(block):  # most
        return TextPart(block["text"]) if block["text"] else None
    match block:
        case {"type": "text", "text": str(text)}:
            state = state_of(block, ("type", "text"), context)
            return TextPart(text, state=state) if text or state else None
        case {"refusal": str(text)}:
            return TextPart(text, refusal=True)
        case {"type": "thinking", "thinking": str() | list()}:
            return _thinking(block, context)
        case {"type": "image_url"} | {"images": [_]}:
            return _image(block, context)
        case {"audio": dict()} | {"type": "document_url" | "file" | "input_audio"}:
            return decode_file(block, context)
        case (
            {"id": str(), "function": dict()} | {"id": str(), "custom": dict()} | {"id": str(), "function_call": dict()}
        ):
            return _call(block, context, dialect)
        case {"tool_calls": [call]}:
            return vendor_part(text_of(call.get("type")), block, context)
        case {"type": str(kind)}:
            return vendor_part(kind, block, context)
        case _:
            return _field(block, context)


def _field(block: Block, context: PartContext) -> Part:
    """Read reasoning that is text, or a field that tako has no kind for."""
    texts = [text for name in (*REASONING, "reasoning_details") if isinstance(text := block.get(name), str)]
    if not texts:
        return vendor_part(next(iter(block)), block, context)
    data = {name: "" if value == texts[0] else value for name, value in block.items()}
    return ReasoningPart(texts[0], State(context.origin, data))


def _thinking(block: Block, context: PartContext) -> Part | None:
    """Read a thinking chunk of Mistral's: texts with references in between, or (some servers) the text itself."""
    inner = block["thinking"]
    chunks = [] if isinstance(inner, str) else list(chunks_of(inner))
    text = inner if isinstance(inner, str) else "".join([text_of(chunk.get("text")) for chunk in chunks])
    if not (text or chunks or block.get("signature")):
        return None
    thinking = "" if isinstance(inner, str) else None if all(map(is_plain, chunks)) else chunks
    return ReasoningPart(text, state_of({**block, "thinking": thinking}, (), context))


def _image(block: Block, context: PartContext) -> Part:
    """Read an image: a chunk of the content, or an item of ``images`` (OpenRouter, https://openrouter.ai/docs)."""
    images = as_array(block.get("images"))
    image = as_object(images[0]) or {} if images else block
    image_url = image.get("image_url")
    url = image_url if isinstance(image_url, str) else text_of((as_object(image_url) or {}).get("url"))
    inline = _INLINE.fullmatch(url)
    if inline is None and not _HTTP_URL.match(url):
        return vendor_part("images" if images else "image_url", block, context)
    other_fields = {**image, "image_url": ""} if isinstance(image_url, str) else without(image, "image_url", "url")
    state = State(context.origin, {"images": [other_fields]} if images else other_fields)
    return ImagePart(inline[1], inline[2], state) if inline else ImageUrlPart(url, None, state)


def _call(block: Block, context: PartContext, dialect: Dialect) -> ToolCallPart:
    """Read a call. Its state has the arguments if they're written in another way than tako would write them.

    One with an id that this wire wouldn't take from others has a state that says who made it.
    """
    kind = next(name for name in CALL_FIELDS if name in block)
    name, text = text_of(block[kind].get("name")), fragment(block[kind].get(CALL_FIELDS[kind]))
    args = parse_arguments(text)
    as_written = args != text if kind == "custom" else is_spelled_differently(text, args)
    known_fields = ("name",) if as_written else ("name", CALL_FIELDS[kind])
    other_fields = {**without(block, kind, *known_fields), "type": None if kind == "function" else kind}
    state = state_of(other_fields, ("id", "index"), context)
    if state is None and block["id"] != next(dialect.call_ids(block["id"])):
        state = State(context.origin)
    return ToolCallPart(block["id"], name, args, state)


def is_plain(chunk: Block) -> bool:
    """Whether a chunk is text and nothing else."""
    return len(chunk) == 2 and chunk.get("type") == "text" and isinstance(chunk.get("text"), str)  # noqa: PLR2004 - both


def chunks_of(content: list[Any]) -> Iterator[Block]:
    """List the chunks of content, neighbouring plain texts as one: a stream's pieces have no boundaries."""
    texts: list[str] = []
    for item in content:
        chunk = {"type": "text", "text": item} if isinstance(item, str) else as_object(item) or {}
        chunk = {"type": "text", **chunk} if "type" not in chunk and "text" in chunk else chunk
        if is_plain(chunk):
            texts.append(chunk["text"])
        elif chunk:
            yield from _join_texts(texts)
            texts = []
            yield chunk
    yield from _join_texts(texts)


def _join_texts(texts: list[str]) -> Iterator[Block]:
    if text := "".join(texts):
        yield {"type": "text", "text": text}


def fragment(arguments: Any) -> str:
    """Return arguments as JSON text; some servers send the value itself."""
    if isinstance(arguments, str):
        return arguments
    return "" if arguments is None else msgspec.json.encode(arguments).decode()
