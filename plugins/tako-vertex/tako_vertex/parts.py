"""tako's parts as Gemini's, and back (https://cloud.google.com/vertex-ai/generative-ai/docs/reference/rest/v1/Content)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import uuid4

from tako import notices
from tako.kit.arguments import as_arguments
from tako.kit.blocks import state_of, vendor_part, without
from tako.kit.encoding import complete, encode, encode_inner, encode_vendor_part, is_foreign, note_empty, result_parts
from tako.kit.images import image_address, inline_image, is_data_url
from tako.loose import as_array, as_object, text_of
from tako.media import IMAGE_TYPES
from tako.parts import (
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
from tako.state import State
from tako.types import Role

if TYPE_CHECKING:
    from tako.translator import PartContext

TOKEN = "continuationToken"  # noqa: S105 - the name of a field
"""With this a reply that was paused goes on. It comes with the candidate, and goes back beside the contents."""
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
        case VendorPart():
            return encode_vendor_part(part, context)
        case TextPart():
            block = _text(part, context)
        case ReasoningPart():
            block = _reasoning(part, context)
        case ImagePart() | FilePart():
            block = _inline(part, context)
        case ImageUrlPart() if is_data_url(part):
            block = _inline(part, context)
        case ImageUrlPart() | FileUrlPart():
            block = _file(part, context)
        case ToolCallPart():
            block = _call(part, context)
        case ToolResultPart():
            block = _result(part, context)
        case _:  # a part of a later version, or of a plugin that wraps the translator
            return None
    return complete(block, part, context) if block is not None else None


def decode_block(block: Any, context: PartContext) -> Part | None:
    """Return the part that a block of a reply stands for. A text may be empty, but signed."""
    fields = as_object(block) or {}
    if "functionCall" in fields and as_object(fields["functionCall"]) is not None:
        return _called_function(fields, context)
    if "text" in fields and isinstance(fields["text"], str):
        return _said(fields["text"], fields, context)
    if "inlineData" in fields or "fileData" in fields:
        return _medium(fields, context)
    return vendor_part(next(iter(fields)), fields, context) if fields else None


def _said(text: str, fields: dict[str, Any], context: PartContext) -> Part | None:
    state = state_of(fields, ("text", "thought"), context)
    if fields.get("thought"):
        return ReasoningPart(text, state or State(context.origin))
    return TextPart(text, state=state) if text or state else None


def _medium(fields: dict[str, Any], context: PartContext) -> Part:
    """Read an image or a file, inline or by its address."""
    kind, place = ("inlineData", "data") if "inlineData" in fields else ("fileData", "fileUri")
    inner = as_object(fields[kind]) or {}
    mime, value = inner.get("mimeType"), inner.get(place)
    if not isinstance(mime, str) or not isinstance(value, str):
        return vendor_part(kind, fields, context)
    state = state_of(without(fields, kind, "mimeType", place), (), context)
    if kind == "inlineData":
        return ImagePart(mime, value, state) if mime in IMAGE_TYPES else FilePart(mime, value, state=state)
    return ImageUrlPart(value, mime, state) if mime in IMAGE_TYPES else FileUrlPart(value, mime, state=state)


def _called_function(fields: dict[str, Any], context: PartContext) -> ToolCallPart:
    call = fields["functionCall"]
    args = call.get("args")
    state = call_state(fields, args, context)
    return ToolCallPart(text_of(call.get("id")), text_of(call.get("name")), {} if args is None else args, state)


def call_state(fields: dict[str, Any], args: Any, context: PartContext) -> State | None:
    """Return what of a call's block goes back beside its id, name and arguments.

    Of a call without arguments it also says whether the block had an empty object in their place, or nothing.
    """
    rest = without(fields, "functionCall", "id", "name", "args", "partialArgs", "willContinue")
    if args == {} and rest:
        rest["functionCall"] = {**(rest.get("functionCall") or {}), "args": {}}
    return State(context.origin, rest) if rest or args is None else None


def _text(part: TextPart, context: PartContext) -> dict[str, Any] | None:
    """Keep a text without text if it carries state: Gemini signs such parts, too."""
    if not part.text and not part.state:
        note_empty(part, context)
        return None
    return {"text": part.text}


def _reasoning(part: ReasoningPart, context: PartContext) -> dict[str, Any] | None:
    if is_foreign(part, context):
        return None
    if not part.text and not (part.state and part.state.data):
        context.notice(notices.EMPTY_TEXT, "reasoning without text and signature was left out")
        return None
    return {"text": part.text, "thought": True}


def _inline(part: ImagePart | ImageUrlPart | FilePart, context: PartContext) -> dict[str, Any] | None:
    if isinstance(part, FilePart):
        return {"inlineData": {"mimeType": part.mime, "data": part.data_b64}}
    inline = inline_image(part, context)
    return {"inlineData": {"mimeType": inline[0], "data": inline[1]}} if inline is not None else None


def _file(part: ImageUrlPart | FileUrlPart, context: PartContext) -> dict[str, Any] | None:
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
    """Make the call. One of Gemini's own that came without arguments has none; its state says so."""
    args = as_arguments(part.args, context)
    bare = not args and part.state is not None and context.accepts(part, part.state.origin)
    return {"functionCall": {**_id(part.id), "name": part.name, **({} if bare else {"args": args})}}


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
    if _refers(value):
        text = "a result with the key $ref went out as text: Gemini takes it for a reference"
        context.notice(notices.CHANGED_PART, text)
        value = encode(value).decode()
    response = as_object(value)
    if part.is_error:
        response = {"error": value}
    elif response is None:
        response = {"result": value}
    answer: dict[str, Any] = {**_id(part.id), "name": name, "response": response}
    return {"functionResponse": {**answer, "parts": media} if media else answer}


def _refers(value: Any) -> bool:
    """Whether a value holds the key ``$ref`` somewhere."""
    left = [value]
    while left:
        inner = left.pop()
        fields = as_object(inner)
        if fields is not None and "$ref" in fields:
            return True
        left += fields.values() if fields is not None else as_array(inner) or ()
    return False


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
