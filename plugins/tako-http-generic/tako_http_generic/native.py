"""tako's own shape: messages as ``msgspec.to_builtins`` writes them, for servers that read them with tako."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from tako import Role, notices
from tako.kit.encoding import encode_parts, is_foreign
from tako.kit.images import image_address, inline_image, is_data_url
from tako.kit.parameters import PARAMETERS
from tako.parts import ImagePart, ImageUrlPart, Part, ReasoningPart, TextPart, ToolCallPart, ToolResultPart

if TYPE_CHECKING:
    from tako import ChatRequest, Message
    from tako.translator import PartContext, Translator


def encode(part: Part, context: PartContext) -> Any:  # noqa: PLR0911 - one for each kind of part
    """Return a part's fields, with its tag."""
    match part:
        case TextPart() if not part.text:
            context.notice(notices.EMPTY_TEXT, "an empty text was left out")
            return None
        case ImageUrlPart() if not is_data_url(part):
            return _fields(part) if image_address(part, context) is not None else None
        case ImagePart() | ImageUrlPart():
            inline = inline_image(part, context)
            return None if inline is None else _fields(ImagePart(*inline, cache=part.cache))
        case ReasoningPart() if is_foreign(part, context):
            return None
        case TextPart() | ToolCallPart() if part.provider not in (None, context.provider):
            return _fields(replace(part, signature=None, provider=None))
        case TextPart() | ToolCallPart() | ToolResultPart() | ReasoningPart():
            return _fields(part)
        case _:  # a part of a later version, or of a plugin that wraps the translator
            return None


def values(request: ChatRequest, translator: Translator, context: PartContext, *, split: bool) -> dict[str, Any]:
    """Return messages and parameters as a ChatRequest has them."""
    messages: list[dict[str, Any]] = []
    system: list[str] = []
    for i, message in enumerate(request.messages):
        blocks = [block for _, block in encode_parts(message, i, translator, context)]
        if split and message.role is Role.SYSTEM:
            system.append("".join([str(block.get("text", "")) for block in blocks]))
        elif blocks:
            messages.append({"role": message.role.value, "content": _content(message, blocks)})
    context.path = ""
    made: dict[str, Any] = {"messages": messages}
    if system:
        made["system"] = "\n\n".join(system)
    for name in ("tools", *PARAMETERS):
        value = getattr(request, name)
        if value not in (None, [], {}):
            made[name] = value
    return made


def _content(message: Message, blocks: list[Any]) -> Any:
    """Content that was given as a string stays one, unless a plugin made something else of it."""
    given = isinstance(message.content, str) and len(blocks) == 1
    return blocks[0]["text"] if given and blocks[0] == _fields(TextPart(blocks[0].get("text"))) else blocks


def _fields(part: Part) -> dict[str, Any]:
    """Return the fields of a part; what is inside them is encoded with the body."""
    return {"type": part.__struct_config__.tag, **{name: getattr(part, name) for name in part.__struct_fields__}}
