"""The parts of a message: text, images, files, tool calls, their results, reasoning, and blocks of one vendor.

Make parts with ``ContentPart.text("…")`` and its other constructors. In JSON, ``type`` says which kind a part is. Parts
keep what you give them: if a provider can't send a part, you get a Notice on the response.

Every part has ``state``, what its vendor wants back (see ``tako.state``), and ``extra``, fields that are merged into
the vendor's block last. Parts that you send also have ``cache``: True, or how long, as the vendor spells it ("5m",
"1h").
"""

from __future__ import annotations

import base64
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, Unpack, get_args

from msgspec import Struct, StructMeta, convert
from msgspec.structs import force_setattr

from tako.json_values import as_array, as_object
from tako.media import HEAD_SIZE, IMAGE_TYPES, canonical_type, image_type, kind_of, read_file, type_by_url, write_file
from tako.state import Origin, State

if TYPE_CHECKING:
    from os import PathLike

_UNKNOWN_IMAGE = f"not an image of a type that tako knows ({', '.join(IMAGE_TYPES)}): give mime= if it is one"


class PartOptions(TypedDict, total=False):
    """What all constructors of files take beside a file's own fields.

    Attributes:
        extra: More fields of the vendor's block, merged in last.
        cache: Cache the request up to this part: True, or how long, as the vendor spells it ("1h").
    """

    extra: dict[str, Any]
    cache: bool | str


class _Constructors(StructMeta):
    """The constructors of ContentPart. They live on the metaclass since `text` is also a field of some parts."""

    def text(cls, text: str) -> TextPart:
        """Make a text part."""
        return TextPart(text)

    def image(cls, mime: str, data_b64: str) -> ImagePart:
        """Make an image from base64 text, or from a ``data:`` URL."""
        return ImagePart(mime, data_b64)

    def image_url(cls, url: str, mime: str | None = None) -> ImageUrlPart:
        """Make an image that is fetched from its address, by the vendor or (if you allow it) by tako."""
        return ImageUrlPart(url, mime)

    def image_bytes(cls, data: bytes, mime: str | None = None) -> ImagePart:
        """Make an image from its bytes. tako reads the type from the bytes unless you give it.

        Raises ValueError if tako doesn't know the type of the bytes.
        """
        image_mime = mime or image_type(data[:HEAD_SIZE])
        if image_mime is None:
            raise ValueError(_UNKNOWN_IMAGE)
        return ImagePart(image_mime, base64.b64encode(data).decode("ascii"))

    def image_file(cls, path: str | PathLike[str], mime: str | None = None) -> ImagePart:
        """Make an image from a file. tako reads the type from the bytes unless you give it.

        Raises OSError if the file can't be read and ValueError if it isn't an image.
        """
        if mime is None:
            with Path(path).open("rb") as file:
                mime = image_type(file.read(HEAD_SIZE))
        if mime is None:
            raise ValueError(f"{path}: {_UNKNOWN_IMAGE}")
        return ImagePart(mime, read_file(path)[1])

    def file(
        cls, mime: str, data_b64: str, name: str | None = None, **options: Unpack[PartOptions]
    ) -> FilePart | ImagePart:
        """Make a file (PDF, audio, video, text) from base64 text. PNG, JPEG, GIF and WebP become an ImagePart."""
        if canonical_type(mime) in IMAGE_TYPES:
            return ImagePart(mime, data_b64, **options)
        return FilePart(mime, data_b64, name, **options)

    def file_url(
        cls, url: str, mime: str | None = None, name: str | None = None, **options: Unpack[PartOptions]
    ) -> FileUrlPart | ImageUrlPart:
        """Make a file that is fetched from its address. PNG, JPEG, GIF and WebP become an ImageUrlPart."""
        if mime is not None and canonical_type(mime) in IMAGE_TYPES:
            return ImageUrlPart(url, mime, **options)
        return FileUrlPart(url, mime, name, **options)

    def file_id(cls, id: str, provider: str, mime: str | None = None, **options: Unpack[PartOptions]) -> FileIdPart:
        """Make a file that you uploaded to a vendor before. ``provider`` is the vendor's name, such as "anthropic"."""
        return FileIdPart(id, provider, mime, **options)

    def file_path(
        cls,
        path: str | PathLike[str],
        mime: str | None = None,
        name: str | None = None,
        **options: Unpack[PartOptions],
    ) -> FilePart | ImagePart:
        """Make a file or an image from a file on disk. tako reads the type from its bytes and its name.

        ``name`` is sent in place of the file's own name. Raises OSError if the file can't be read and ValueError if its
        type isn't known.
        """
        detected, data = read_file(path)
        if (file_type := mime or detected) is None:
            raise ValueError(f"{path}: the type of the file can't be told: give mime=")
        return cls.file(file_type, data, name or Path(path).name, **options)

    def tool_call(cls, id: str, name: str, args: Any) -> ToolCallPart:
        """Make a tool call. ``args`` is parsed JSON, or the text itself if it couldn't be parsed."""
        return ToolCallPart(id, name, args)

    def tool_result(cls, id: str, result: Any, is_error: bool = False) -> ToolResultPart:
        """Make the result of a tool call: any JSON value, or a list of parts."""
        return ToolResultPart(id, result, is_error)

    def reasoning(cls, text: str) -> ReasoningPart:
        """Make a piece of reasoning. Vendors only take back their own, with its state."""
        return ReasoningPart(text)

    def vendor(cls, provider: str, block: dict[str, Any]) -> VendorPart:
        """Make a block in the shape of one vendor ("anthropic"). Other vendors don't get it."""
        return VendorPart(str(block.get("type") or next(iter(block), "")), State(Origin(provider), block))


class ContentPart(Struct, frozen=True, tag_field="type", metaclass=_Constructors):
    """One part of a message. Make parts with the constructors: ``ContentPart.text("Hello")``."""


class Citation(Struct, frozen=True):
    """A source of a text.

    Attributes:
        url: The source's address.
        title: Its title.
        text: What the source says.
        start: Where the text that it backs begins, in characters of the part. None if the vendor doesn't say.
        end: Where that text ends.
        source: The name of a source without a URL: a file, a document by its place ("0"), or a tool.
        page: The page of the source where the cited passage begins, counted from 1. None if the vendor doesn't say.
        last_page: The page where that passage ends.
    """

    url: str = ""
    title: str = ""
    text: str = ""
    start: int | None = None
    end: int | None = None
    source: str = ""
    page: int | None = None
    last_page: int | None = None


class TextPart(ContentPart, frozen=True, tag="text"):
    """Text, with the sources that it cites.

    Attributes:
        text: The text.
        citations: Its sources.
        refusal: Whether the text is the model's refusal.
        state: What the vendor wants back with it.
        extra: More fields of the vendor's block, merged in last.
        cache: Cache the request up to this part: True, or how long, as the vendor spells it ("5m", "1h").
    """

    text: str
    citations: list[Citation] = []
    refusal: bool = False
    state: State | None = None
    extra: dict[str, Any] = {}
    cache: bool | str = False


class ImagePart(ContentPart, frozen=True, tag="image"):
    """An image as base64 text. A ``data:`` URL works, too.

    Attributes:
        mime: The type, such as "image/png".
        data_b64: The bytes as base64 text.
        state: What the vendor wants back with it.
        extra: More fields of the vendor's block, merged in last.
        cache: Cache the request up to this part: True, or how long, as the vendor spells it ("5m", "1h").
    """

    mime: str
    data_b64: str
    state: State | None = None
    extra: dict[str, Any] = {}
    cache: bool | str = False

    def __repr__(self) -> str:
        return f"ImagePart(mime={self.mime!r}, data_b64=<{len(self.data_b64)} characters>)"

    def save(self, path: str | PathLike[str]) -> Path:
        """Write the image to a path, over a file that is there, and return the path.

        Raises OSError if it can't be written, and ValueError if the data isn't base64.
        """
        return write_file(path, self.data_b64)


class ImageUrlPart(ContentPart, frozen=True, tag="image_url"):
    """An image by its address.

    Attributes:
        url: The address.
        mime: The type, if you know it.
        state: What the vendor wants back with it.
        extra: More fields of the vendor's block, merged in last.
        cache: Cache the request up to this part: True, or how long, as the vendor spells it ("5m", "1h").
    """

    url: str
    mime: str | None = None
    state: State | None = None
    extra: dict[str, Any] = {}
    cache: bool | str = False


class FilePart(ContentPart, frozen=True, tag="file"):
    """A file as base64 text: PDF, audio, video or text.

    Attributes:
        mime: The type, such as "application/pdf".
        data_b64: The bytes as base64 text.
        name: The file's name, for the vendor.
        state: What the vendor wants back with it.
        extra: More fields of the vendor's block, merged in last.
        cache: Cache the request up to this part: True, or how long, as the vendor spells it ("5m", "1h").
    """

    mime: str
    data_b64: str
    name: str | None = None
    state: State | None = None
    extra: dict[str, Any] = {}
    cache: bool | str = False

    def __repr__(self) -> str:
        return f"FilePart(mime={self.mime!r}, data_b64=<{len(self.data_b64)} characters>, name={self.name!r})"

    def save(self, path: str | PathLike[str]) -> Path:
        """Write the file's bytes to a path, over a file that is there, and return the path.

        Raises OSError if it can't be written, and ValueError if the data isn't base64.
        """
        return write_file(path, self.data_b64)


class FileUrlPart(ContentPart, frozen=True, tag="file_url"):
    """A file by its address.

    Attributes:
        url: The address.
        mime: The type, if you know it.
        name: The file's name, for the vendor.
        state: What the vendor wants back with it.
        extra: More fields of the vendor's block, merged in last.
        cache: Cache the request up to this part: True, or how long, as the vendor spells it ("5m", "1h").
    """

    url: str
    mime: str | None = None
    name: str | None = None
    state: State | None = None
    extra: dict[str, Any] = {}
    cache: bool | str = False


class FileIdPart(ContentPart, frozen=True, tag="file_id"):
    """A file that you uploaded to a vendor before. Other vendors don't get it.

    Attributes:
        id: The vendor's id of the file.
        provider: The provider's name, such as "anthropic".
        mime: The type, if you know it.
        state: What the vendor wants back with it.
        extra: More fields of the vendor's block, merged in last.
        cache: Cache the request up to this part: True, or how long, as the vendor spells it ("5m", "1h").
    """

    id: str
    provider: str
    mime: str | None = None
    state: State | None = None
    extra: dict[str, Any] = {}
    cache: bool | str = False


class ToolCallPart(ContentPart, frozen=True, tag="tool_call"):
    """A call of a tool by the model.

    Attributes:
        id: The call's id, which its result repeats.
        name: The tool's name.
        args: The arguments, read from JSON. The text itself if the model's JSON is invalid.
        state: What the vendor wants back with it.
        extra: More fields of the vendor's block, merged in last.
        cache: Cache the request up to this part: True, or how long, as the vendor spells it ("5m", "1h").
    """

    id: str
    name: str
    args: Any
    state: State | None = None
    extra: dict[str, Any] = {}
    cache: bool | str = False


class ToolResultPart(ContentPart, frozen=True, tag="tool_result"):
    """The result of a tool call.

    Attributes:
        id: The id of the call.
        result: Any JSON value, or a list of parts.
        is_error: Whether the tool failed.
        state: What the vendor wants back with it.
        extra: More fields of the vendor's block, merged in last.
        cache: Cache the request up to this part: True, or how long, as the vendor spells it ("5m", "1h").
    """

    id: str
    result: Any
    is_error: bool = False
    state: State | None = None
    extra: dict[str, Any] = {}
    cache: bool | str = False

    def __post_init__(self) -> None:
        """Read parts again that were stored. Unlike a vendor's blocks, they have all of our fields."""
        items = as_array(self.result)
        if items and all(_is_part(as_object(item) or {}) for item in items):
            force_setattr(self, "result", convert(items, list[Part]))


class ReasoningPart(ContentPart, frozen=True, tag="reasoning"):
    """The model's reasoning. It goes back only to the provider and model in its ``state``.

    Attributes:
        text: The reasoning.
        state: What the vendor wants back with it.
        extra: More fields of the vendor's block, merged in last.
    """

    text: str = ""
    state: State | None = None
    extra: dict[str, Any] = {}


class VendorPart(ContentPart, frozen=True, tag="vendor"):
    """A block that tako has no part for, in its vendor's own shape. Other vendors don't get it.

    Attributes:
        kind: The vendor's name for the block, such as "web_search_tool_result".
        state: Who made it. ``state.data`` is the whole block.
        extra: More fields of the vendor's block, merged in last.
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


_FIELDS_BY_TAG = {cls.__struct_config__.tag: {"type", *cls.__struct_fields__} for cls in get_args(Part)}


def _is_part(item: dict[str, Any]) -> bool:
    kind = item.get("type")
    return isinstance(kind, str) and kind in _FIELDS_BY_TAG and item.keys() >= _FIELDS_BY_TAG[kind]


def media_kind(part: Any) -> str:
    """Return what an image or a file is for a model: "image", "document", "audio", …; "" for anything else."""
    if isinstance(part, (ImagePart, ImageUrlPart)):
        return "image"
    if not isinstance(part, (FilePart, FileUrlPart, FileIdPart)):
        return ""
    mime = part.mime or (type_by_url(part.url) if isinstance(part, FileUrlPart) else None)
    return kind_of(mime) if mime else ""
