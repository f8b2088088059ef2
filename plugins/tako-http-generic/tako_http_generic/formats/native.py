"""The format "tako": messages as ``msgspec.to_builtins`` writes them, for servers that read them with tako."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from tako import Role
from tako.kit.encoding import encode_parts, is_foreign, note_empty, own_state
from tako.kit.files import Media, read_media
from tako.kit.parameters import PARAMETERS
from tako.kit.tools import own_tools
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

if TYPE_CHECKING:
    from tako import ChatRequest, Message
    from tako.translator import PartContext, Translator


def encode_native(part: Part, context: PartContext) -> Any:
    """Return a part's fields, with its tag. State is only sent to the server that made it."""
    match part:
        case TextPart() if not (part.text or part.state):
            note_empty(part, context)
            return None
        case ImagePart() | ImageUrlPart() | FilePart() | FileUrlPart():
            return _media(part, context)
        case ReasoningPart() | VendorPart():
            return None if is_foreign(part, context) else _fields(part)
        case TextPart() | ToolCallPart() | ToolResultPart() | FileIdPart():
            return _fields(_without_foreign_state(part, context))
        case _:  # a part of a later version, or of a plugin that wraps the translator
            return None


def _media(part: ImagePart | ImageUrlPart | FilePart | FileUrlPart, context: PartContext) -> Any:
    """Return the fields of an image or a file; a ``data:`` URL becomes its data."""
    is_image = isinstance(part, (ImagePart, ImageUrlPart))
    media = read_media(part, context, takes=lambda media: bool(media.url) or _is_known(media, is_image=is_image))
    if media is None:
        return None
    file: Part = part
    if media.mime in IMAGE_TYPES and media.data:
        file = ImagePart(media.mime, media.data, part.state, part.extra, part.cache)
    elif media.data:
        file = FilePart(media.mime, media.data, media.name or None, part.state, part.extra, part.cache)
    return _fields(_without_foreign_state(file, context))


def _is_known(media: Media, *, is_image: bool) -> bool:
    return media.mime in IMAGE_TYPES or (bool(media.mime) and not (is_image and media.kind == "image"))


def native_values(
    request: ChatRequest, translator: Translator, context: PartContext, *, separate_system: bool
) -> dict[str, Any]:
    """Return messages and parameters as a ChatRequest has them."""
    messages: list[dict[str, Any]] = []
    system: list[str] = []
    for i, message in enumerate(request.messages):
        blocks = [block for _, block in encode_parts(message, i, translator, context)]
        if not blocks:
            continue
        if separate_system and message.role is Role.SYSTEM:
            system.append("".join([str(block.get("text", "")) for block in blocks]))
        else:
            messages.append({"role": message.role.value, "content": _content(message, blocks)})
    context.path = ""
    values: dict[str, Any] = {"messages": messages}
    if system:
        values["system"] = "\n\n".join(system)
    if tools := [tool for _, tool in own_tools(request, context)]:
        values["tools"] = tools
    for name in PARAMETERS:
        value = getattr(request, name)
        if value not in (None, [], {}):
            values[name] = value
    return values


def _content(message: Message, blocks: list[Any]) -> Any:
    """Return content as text if the message has it as text, unless a plugin has changed it."""
    is_text = isinstance(message.content, str) and len(blocks) == 1
    return blocks[0]["text"] if is_text and blocks[0] == _fields(TextPart(blocks[0].get("text"))) else blocks


def _without_foreign_state(part: Part, context: PartContext) -> Part:
    """Return a part without state that another server made."""
    if part.state is None or context.accepts(part, part.state.origin):
        return part
    own_state(part, context)  # adds the notice
    return replace(part, state=None)


def _fields(part: Part) -> dict[str, Any]:
    """Return the fields of a part; their values are encoded with the body."""
    return {"type": part.__struct_config__.tag, **{name: getattr(part, name) for name in part.__struct_fields__}}
