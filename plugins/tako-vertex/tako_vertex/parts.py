"""tako's parts as Gemini's, and back (https://cloud.google.com/vertex-ai/generative-ai/docs/reference/rest/v1/Content)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import uuid4

from tako import notices
from tako.json_values import as_array, as_object, text_of
from tako.kit.arguments import decode_arguments, encode_arguments
from tako.kit.blocks import is_own, state_of, vendor_part, without
from tako.kit.encoding import complete, encode, encode_inner, encode_vendor_part, is_foreign, note_empty, result_parts
from tako.kit.families import rules_of
from tako.kit.files import FETCHING, MEDIA, MediaPart, is_fetched, read_media, unsupported
from tako.kit.ids import read_id
from tako.media import IMAGE_TYPES, canonical_type
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
from tako.state import State
from tako.types import Role

if TYPE_CHECKING:
    from tako.kit.families import Rules
    from tako.translator import PartContext

TOKEN = "continuationToken"  # noqa: S105 - the name of a field
"""A paused reply continues with this. It comes with the candidate, and goes back next to the contents."""
MINTED_PREFIX = "vertex_"
"""The prefix of ids that tako gives to calls without one. They aren't sent to Gemini."""
GEMINI_IMAGE_TYPES = (*IMAGE_TYPES, "image/heic", "image/heif")
RAW_AUDIO = ("audio/l16", "audio/pcm")
"""Types of audio without a header, which a stream sends in several parts."""


def mint_id() -> str:
    """Make an id for a call without one."""
    return MINTED_PREFIX + uuid4().hex[:24]


def encode_part(part: Part, context: PartContext) -> dict[str, Any] | None:
    """Return the block of one part, or None with a notice."""
    match part:
        case VendorPart():
            return encode_vendor_part(part, context)
        case TextPart():
            block = _encode_text(part, context)
        case ReasoningPart():
            block = _encode_reasoning(part, context)
        case ImagePart() | ImageUrlPart() | FilePart() | FileUrlPart() | FileIdPart():
            block = _encode_media(part, context)
        case ToolCallPart():
            block = _encode_call(part, context)
        case ToolResultPart():
            block = _encode_result(part, context)
        case _:  # a part of a later version, or of a plugin that wraps the translator
            return None
    return complete(block, part, context) if block is not None else None


def decode_block(block: Any, context: PartContext) -> Part | None:
    """Return the part of a reply's block. A text may be empty if it's signed."""
    fields = as_object(block) or {}
    if "functionCall" in fields and as_object(fields["functionCall"]) is not None:
        return _decode_call(fields, context)
    if "text" in fields and isinstance(fields["text"], str):
        return _decode_text(fields["text"], fields, context)
    if "inlineData" in fields or "fileData" in fields:
        return _decode_media(fields, context)
    return vendor_part(next(iter(fields)), fields, context) if fields else None


def _decode_text(text: str, fields: dict[str, Any], context: PartContext) -> Part | None:
    state = state_of(fields, ("text", "thought"), context)
    if fields.get("thought"):
        return ReasoningPart(text, state or State(context.origin))
    return TextPart(text, state=state) if text or state else None


def _decode_media(fields: dict[str, Any], context: PartContext) -> Part:
    """Read an image or a file, inline or by its URL."""
    field, value_field = ("inlineData", "data") if "inlineData" in fields else ("fileData", "fileUri")
    media = as_object(fields[field]) or {}
    mime, value = media.get("mimeType"), media.get(value_field)
    if not isinstance(mime, str) or not isinstance(value, str):
        return vendor_part(field, fields, context)
    state = state_of(without(fields, field, "mimeType", value_field), (), context)
    if state is None and not mime.lower().startswith(RAW_AUDIO):  # a state, so that its type isn't changed later
        state = State(context.origin)
    is_image = canonical_type(mime) in IMAGE_TYPES
    if field == "inlineData":
        return ImagePart(mime, value, state) if is_image else FilePart(mime, value, state=state)
    return ImageUrlPart(value, mime, state) if is_image else FileUrlPart(value, mime, state=state)


def _decode_call(fields: dict[str, Any], context: PartContext) -> ToolCallPart:
    call = fields["functionCall"]
    args = call.get("args")
    state = call_state(fields, args, context)
    return ToolCallPart(read_id(call.get("id")), text_of(call.get("name")), decode_arguments(args), state)


def call_state(fields: dict[str, Any], args: Any, context: PartContext) -> State | None:
    """Return the fields of a call's block that go back along with its id, name and arguments.

    For a call without arguments, the state also says whether the block had an empty object or none. A call by a model
    that signs calls always has a state: that tells its unsigned calls from those of other models.
    """
    rest = without(fields, "functionCall", "id", "name", "args", "partialArgs", "willContinue")
    has_state = bool(rest) or args is None or signs_calls(context.known_as)
    if args == {} and has_state:
        rest["functionCall"] = {**(rest.get("functionCall") or {}), "args": {}}
    return State(context.origin, rest) if has_state else None


def signs_calls(model: str) -> bool:
    """Whether a model signs its calls, and refuses those that aren't signed: Gemini 3 and later."""
    return bool(gemini_rules(model).efforts)


def gemini_rules(model: str) -> Rules:
    """Return what a model takes. A name that isn't known, such as a tuned model's, counts as Gemini 2.5."""
    rules = rules_of(model)
    return rules if rules.family else rules_of("gemini-2.5-flash")


def _encode_text(part: TextPart, context: PartContext) -> dict[str, Any] | None:
    """Keep an empty text if it has state, because Gemini signs such parts, too."""
    if not part.text and not part.state:
        note_empty(part, context)
        return None
    return {"text": part.text}


def _encode_reasoning(part: ReasoningPart, context: PartContext) -> dict[str, Any] | None:
    if is_foreign(part, context):
        return None
    if not part.text and not (part.state and part.state.data):
        context.notice(notices.EMPTY_TEXT, "reasoning without text and signature was left out")
        return None
    return {"text": part.text, "thought": True}


def _encode_media(part: MediaPart, context: PartContext) -> dict[str, Any] | None:
    """Encode an image or a file. Gemini accepts nearly any type, and needs one with every URL."""
    media = read_media(part, context, schemes=("gs", "https", "http"))
    if media is None:
        return None
    mime = canonical_type(media.mime) if media.kind == "text" and not is_own(part, context) else media.mime
    url = media.url or (media.id if "://" in media.id else "")
    if media.url.startswith("http:") or (media.url and not mime and context.fetches):
        return {"text": FETCHING} if is_fetched(media, part, context) else None
    if "/" not in mime or (media.kind == "image" and mime not in GEMINI_IMAGE_TYPES and not is_own(part, context)):
        unsupported(media, context, "" if mime else "give mime=, because Gemini needs the type")
        return None
    if media.data:
        return {"inlineData": {"mimeType": mime, "data": media.data}}
    if url:
        return {"fileData": {"mimeType": mime, "fileUri": url}}
    context.notice(
        notices.UNSUPPORTED_PART, "a file was left out: its id isn't a URL, and Vertex AI doesn't store files"
    )
    return None


def _encode_call(part: ToolCallPart, context: PartContext) -> dict[str, Any]:
    """Return the call. A call by Gemini that had no arguments goes back without them; its state says so."""
    args = encode_arguments(part.args, context)
    has_no_args = not args and part.state is not None and context.accepts(part, part.state.origin)
    return {"functionCall": {**_id_field(part.id), "name": part.name, **({} if has_no_args else {"args": args})}}


def _id_field(id: str) -> dict[str, str]:
    """Return the id that a vendor gave. Gemini matches calls without one by their order."""
    return {"id": id} if id and not id.startswith(MINTED_PREFIX) else {}


def _encode_result(part: ToolResultPart, context: PartContext) -> dict[str, Any] | None:
    """Return the response: an object as it is, anything else as "result" or "error", as Google's SDK does."""
    name = _function_name(part.id, context)
    if name is None:
        context.notice(notices.UNKNOWN_CALL, f"a tool result was left out: no earlier call has the id {part.id!r}")
        return None
    media: list[dict[str, Any]] = []
    value = part.result
    inner = result_parts(part)
    if inner is not None:
        value, media = _encode_result_content(inner, context)
    if _has_reference(value):
        text = "a result with the key $ref was sent as text, because Gemini reads that key as a reference"
        context.notice(notices.CHANGED_PART, text)
        value = encode(value).decode()
    response = as_object(value)
    if part.is_error:
        response = {"error": value}
    elif response is None:
        response = {"result": value}
    function_response: dict[str, Any] = {**_id_field(part.id), "name": name, "response": response}
    return {"functionResponse": {**function_response, "parts": media} if media else function_response}


def _has_reference(value: Any) -> bool:
    """Whether a value has the key ``$ref`` at any level."""
    pending = [value]
    while pending:
        item = pending.pop()
        fields = as_object(item)
        if fields is not None and "$ref" in fields:
            return True
        pending += fields.values() if fields is not None else as_array(item) or ()
    return False


def _encode_result_content(parts: list[Part], context: PartContext) -> tuple[str, list[dict[str, Any]]]:
    # a result can't have signatures, so a text that is only a signature is empty there
    unsigned = [TextPart(part.text) if isinstance(part, TextPart) else part for part in parts]
    blocks = encode_inner(unsigned, context, accepted=(TextPart, *MEDIA))
    media = [block for block in blocks if "text" not in block]
    return "".join([block["text"] for block in blocks if "text" in block]), media


def _function_name(id: str, context: PartContext) -> str | None:
    """Return the function name of the last earlier call with this id."""
    is_earlier = context.message is None
    for message in reversed(context.outgoing.messages):
        is_earlier = is_earlier or message is context.message
        if is_earlier and message.role is Role.ASSISTANT:
            for part in message.parts:
                if isinstance(part, ToolCallPart) and part.id == id:
                    return part.name
    return None
