"""The parts of a message: text, images, tool calls, their results, and reasoning.

``ContentPart.text("…")`` and its sisters make them; ``type`` is the tag by which they are told apart in JSON. They
keep whatever they are given: what a provider cannot carry is found when it is sent, and becomes a Notice.
"""

from __future__ import annotations

import base64
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from msgspec import Struct, StructMeta, convert
from msgspec.structs import force_setattr

from tako.loose import as_array, as_object

if TYPE_CHECKING:
    from os import PathLike

IMAGE_TYPES = ("image/jpeg", "image/png", "image/gif", "image/webp")
"""The MIME types that every provider with vision takes."""
_UNKNOWN_TYPE = f"not an image of a known type ({', '.join(IMAGE_TYPES)}): give mime= if it is one"
_PIECE = 3 * 1024 * 256
"""Bytes of a file that are read at once, so that it is never in memory beside its base64 (3 bytes, 4 letters)."""


class _Constructors(StructMeta):
    """The constructors of ContentPart. They live on the metaclass since `text` is also a field of some parts."""

    def text(cls, text: str) -> TextPart:
        """Make a text part."""
        return TextPart(text)

    def image(cls, mime: str, data_b64: str) -> ImagePart:
        """Make an image from base64 text, or from a ``data:`` URL."""
        return ImagePart(mime, data_b64)

    def image_url(cls, url: str, mime: str | None = None) -> ImageUrlPart:
        """Make an image that is fetched from its address, by the vendor or (where allowed) by tako."""
        return ImageUrlPart(url, mime)

    def image_bytes(cls, data: bytes, mime: str | None = None) -> ImagePart:
        """Make an image from its bytes; the type is read from the first of them unless it is given.

        Raises ValueError where the bytes are of no type that tako knows.
        """
        found = mime or image_type(data)
        if found is None:
            raise ValueError(_UNKNOWN_TYPE)
        return ImagePart(found, base64.b64encode(data).decode("ascii"))

    def image_file(cls, path: str | PathLike[str], mime: str | None = None) -> ImagePart:
        """Make an image from a file; the type is read from its first bytes unless it is given.

        Raises OSError where the file cannot be read and ValueError where it is no image.
        """
        encoded = BytesIO()
        with Path(path).open("rb") as file:
            found = mime or image_type(file.read(12))
            if found is None:
                raise ValueError(f"{path}: {_UNKNOWN_TYPE}")
            file.seek(0)
            while piece := file.read(_PIECE):
                encoded.write(base64.b64encode(piece))
        return ImagePart(found, encoded.getvalue().decode("ascii"))

    def tool_call(cls, id: str, name: str, args: Any) -> ToolCallPart:
        """Make a tool call; ``args`` is parsed JSON (or the text itself where it could not be parsed)."""
        return ToolCallPart(id, name, args)

    def tool_result(cls, id: str, result: Any, is_error: bool = False) -> ToolResultPart:
        """Make the answer to a tool call; ``result`` is any JSON value, or a list of text and image parts."""
        return ToolResultPart(id, result, is_error)

    def reasoning(
        cls, text: str, signature: str | None = None, provider: str | None = None, data: dict[str, Any] | None = None
    ) -> ReasoningPart:
        """Make a piece of reasoning, with the opaque state that its provider wants back."""
        return ReasoningPart(text, signature, provider, data)


class ContentPart(Struct, frozen=True, tag_field="type", metaclass=_Constructors):
    """One part of a message. Make them with the constructors: ``ContentPart.text("Hello")``."""


class TextPart(ContentPart, frozen=True, tag="text"):
    """Text. ``signature`` and ``provider``: opaque state of the provider that wrote it. ``cache``: see the docs."""

    text: str
    signature: str | None = None
    provider: str | None = None
    cache: bool = False


class ImagePart(ContentPart, frozen=True, tag="image"):
    """An image as base64 text; a ``data:`` URL is accepted too and is taken apart when it is sent."""

    mime: str
    data_b64: str
    cache: bool = False

    def __repr__(self) -> str:
        return f"ImagePart(mime={self.mime!r}, data_b64=<{len(self.data_b64)} characters>)"


class ImageUrlPart(ContentPart, frozen=True, tag="image_url"):
    """An image by its address."""

    url: str
    mime: str | None = None
    cache: bool = False


class ToolCallPart(ContentPart, frozen=True, tag="tool_call"):
    """A call that the model asks for. ``args`` is parsed JSON; the text itself where the model's JSON is invalid."""

    id: str
    name: str
    args: Any
    signature: str | None = None
    provider: str | None = None
    cache: bool = False


class ToolResultPart(ContentPart, frozen=True, tag="tool_result"):
    """The answer to the call of the same id: any JSON value, or a list of parts."""

    id: str
    result: Any
    is_error: bool = False
    cache: bool = False

    def __post_init__(self) -> None:
        """Read parts again that were serialised; they are told from a vendor's blocks by having all of our fields."""
        items = as_array(self.result)
        if items and all(_is_part(as_object(item) or {}) for item in items):
            force_setattr(self, "result", convert(items, list[Part]))


class ReasoningPart(ContentPart, frozen=True, tag="reasoning"):
    """What the model thought. It goes back only to the ``provider`` (its name, as in "anthropic") that minted it."""

    text: str = ""
    signature: str | None = None
    provider: str | None = None
    data: dict[str, Any] | None = None


Part = TextPart | ImagePart | ImageUrlPart | ToolCallPart | ToolResultPart | ReasoningPart


_FIELDS = {cls.__struct_config__.tag: {"type", *cls.__struct_fields__} for cls in get_args(Part)}


def _is_part(item: dict[str, Any]) -> bool:
    kind = item.get("type")
    return isinstance(kind, str) and kind in _FIELDS and item.keys() >= _FIELDS[kind]


def image_type(head: bytes) -> str | None:
    """Tell one of the four image types from the first twelve bytes, or None."""
    if head.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if head.startswith((b"GIF87a", b"GIF89a")):
        return "image/gif"
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "image/webp"
    return None
