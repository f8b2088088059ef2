"""Images, documents, audio and video as content blocks, and back.

https://docs.aws.amazon.com/bedrock/latest/APIReference, "DocumentBlock", "AudioBlock", "VideoBlock", "ImageBlock".
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from tako.json_values import as_object, text_of
from tako.kit.blocks import own_data, state_of, without
from tako.kit.files import FETCHING, is_fetched, read_media
from tako.media import IMAGE_TYPES, canonical_type
from tako.parts import FilePart, FileUrlPart, ImagePart, ImageUrlPart, Part
from tako.state import State

if TYPE_CHECKING:
    from tako.kit.files import Media, MediaPart
    from tako.translator import PartContext

S3_URL = re.compile(r"s3://[a-z0-9][.\-a-z0-9]{1,61}[a-z0-9](/.*)?")
"""The pattern of an S3 address, from the API."""
_DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
_XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
FORMATS = {
    **{mime: ("image", mime.removeprefix("image/")) for mime in IMAGE_TYPES},
    "application/pdf": ("document", "pdf"),
    "text/csv": ("document", "csv"),
    "application/msword": ("document", "doc"),
    _DOCX: ("document", "docx"),
    "application/vnd.ms-excel": ("document", "xls"),
    _XLSX: ("document", "xlsx"),
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
"""The kind of block and the format for each media type. Any other text is a "txt"."""
_TYPES = {block_format: mime for mime, block_format in FORMATS.items()} | {
    ("audio", "m4a"): "audio/mp4",
    ("audio", "mpeg"): "audio/mpeg",
    ("audio", "mpga"): "audio/mpeg",
    ("audio", "mkv"): "audio/x-matroska",
    ("audio", "x-aac"): "audio/aac",
    ("video", "mpg"): "video/mpeg",
}
KINDS = ("image", "document", "audio", "video")


def encode_media(part: MediaPart, context: PartContext) -> dict[str, Any] | None:
    """Return the block of an image or a file, or None with a notice. Bedrock itself only reads from S3."""
    media = read_media(part, context, takes=_is_supported, schemes=("s3", "https", "http"))
    if media is None:
        return None
    in_s3 = S3_URL.fullmatch(media.url)
    if media.url and not in_s3:
        return {"text": FETCHING} if is_fetched(media, part, context) else None
    kind, block_format = FORMATS.get(canonical_type(media.mime), ("document", "txt"))
    source = {"s3Location": {"uri": media.url}} if in_s3 else {"bytes": media.data}
    own_fields = as_object(own_data(part, context).get(kind)) or {}
    name_field = {"name": media.name} if kind == "document" else {}
    return {kind: {"format": own_fields.get("format", block_format), **name_field, "source": source}}


def _is_supported(media: Media) -> bool:
    """Whether a block can carry it. Bedrock stores no files, and needs the type of a file in S3."""
    has_format = canonical_type(media.mime) in FORMATS or media.kind == "text"
    return not media.id and (has_format or media.url.startswith("http"))


def decode_media(kind: str, fields: dict[str, Any], context: PartContext) -> Part | None:
    """Return the part of a block, or None if no part can represent it."""
    block = as_object(fields[kind]) or {}
    source, mime = as_object(block.get("source")) or {}, _TYPES.get((kind, text_of(block.get("format"))))
    location = as_object(source.get("s3Location")) or {}
    data, url = text_of(source.get("bytes")), text_of(location.get("uri"))
    if mime is None or not (data or url):
        return None
    rebuilt = ("name",) if FORMATS[mime] != (kind, block["format"]) else ("name", "format")
    kept_source = without(source, "s3Location", "uri") if url and not data else source
    rest = {
        **block,
        "source": {name: value for name, value in kept_source.items() if name != "bytes" and value is not None},
    }
    rest = rest if rest["source"] else {**rest, "source": None}
    state = state_of(without({**fields, kind: rest}, kind, *rebuilt), (), context)
    if kind == "image":
        return ImagePart(mime, data, state) if data else ImageUrlPart(url, mime, state)
    if (
        state is None and kind != "document"
    ):  # media that a model made only go back to that model; it makes no documents
        state = State(context.origin)
    name = text_of(block.get("name")) or None
    return FilePart(mime, data, name, state) if data else FileUrlPart(url, mime, name, state)
