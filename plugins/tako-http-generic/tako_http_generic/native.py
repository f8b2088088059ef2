"""tako's own shape: messages as ``msgspec.to_builtins`` writes them, for servers that read them with tako."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from tako import Role
from tako.kit.encoding import encode_parts, is_foreign, note_empty, own_state
from tako.kit.images import image_address, inline_image, is_data_url
from tako.kit.parameters import PARAMETERS
from tako.kit.tools import own_tools
from tako.parts import ImagePart, ImageUrlPart, Part, ReasoningPart, TextPart, ToolCallPart, ToolResultPart, VendorPart

if TYPE_CHECKING:
    from tako import ChatRequest, Message
    from tako.translator import PartContext, Translator


def encode(part: Part, context: PartContext) -> Any:
    """Return a part's fields, with its tag; state goes along to the server that made it."""
    match part:
        case TextPart() if not (part.text or part.state):
            note_empty(part, context)
            return None
        case ImageUrlPart() if not is_data_url(part):
            return _fields(_own(part, context)) if image_address(part, context) is not None else None
        case ImagePart() | ImageUrlPart():
            inline = inline_image(part, context)
            return (
                None
                if inline is None
                else _fields(_own(ImagePart(*inline, part.state, part.extra, part.cache), context))
            )
        case ReasoningPart() | VendorPart():
            return None if is_foreign(part, context) else _fields(part)
        case TextPart() | ToolCallPart() | ToolResultPart():
            return _fields(_own(part, context))
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
    if tools := [tool for _, tool in own_tools(request, context)]:
        made["tools"] = tools
    for name in PARAMETERS:
        value = getattr(request, name)
        if value not in (None, [], {}):
            made[name] = value
    return made


def _content(message: Message, blocks: list[Any]) -> Any:
    """Content that was given as a string stays one, unless a plugin made something else of it."""
    given = isinstance(message.content, str) and len(blocks) == 1
    return blocks[0]["text"] if given and blocks[0] == _fields(TextPart(blocks[0].get("text"))) else blocks


def _own(part: Part, context: PartContext) -> Part:
    """Return a part without the state that another server made."""
    if part.state is None or context.accepts(part, part.state.origin):
        return part
    own_state(part, context)  # says that it stays behind
    return replace(part, state=None)


def _fields(part: Part) -> dict[str, Any]:
    """Return the fields of a part; what is inside them is encoded with the body."""
    return {"type": part.__struct_config__.tag, **{name: getattr(part, name) for name in part.__struct_fields__}}
