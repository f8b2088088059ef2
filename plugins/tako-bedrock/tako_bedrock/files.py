"""Images, documents, audio and video as content blocks, and back.

https://docs.aws.amazon.com/bedrock/latest/APIReference, "DocumentBlock", "AudioBlock", "VideoBlock", "ImageBlock".
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from tako.json_values import as_object, text_of
from tako.kit.blocks import own_data, state_of, without
from tako.kit.files import FETCHING, is_fetched, read_media
from tako.media import IMAGE_TYPES, plain_type
from tako.parts import FilePart, FileUrlPart, ImagePart, ImageUrlPart, Part
from tako.state import State

if TYPE_CHECKING:
    from tako.kit.files import Media, MediaPart
    from tako.translator import PartContext

IN_S3 = re.compile(r"s3://[a-z0-9][.\-a-z0-9]{1,61}[a-z0-9](/.*)?")
"""An address in S3, as the API has it."""
_WORD = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
_SHEET = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
FORMATS = {
    **{mime: ("image", mime.removeprefix("image/")) for mime in IMAGE_TYPES},
    "application/pdf": ("document", "pdf"),
    "text/csv": ("document", "csv"),
    "application/msword": ("document", "doc"),
    _WORD: ("document", "docx"),
    "application/vnd.ms-excel": ("document", "xls"),
    _SHEET: ("document", "xlsx"),
    "text/html": ("document", "html"),
    "text/plain": ("document", "txt"),
    "text/markdown": ("document", "md"),
    "audio/mpeg": ("audio", "mp3"),
    "audio/opus": ("audio", "opus"),
    "audio/wav": ("audio", "wav"),
    "audio/aac": ("audio", "aac"),
    "audio/flac": ("audio", "flac"),
    "audio/mp4": ("audio", "mp4"),
    "audio/ogg": ("audio", "ogg"),
    "audio/x-matroska": ("audio", "mka"),
    "audio/webm": ("audio", "webm"),
    "audio/pcm": ("audio", "pcm"),
    "video/x-matroska": ("video", "mkv"),
    "video/quicktime": ("video", "mov"),
    "video/mp4": ("video", "mp4"),
    "video/webm": ("video", "webm"),
    "video/x-flv": ("video", "flv"),
    "video/mpeg": ("video", "mpeg"),
    "video/x-ms-wmv": ("video", "wmv"),
    "video/3gpp": ("video", "three_gp"),
}
"""The block and the format of each type. Any other text is a "txt"."""
_TYPES = {found: mime for mime, found in FORMATS.items()} | {
    ("audio", "m4a"): "audio/mp4",
    ("audio", "mpeg"): "audio/mpeg",
    ("audio", "mpga"): "audio/mpeg",
    ("audio", "mkv"): "audio/x-matroska",
    ("audio", "x-aac"): "audio/aac",
    ("video", "mpg"): "video/mpeg",
}
KINDS = ("image", "document", "audio", "video")


def encode_media(part: MediaPart, context: PartContext) -> dict[str, Any] | None:
    """Return the block of an image or a file, or None with a notice. Bedrock itself reads from S3 alone."""
    media = read_media(part, context, takes=_takes, schemes=("s3", "https", "http"))
    if media is None:
        return None
    stored = IN_S3.fullmatch(media.url)
    if media.url and not stored:
        return {"text": FETCHING} if is_fetched(media, part, context) else None
    kind, form = FORMATS.get(plain_type(media.mime), ("document", "txt"))
    source = {"s3Location": {"uri": media.url}} if stored else {"bytes": media.data}
    known = as_object(own_data(part, context).get(kind)) or {}
    named = {"name": media.name} if kind == "document" else {}
    return {kind: {"format": known.get("format", form), **named, "source": source}}


def _takes(media: Media) -> bool:
    """Whether there is a block of that type. Bedrock keeps no files, and wants the type of one in S3."""
    fits = plain_type(media.mime) in FORMATS or media.kind == "text"
    return not media.id and (fits or media.url.startswith("http"))


def decode_media(kind: str, fields: dict[str, Any], context: PartContext) -> Part | None:
    """Return the part of a block, or None if it's of a kind that no part can say."""
    block = as_object(fields[kind]) or {}
    source, mime = as_object(block.get("source")) or {}, _TYPES.get((kind, text_of(block.get("format"))))
    place = as_object(source.get("s3Location")) or {}
    data, url = text_of(source.get("bytes")), text_of(place.get("uri"))
    if mime is None or not (data or url):
        return None
    known = ("name",) if FORMATS[mime] != (kind, block["format"]) else ("name", "format")
    left = without(source, "s3Location", "uri") if url and not data else source
    rest = {**block, "source": {name: value for name, value in left.items() if name != "bytes" and value is not None}}
    rest = rest if rest["source"] else {**rest, "source": None}
    state = state_of(without({**fields, kind: rest}, kind, *known), (), context)
    if kind == "image":
        return ImagePart(mime, data, state) if data else ImageUrlPart(url, mime, state)
    if state is None and kind != "document":  # these go back to who made them; documents are the user's alone
        state = State(context.origin)
    name = text_of(block.get("name")) or None
    return FilePart(mime, data, name, state) if data else FileUrlPart(url, mime, name, state)
