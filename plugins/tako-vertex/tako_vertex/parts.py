"""tako's parts as Gemini's, and back (https://cloud.google.com/vertex-ai/generative-ai/docs/reference/rest/v1/Content)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import uuid4

from tako import notices
from tako.kit.arguments import as_arguments
from tako.kit.encoding import encode_inner, is_foreign, result_parts
from tako.kit.images import image_address, inline_image, is_data_url
from tako.loose import as_object, text_of
from tako.parts import ImagePart, ImageUrlPart, Part, ReasoningPart, TextPart, ToolCallPart, ToolResultPart
from tako.types import Role

if TYPE_CHECKING:
    from tako.translator import PartContext

MINTED = "vertex_"
"""How the ids begin that tako gives to calls that came without one. Gemini never sees them."""
FILE_TYPES = {
    "gif": "image/gif",
    "heic": "image/heic",
    "heif": "image/heif",
    "jpeg": "image/jpeg",
    "jpg": "image/jpeg",
    "mp4": "video/mp4",
    "pdf": "application/pdf",
    "png": "image/png",
    "webp": "image/webp",
}
"""The types that a file's name tells. Gemini wants one with every address, and takes more where the part says so."""


def mint_id() -> str:
    """Make an id for a call that came without one."""
    return MINTED + uuid4().hex[:24]


def encode_part(part: Part, context: PartContext) -> dict[str, Any] | None:
    """Return the block of one part, or None with a notice."""
    match part:
        case TextPart():
            block = _text(part, context)
        case ImagePart():
            block = _inline(part, context)
        case ImageUrlPart():
            block = _inline(part, context) if is_data_url(part) else _file(part, context)
        case ToolCallPart():
            block = _call(part, context)
        case ToolResultPart():
            block = _result(part, context)
        case ReasoningPart():
            block = _reasoning(part, context)
        case _:  # a part of a later version, or of a plugin that wraps the translator
            block = None
    return block


def decode_block(block: Any, provider: str) -> Part | None:
    """Return the part that a block of a whole reply stands for; code that Gemini ran, for one, has no counterpart."""
    fields = as_object(block) or {}
    given = fields.get("thoughtSignature")
    signature = given if isinstance(given, str) else None
    text = text_of(fields.get("text"))
    if (call := as_object(fields.get("functionCall"))) is not None:
        args = call.get("args")
        id, name = text_of(call.get("id")), text_of(call.get("name"))
        return ToolCallPart(id, name, {} if args is None else args, signature, provider if signature else None)
    if (data := as_object(fields.get("inlineData"))) is not None:
        mime = text_of(data.get("mimeType"))
        return ImagePart(mime, text_of(data.get("data"))) if mime.startswith("image/") else None
    if not text and (signature is None or fields.keys() - {"text", "thought", "thoughtSignature"}):
        return None
    if fields.get("thought"):
        return ReasoningPart(text, signature, provider)
    return TextPart(text, signature, provider if signature else None)


def _text(part: TextPart, context: PartContext) -> dict[str, Any] | None:
    """Keep a text without text where it carries a signature: Gemini signs such parts, too."""
    signed = _signature(part, context)
    if part.text or signed:
        return {"text": part.text, **signed}
    context.notice(notices.EMPTY_TEXT, "an empty text was left out")
    return None


def _signature(part: TextPart | ToolCallPart, context: PartContext) -> dict[str, str]:
    if not part.signature:
        return {}
    if part.provider == context.provider:
        return {"thoughtSignature": part.signature}
    context.notice(notices.FOREIGN_STATE, f"a signature of {part.provider or 'unknown origin'} was left out")
    return {}


def _reasoning(part: ReasoningPart, context: PartContext) -> dict[str, Any] | None:
    if is_foreign(part, context):
        return None
    if not part.text and not part.signature:
        context.notice(notices.EMPTY_TEXT, "reasoning without text and signature was left out")
        return None
    block: dict[str, Any] = {"text": part.text, "thought": True}
    return {**block, "thoughtSignature": part.signature} if part.signature else block


def _inline(part: ImagePart | ImageUrlPart, context: PartContext) -> dict[str, Any] | None:
    inline = inline_image(part, context)
    return {"inlineData": {"mimeType": inline[0], "data": inline[1]}} if inline is not None else None


def _file(part: ImageUrlPart, context: PartContext) -> dict[str, Any] | None:
    url = image_address(part, context, ("gs", "https"))
    if url is None:
        return None
    path = url.partition("?")[0].partition("#")[0].partition("://")[2].partition("/")[2]
    mime = (part.mime or "").strip().lower() or FILE_TYPES.get(path.rpartition(".")[2].lower(), "")
    if "/" not in mime or (mime.startswith("image/") and mime not in FILE_TYPES.values()):
        context.notice(
            notices.UNSUPPORTED_MEDIA_TYPE,
            f"an image of type {mime!r} was left out"
            if mime
            else "an image was left out: its address does not tell its type; give mime=",
        )
        return None
    return {"fileData": {"mimeType": mime, "fileUri": url}}


def _call(part: ToolCallPart, context: PartContext) -> dict[str, Any]:
    args = as_arguments(part.args, context)
    return {"functionCall": {**_id(part.id), "name": part.name, "args": args}, **_signature(part, context)}


def _id(id: str) -> dict[str, str]:
    """Send the ids that a vendor gave; calls that have none on the wire are told apart by their order."""
    return {"id": id} if id and not id.startswith(MINTED) else {}


def _result(part: ToolResultPart, context: PartContext) -> dict[str, Any] | None:
    """Make the response: an object as it is, anything else as "result" or "error", as Google's own SDK does."""
    name = _called(part.id, context)
    if name is None:
        context.notice(notices.UNKNOWN_CALL, f"a tool result was left out: no earlier call has the id {part.id!r}")
        return None
    media: list[dict[str, Any]] = []
    value = part.result
    inner = result_parts(part)
    if inner is not None:
        value, media = _result_content(inner, context)
    response = as_object(value)
    if part.is_error:
        response = {"error": value}
    elif response is None:
        response = {"result": value}
    answer: dict[str, Any] = {**_id(part.id), "name": name, "response": response}
    return {"functionResponse": {**answer, "parts": media} if media else answer}


def _result_content(parts: list[Part], context: PartContext) -> tuple[str, list[dict[str, Any]]]:
    # a result has no place for signatures, so a text that is nothing but one is empty there
    plain = [TextPart(part.text) if isinstance(part, TextPart) else part for part in parts]
    blocks = encode_inner(plain, context, fits=(TextPart, ImagePart, ImageUrlPart))
    media = [block for block in blocks if "text" not in block]
    return "".join([block["text"] for block in blocks if "text" in block]), media


def _called(id: str, context: PartContext) -> str | None:
    """Find the function that the nearest earlier call of that id is for."""
    seen = context.message is None
    for message in reversed(context.request.messages):
        seen = seen or message is context.message
        if seen and message.role is Role.ASSISTANT:
            for part in message.parts:
                if isinstance(part, ToolCallPart) and part.id == id:
                    return part.name
    return None
