"""Audio and files in replies: OpenAI's spoken answers, and Mistral's chunks.

https://developers.openai.com/api/docs/guides/audio: what was said goes back by its id alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tako.kit.blocks import own_data, state_of, vendor_part
from tako.kit.files import head_of
from tako.loose import as_object, text_of
from tako.media import kind_of, media_type
from tako.parts import FileIdPart, FilePart, FileUrlPart, TextPart
from tako.state import State

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tako.parts import Part
    from tako.translator import PartContext

AUDIO = "audio"
FORMATS = {
    "wav": "audio/wav",
    "mp3": "audio/mpeg",
    "flac": "audio/flac",
    "opus": "audio/ogg",
    "aac": "audio/aac",
    "pcm16": "audio/L16;rate=24000",
}
"""The type of each format that a request may ask for; the last one has no first bytes that tell it."""


def decode_file(block: dict[str, Any], context: PartContext) -> Part:
    """Return the part of a spoken answer, of its transcript, or of a chunk that is a file."""
    match block:
        case {"audio": {"id": str(), "data": str(data)}} if data:
            rest = {name: value for name, value in block[AUDIO].items() if name != "data"}
            return FilePart(_format(data, context), data, state=State(context.origin, {AUDIO: rest}))
        case {"audio": {"transcript": str(text)}} if len(block[AUDIO]) == 1:
            return TextPart(text, state=State(context.origin, {AUDIO: {}}))
        case {"type": "document_url", "document_url": str(url)} if url.startswith(("https://", "http://")):
            state = state_of(block, ("type", "document_url", "document_name"), context)
            return FileUrlPart(
                url, name=text_of(block.get("document_name")) or None, state=state or State(context.origin)
            )
        case {"type": "file", "file_id": str(id)}:
            state = state_of(block, ("type", "file_id"), context)
            return FileIdPart(id, context.provider, state=state or State(context.origin))
        case {"type": "input_audio", "input_audio": str(data)} if kind_of(mime := _sniffed(data)) == AUDIO:
            state = state_of(block, ("type", "input_audio"), context)
            return FilePart(mime, data, state=state or State(context.origin))
        case _:
            return vendor_part(text_of(block.get("type")) or AUDIO, block, context)


def spoken(audio: Any) -> Iterator[dict[str, Any]]:
    """Take a spoken answer apart: its transcript is a text, and comes first."""
    fields = as_object(audio) or {}
    text = fields.get("transcript")
    if isinstance(text, str) and text and fields.get("data") and isinstance(fields.get("id"), str):
        yield {AUDIO: {"transcript": text}}
        yield {AUDIO: {name: value for name, value in fields.items() if name != "transcript"}}
    else:
        yield {AUDIO: audio}


def encode_spoken(part: Part, context: PartContext) -> dict[str, Any] | None:
    """Return what goes back of a spoken answer: its id, and of its transcript nothing. None for any other part."""
    audio = as_object(own_data(part, context).get(AUDIO))
    if audio is None or not isinstance(part, (FilePart, TextPart)):
        return None
    return {AUDIO: {"id": audio["id"]}} if "id" in audio else {}


def _format(data: str, context: PartContext) -> str:
    """Tell the type of a spoken answer: by its first bytes, else by what was asked for."""
    asked = as_object(context.request.extra.get(AUDIO)) or {}
    return media_type(head_of(data)) or FORMATS.get(text_of(asked.get("format")), FORMATS["pcm16"])


def _sniffed(data: str) -> str:
    return media_type(head_of(data)) or ""
