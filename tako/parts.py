"""The parts of a message: text, images, files, tool calls, their results, reasoning, and blocks of one vendor.

``ContentPart.text("…")`` and its sisters make them; ``type`` is the tag by which they're told apart in JSON. They keep
whatever they're given: if a provider can't carry a part, that's found when the part is sent, and becomes a Notice.

Every part has ``state``, what its vendor wants back (see ``tako.state``), and ``extra``, fields that are merged into
the vendor's block last. Parts that you send also have ``cache``: True, or how long, as the vendor spells it ("5m",
"1h").
"""

from __future__ import annotations

import base64
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from msgspec import Struct, StructMeta, convert
from msgspec.structs import force_setattr

from tako.loose import as_array, as_object
from tako.media import HEAD, IMAGE_TYPES, addressed_type, image_type, kind_of, plain_type, read_file, write_file
from tako.state import Origin, State

if TYPE_CHECKING:
    from os import PathLike

_UNKNOWN_IMAGE = f"not an image of a type that tako knows ({', '.join(IMAGE_TYPES)}): give mime= if it is one"


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
        """Make an image from its bytes; the type is read from the first of them unless you give it.

        Raises ValueError if the bytes are of no image type that tako knows.
        """
        known = mime or image_type(data[:HEAD])
        if known is None:
            raise ValueError(_UNKNOWN_IMAGE)
        return ImagePart(known, base64.b64encode(data).decode("ascii"))

    def image_file(cls, path: str | PathLike[str], mime: str | None = None) -> ImagePart:
        """Make an image from a file; the type is read from its first bytes unless you give it.

        Raises OSError if the file can't be read and ValueError if it isn't an image.
        """
        if mime is None:
            with Path(path).open("rb") as file:
                mime = image_type(file.read(HEAD))
        if mime is None:
            raise ValueError(f"{path}: {_UNKNOWN_IMAGE}")
        return ImagePart(mime, read_file(path)[1])

    def file(cls, mime: str, data_b64: str, name: str | None = None) -> FilePart | ImagePart:
        """Make a file (PDF, audio, video, text) from base64 text; one of the four image types becomes an image."""
        return ImagePart(mime, data_b64) if plain_type(mime) in IMAGE_TYPES else FilePart(mime, data_b64, name)

    def file_url(cls, url: str, mime: str | None = None, name: str | None = None) -> FileUrlPart | ImageUrlPart:
        """Make a file that is fetched from its address; one of the four image types becomes an image."""
        image = mime is not None and plain_type(mime) in IMAGE_TYPES
        return ImageUrlPart(url, mime) if image else FileUrlPart(url, mime, name)

    def file_id(cls, id: str, provider: str, mime: str | None = None) -> FileIdPart:
        """Make a file that was uploaded to a vendor before; ``provider`` is its name, as in "anthropic"."""
        return FileIdPart(id, provider, mime)

    def file_path(cls, path: str | PathLike[str], mime: str | None = None) -> FilePart | ImagePart:
        """Make a file or an image from a file on disk; its type is told by its first bytes and its name.

        Raises OSError if the file can't be read and ValueError if its type can't be told.
        """
        told, data = read_file(path)
        known = mime or told
        if known is None:
            raise ValueError(f"{path}: the type of the file can't be told: give mime=")
        return ImagePart(known, data) if plain_type(known) in IMAGE_TYPES else FilePart(known, data, Path(path).name)

    def tool_call(cls, id: str, name: str, args: Any) -> ToolCallPart:
        """Make a tool call; ``args`` is parsed JSON (or the text itself if it couldn't be parsed)."""
        return ToolCallPart(id, name, args)

    def tool_result(cls, id: str, result: Any, is_error: bool = False) -> ToolResultPart:
        """Make the answer to a tool call; ``result`` is any JSON value, or a list of parts."""
        return ToolResultPart(id, result, is_error)

    def reasoning(cls, text: str) -> ReasoningPart:
        """Make a piece of reasoning. Vendors only take back what they made themselves, with its state."""
        return ReasoningPart(text)

    def vendor(cls, provider: str, block: dict[str, Any]) -> VendorPart:
        """Make a block in the shape of one vendor ("anthropic"); no other vendor gets it."""
        return VendorPart(str(block.get("type") or next(iter(block), "")), State(Origin(provider), block))


class ContentPart(Struct, frozen=True, tag_field="type", metaclass=_Constructors):
    """One part of a message. Make them with the constructors: ``ContentPart.text("Hello")``."""


class Citation(Struct, frozen=True):
    """Where a text is from.

    ``text`` is what the source says; ``start`` and ``end`` tell which characters of the part's own text it backs, None
    if the vendor doesn't say. ``source`` names a source without a URL: a file, a document by its place ("0"), a tool.
    """

    url: str = ""
    title: str = ""
    text: str = ""
    start: int | None = None
    end: int | None = None
    source: str = ""


class TextPart(ContentPart, frozen=True, tag="text"):
    """Text, with the sources that it cites. ``refusal``: the model says here that it won't answer."""

    text: str
    citations: list[Citation] = []
    refusal: bool = False
    state: State | None = None
    extra: dict[str, Any] = {}
    cache: bool | str = False


class ImagePart(ContentPart, frozen=True, tag="image"):
    """An image as base64 text. A ``data:`` URL is accepted too and is taken apart when it is sent."""

    mime: str
    data_b64: str
    state: State | None = None
    extra: dict[str, Any] = {}
    cache: bool | str = False

    def __repr__(self) -> str:
        return f"ImagePart(mime={self.mime!r}, data_b64=<{len(self.data_b64)} characters>)"

    def save(self, path: str | PathLike[str]) -> Path:
        """Write the image to a file, over one that is there; returns its path.

        Raises OSError if it can't be written, and ValueError if the data isn't base64.
        """
        return write_file(path, self.data_b64)


class ImageUrlPart(ContentPart, frozen=True, tag="image_url"):
    """An image by its address."""

    url: str
    mime: str | None = None
    state: State | None = None
    extra: dict[str, Any] = {}
    cache: bool | str = False


class FilePart(ContentPart, frozen=True, tag="file"):
    """A file as base64 text: PDF, audio, video or text."""

    mime: str
    data_b64: str
    name: str | None = None
    state: State | None = None
    extra: dict[str, Any] = {}
    cache: bool | str = False

    def __repr__(self) -> str:
        return f"FilePart(mime={self.mime!r}, data_b64=<{len(self.data_b64)} characters>, name={self.name!r})"

    def save(self, path: str | PathLike[str]) -> Path:
        """Write the file's bytes to a file, over one that is there; returns its path.

        Raises OSError if it can't be written, and ValueError if the data isn't base64.
        """
        return write_file(path, self.data_b64)


class FileUrlPart(ContentPart, frozen=True, tag="file_url"):
    """A file by its address."""

    url: str
    mime: str | None = None
    name: str | None = None
    state: State | None = None
    extra: dict[str, Any] = {}
    cache: bool | str = False


class FileIdPart(ContentPart, frozen=True, tag="file_id"):
    """A file that was uploaded to a vendor before. Only that ``provider`` (its name) gets it."""

    id: str
    provider: str
    mime: str | None = None
    state: State | None = None
    extra: dict[str, Any] = {}
    cache: bool | str = False


class ToolCallPart(ContentPart, frozen=True, tag="tool_call"):
    """A call that the model asks for. ``args`` is parsed JSON; the text itself if the model's JSON is invalid."""

    id: str
    name: str
    args: Any
    state: State | None = None
    extra: dict[str, Any] = {}
    cache: bool | str = False


class ToolResultPart(ContentPart, frozen=True, tag="tool_result"):
    """The answer to the call of the same id: any JSON value, or a list of parts."""

    id: str
    result: Any
    is_error: bool = False
    state: State | None = None
    extra: dict[str, Any] = {}
    cache: bool | str = False

    def __post_init__(self) -> None:
        """Read parts again that were serialised; they're told from a vendor's blocks by having all of our fields."""
        items = as_array(self.result)
        if items and all(_is_part(as_object(item) or {}) for item in items):
            force_setattr(self, "result", convert(items, list[Part]))


class ReasoningPart(ContentPart, frozen=True, tag="reasoning"):
    """What the model thought. It goes back only to the origin in its ``state``."""

    text: str = ""
    state: State | None = None
    extra: dict[str, Any] = {}


class VendorPart(ContentPart, frozen=True, tag="vendor"):
    """A block that tako has no kind for, in its vendor's own shape: ``state.data`` is the whole block.

    ``kind`` is the vendor's name for it, as in "web_search_tool_result".
    """

    kind: str
    state: State
    extra: dict[str, Any] = {}


Part = (
    TextPart
    | ImagePart
    | ImageUrlPart
    | FilePart
    | FileUrlPart
    | FileIdPart
    | ToolCallPart
    | ToolResultPart
    | ReasoningPart
    | VendorPart
)


_FIELDS = {cls.__struct_config__.tag: {"type", *cls.__struct_fields__} for cls in get_args(Part)}


def _is_part(item: dict[str, Any]) -> bool:
    kind = item.get("type")
    return isinstance(kind, str) and kind in _FIELDS and item.keys() >= _FIELDS[kind]


def media_kind(part: Any) -> str:
    """Tell what an image or a file is for a model ("document", "audio", …); "" for other parts, or if nothing tells."""
    if isinstance(part, (ImagePart, ImageUrlPart)):
        return "image"
    if not isinstance(part, (FilePart, FileUrlPart, FileIdPart)):
        return ""
    mime = part.mime or (addressed_type(part.url) if isinstance(part, FileUrlPart) else None)
    return kind_of(mime) if mime else ""
