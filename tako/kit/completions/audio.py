"""Audio and files in replies: OpenAI's spoken answers, and Mistral's chunks.

https://developers.openai.com/api/docs/guides/audio: what was said goes back by its id alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tako.json_values import as_object, text_of
from tako.kit.blocks import own_data, state_of, vendor_part
from tako.kit.files import head_of
from tako.media import HEAD_SIZE, join_base64, kind_of, media_type
from tako.parts import FileIdPart, FilePart, FileUrlPart, TextPart, VendorPart
from tako.state import BLOCK_END, State
from tako.types import Delta

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
LETTERS_OF_HEAD = -(-HEAD_SIZE // 3) * 4
"""Letters of base64 that hold the first bytes of a sound, which tell its type."""


def decode_file(block: dict[str, Any], context: PartContext) -> Part:
    """Return the part of a spoken answer, of its transcript, or of a chunk that is a file."""
    match block:
        case {"audio": {"id": str(), "data": str(data)}} if data:
            other_fields = {name: value for name, value in block[AUDIO].items() if name != "data" and value is not None}
            return FilePart(_type_of(data, context), data, state=State(context.origin, {AUDIO: other_fields}))
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
        case {"type": "input_audio", "input_audio": str(data)} if kind_of(mime := _detect_type(data)) == AUDIO:
            state = state_of(block, ("type", "input_audio"), context)
            return FilePart(mime, data, state=state or State(context.origin))
        case _:
            return vendor_part(text_of(block.get("type")) or AUDIO, block, context)


class SpokenAnswer:
    """A spoken answer as it comes: its transcript as text, its sound in pieces that can be played.

    It's kept as one block until its id has come, without which nothing of it goes back.
    """

    def __init__(self, context: PartContext) -> None:
        self.is_open = False
        self._context = context
        self._fields: dict[str, Any] = {}
        self._mime = ""
        self._has_text = False
        self._texts: list[str] = []  # what hasn't been handed over
        self._data: list[str] = []

    def add(self, audio: Any, *, last: bool = False) -> Iterator[Delta]:
        """Yield what a piece adds, in one delta."""
        fields = as_object(audio) or {}
        streamed = ("data", "transcript")
        self._fields |= {name: value for name, value in fields.items() if name not in streamed and value is not None}
        self._texts.append(text_of(fields.get("transcript")))
        self._data.append(text_of(fields.get("data")))
        if not isinstance(self._fields.get("id"), str):
            return
        text, self._texts = "".join(self._texts), []
        self._has_text = self._has_text or bool(text)
        piece = self._piece(last=last)
        if text or piece is not None:
            yield Delta(text or (None if self.is_open else ""), audio=piece)
            self.is_open = True

    def end(self) -> Iterator[Delta]:
        """Yield the ends of the text and of the sound."""
        if not self.is_open:
            return
        yield from self.add({}, last=True)
        yield Delta(state=State(self._context.origin, {AUDIO: {}}) if self._has_text else BLOCK_END)
        state = State(self._context.origin, {AUDIO: self._fields})
        ending = Delta(audio=FilePart(self._mime, "", state=state)) if self._mime else None
        yield ending or Delta(part=VendorPart(AUDIO, state))
        self.is_open = False

    def unsent(self) -> dict[str, Any] | None:
        """Return as a block what wasn't handed over, since there's no id; None if there's nothing."""
        unsent_texts = {"transcript": "".join(self._texts), "data": join_base64(self._data)}
        fields = {**self._fields, **{name: text for name, text in unsent_texts.items() if text}}
        return {AUDIO: fields} if fields and not isinstance(fields.get("id"), str) else None

    def _piece(self, *, last: bool) -> FilePart | None:
        """Return what has come of the sound, in whole groups of four letters; its first bytes tell its type."""
        data = join_base64(self._data)
        length = len(data) if last else len(data) // 4 * 4
        is_type_known = bool(self._mime) or last or length >= LETTERS_OF_HEAD
        self._data = [data[length:] if is_type_known else data]
        if not (data[:length] and is_type_known):
            return None
        self._mime = self._mime or _type_of(data, self._context)
        return FilePart(self._mime, data[:length])


def split_spoken(audio: Any) -> Iterator[dict[str, Any]]:
    """Take a spoken answer apart: its transcript is a text, and comes first."""
    fields = as_object(audio) or {}
    text = fields.get("transcript")
    if isinstance(text, str) and text and isinstance(fields.get("id"), str):
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


def _type_of(data: str, context: PartContext) -> str:
    """Tell the type of a spoken answer: by its first bytes, else by what was asked for."""
    audio_options = as_object(context.request.extra.get(AUDIO)) or {}
    return media_type(head_of(data)) or FORMATS.get(text_of(audio_options.get("format")), FORMATS["pcm16"])


def _detect_type(data: str) -> str:
    return media_type(head_of(data)) or ""
