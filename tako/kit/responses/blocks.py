"""Single parts as items or as parts of a message's content, and back.

https://platform.openai.com/docs/api-reference/responses, and the types of openai 3.57. A message of the model's is
split: each block has one part of its content, and the message's own fields stand in the last one's state.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tako import notices
from tako.fold import parse_arguments
from tako.json_values import as_array, as_object, text_of
from tako.kit.blocks import is_spelled_differently, own_data, state_of, vendor_part
from tako.kit.completions.encode import cache_mark
from tako.kit.encoding import (
    complete,
    encode,
    encode_inner,
    encode_vendor_part,
    is_foreign,
    merge,
    note_empty,
    own_state,
    result_parts,
)
from tako.kit.files import MEDIA, MediaPart, read_media
from tako.kit.ids import read_id
from tako.kit.responses.citations import citation_of
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
from tako.state import State
from tako.types import Role

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tako.kit.files import Media
    from tako.translator import PartContext

TEXTS = {"output_text": "text", "text": "text", "refusal": "refusal"}
"""The kinds of a message's content that are text, and the field that holds it; "text" is other servers'."""
CALLS = ("function_call", "custom_tool_call")
IMAGE_CALL = "image_generation_call"


def encode_part(part: Part, context: PartContext, *, has_cache_marks: bool = True) -> dict[str, Any] | None:
    """Return the block of one part, or None with a notice: an item, or (``input_…``) a part of a message's content.

    ``has_cache_marks``: the model takes marks of what is cached.
    """
    is_from_model = context.message is not None and context.message.role is Role.ASSISTANT
    match part:
        case VendorPart():
            return encode_vendor_part(part, context)
        case ReasoningPart():
            return _reasoning(part, context)
        case TextPart() if is_from_model:
            return _with_cache_mark(_assistant_message(part, context), part.cache, context, has_cache_marks=False)
        case TextPart():
            block = _text(part, context)
        case ImagePart() if is_from_model and _is_generated(part, context):
            block = {"type": IMAGE_CALL, "result": part.data_b64}
        case ImagePart() | ImageUrlPart() | FilePart() | FileUrlPart() | FileIdPart():
            block = _media(part, context)
        case ToolCallPart():
            block = _call(part, context)
        case ToolResultPart():
            block = _result(part, context)
        case _:  # a part of a later version, or of a plugin that wraps the translator
            return None
    block = _with_cache_mark(block, part.cache, context, has_cache_marks=has_cache_marks)
    return complete(block, part, context) if block is not None else None


def blocks_of(item: Any) -> Iterator[dict[str, Any]]:
    """Take an item apart into blocks: a message into one for each part of its content, any other is one."""
    fields = as_object(item) or {}
    content = as_array(fields.get("content")) if fields.get("type", "message") == "message" else None
    for n, part in enumerate(content or ()):
        is_last = n == len(content or ()) - 1
        fields_of_block = {name: value for name, value in fields.items() if is_last or name in ("type", "id", "role")}
        yield {**fields_of_block, "content": [part]}
    if not content and fields:
        yield fields


def decode_block(block: Any, context: PartContext) -> Part | None:
    """Return the part that a block stands for. Only function calls and calls of custom tools are the client's."""
    fields = as_object(block) or {}
    match fields.get("type"):
        case "message" | None if fields.get("type") or {"role", "content"} <= fields.keys():
            return _message({"type": "message", **fields}, context)
        case "reasoning":
            return ReasoningPart(reasoning_text(fields), State(context.origin, fields))
        case "function_call":
            text = arguments_text(fields)
            args = parse_arguments(text)
            known = ("call_id", "name") if is_spelled_differently(text, args) else ("call_id", "name", "arguments")
            state = _state(fields, known, context)
            return ToolCallPart(read_id(fields.get("call_id")), text_of(fields.get("name")), args, state)
        case "custom_tool_call":
            state = state_of(fields, ("call_id", "name", "input"), context)
            id, name = read_id(fields.get("call_id")), text_of(fields.get("name"))
            return ToolCallPart(id, name, fields.get("input"), state)
        case "image_generation_call" if fields.get("result") and isinstance(fields["result"], str):
            mime = f"image/{text_of(fields.get('output_format')) or 'png'}"
            return ImagePart(mime, fields["result"], state_of(fields, ("result",), context))
        case kind:
            return vendor_part(str(kind or ""), fields, context) if fields else None


def arguments_text(call: dict[str, Any]) -> str:
    """Return a call's arguments as text; some servers give an object."""
    value = call.get("arguments")
    return value if isinstance(value, str) else "" if value is None else encode(value).decode()


def _state(fields: dict[str, Any], known: tuple[str, ...], context: PartContext) -> State | None:
    """Return what an item says beside its part, with its type, by which ``is_item`` knows it."""
    state = state_of(fields, ("type", *known), context)
    return State(state.origin, {"type": fields["type"], **state.data}) if state is not None else None


ITEMS = ("message", "reasoning", *CALLS, IMAGE_CALL)
ITEM_ENDS = ("_call", "_output", "_list_tools", "_approval_request", "_approval_response")


def is_of_responses(part: Part) -> bool:
    """Whether a part's state is surely of an item of this API, and not of Chat Completions."""
    data = part.state.data if part.state is not None else {}
    kind = text_of(data.get("type"))
    if isinstance(part, VendorPart):
        return kind in ITEMS or kind.endswith(ITEM_ENDS)
    return kind in ITEMS and (kind != CALLS[0] or len(data) > 1)  # Chat Completions had a call of that name, too


def is_of_chat(part: Part) -> bool:
    """Whether a part's state is surely of Chat Completions."""
    data = part.state.data if part.state is not None else {}
    kind = data.get("type")
    return bool(data) and (kind is None if isinstance(part, VendorPart) else kind not in ITEMS)


def reasoning_text(item: dict[str, Any]) -> str:
    """Return what a reasoning item shows: the texts of its summary and of its content."""
    parts = [*(as_array(item.get("summary")) or ()), *(as_array(item.get("content")) or ())]
    return "\n\n".join([text for part in parts if (text := text_of((as_object(part) or {}).get("text")))])


def _message(fields: dict[str, Any], context: PartContext) -> Part:
    """Decode a message whose content is one part, or plain text."""
    content = fields.get("content")
    if isinstance(content, str):
        return TextPart(content, state=_state(fields, ("role", "content"), context))
    parts = as_array(content) or []
    part = as_object(parts[0]) if len(parts) == 1 else None
    kind = part.get("type") if part is not None else None
    name = TEXTS.get(str(kind))
    if part is None or name is None or not isinstance(part.get(name), str):
        return vendor_part(str(kind or "message"), fields, context)
    known_fields = ("type", name) if kind != "text" else (name,)
    other_fields = {key: value for key, value in part.items() if key not in known_fields and value is not None}
    state = _state({**fields, "content": [other_fields]}, ("role",), context)
    citations = [citation_of(as_object(annotation) or {}) for annotation in as_array(part.get("annotations")) or ()]
    return TextPart(part[name], citations, kind == "refusal", state)


def _assistant_message(part: TextPart, context: PartContext) -> dict[str, Any] | None:
    """Make a message of the model's. One that it did not say itself has no id, and is plain."""
    state = own_state(part, context)
    if not part.text and not state:
        note_empty(part, context)
        return None
    message: dict[str, Any] = {"role": "assistant", "content": part.text}
    if state:
        message = {**state, "type": "message", **message}
    if "content" in state:
        kind = "refusal" if part.refusal else "output_text"
        other_fields = as_object((as_array(state["content"]) or [{}])[0]) or {}
        message["content"] = [{"type": kind, **other_fields, TEXTS[kind]: part.text}]
    return merge(message, part.extra) if part.extra else message


def _text(part: TextPart, context: PartContext) -> dict[str, Any] | None:
    if not part.text:
        note_empty(part, context)
        return None
    return {"type": "input_text", "text": part.text}


def _with_cache_mark(
    block: dict[str, Any] | None, cache: bool | str, context: PartContext, *, has_cache_marks: bool
) -> dict[str, Any] | None:
    """Mark the end of what is cached: contents of the user's, the system's and of results have a field for it."""
    if block is None or not cache:
        return block
    kind = text_of(block.get("type"))
    output = block.get("output") if kind.endswith("_output") else None
    contents = [{"type": "input_text", "text": output}] if isinstance(output, str) else as_array(output)
    if not has_cache_marks or not (contents or kind.startswith("input_")):
        context.notice(notices.UNSUPPORTED_PARAMETER, "cache was left out: the wire has no mark for it here")
        return block
    mark = cache_mark("prompt_cache_breakpoint", cache, context)
    return {**block, "output": [*contents[:-1], {**contents[-1], **mark}]} if contents else {**block, **mark}


def _is_generated(part: ImagePart, context: PartContext) -> bool:
    """Whether the vendor that gets the request made an image."""
    state = part.state
    return state is not None and state.data.get("type") == IMAGE_CALL and context.accepts(part, state.origin)


def _media(part: MediaPart, context: PartContext) -> dict[str, Any] | None:
    """Make an ``input_image`` or an ``input_file``; the API hears and sees nothing else."""
    media = read_media(part, context, takes=_is_accepted)
    if media is None:
        return None
    if media.kind == "image":
        source = {"file_id": media.id} if media.id else {"image_url": media.url or media.data_url}
        return {"type": "input_image", **source, "detail": "auto"}
    if media.id:
        return {"type": "input_file", "file_id": media.id}
    if media.url:  # the API takes no name beside an address
        return {"type": "input_file", "file_url": media.url}
    return {"type": "input_file", "filename": media.file_name, "file_data": media.data_url}


def _is_accepted(media: Media) -> bool:
    if media.kind == "image":
        return media.mime in IMAGE_TYPES or not media.data
    return media.kind in ("document", "text") and bool(media.mime or not media.data)


def _call(part: ToolCallPart, context: PartContext) -> dict[str, Any]:
    """Make a call; one of a custom tool is told by its state."""
    text = part.args if isinstance(part.args, str) else encode(part.args).decode()
    if is_custom(part, context):
        return {"type": "custom_tool_call", "call_id": part.id, "name": part.name, "input": text}
    text_from_state = own_data(part, context).get("arguments")
    if isinstance(text_from_state, str) and parse_arguments(text_from_state) == part.args:
        text = text_from_state
    elif isinstance(part.args, str) and isinstance(parse_arguments(text), str):
        context.notice(notices.CHANGED_PART, "the arguments aren't JSON, so they were sent inside an object")
        text = encode({"arguments": part.args}).decode()
    return {"type": "function_call", "call_id": part.id, "name": part.name, "arguments": text or "{}"}


def is_custom(part: ToolCallPart, context: PartContext) -> bool:
    """Whether a call is of a custom tool of the vendor that gets the request."""
    state = part.state
    return state is not None and state.data.get("type") == CALLS[1] and context.accepts(part, state.origin)


def _result(part: ToolResultPart, context: PartContext) -> dict[str, Any]:
    if part.is_error:
        context.notice(notices.ERROR_FLAG, "the wire has no error mark for tool results; the text was sent without it")
    calls = [call for message in context.request.messages for call in message.parts if isinstance(call, ToolCallPart)]
    is_custom_tool = any(call.id == part.id and is_custom(call, context) for call in calls)
    kind = "custom_tool_call_output" if is_custom_tool else "function_call_output"
    inner = result_parts(part)
    if inner is not None:
        output: Any = encode_inner(inner, context, accepted=(TextPart, *MEDIA))
    else:
        output = part.result if isinstance(part.result, str) else encode(part.result).decode()
    return {"type": kind, "call_id": part.id, "output": output}


def _reasoning(part: ReasoningPart, context: PartContext) -> dict[str, Any] | None:
    if is_foreign(part, context):
        return None
    data = part.state.data if part.state is not None else {}
    if data.get("type") != "reasoning":
        context.notice(notices.UNSUPPORTED_PART, "reasoning was left out: it isn't an item of the Responses API")
        return None
    return merge(data, part.extra) if part.extra else data
