"""A ChatRequest as the body of ``/api/chat`` (https://docs.ollama.com/api/chat).

A block is a fragment of a message, ``{"content": "Hello"}`` or ``{"images": ["…"]}``, and a message joins its
fragments. A tool result is a message of its own, ``{"role": "tool", …}``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tako import notices
from tako.errors import kind_of
from tako.fold import parse_arguments
from tako.json_values import as_object
from tako.kit.completions.parameters import effort_of
from tako.kit.encoding import (
    complete,
    encode,
    encode_inner,
    encode_parts,
    encode_vendor_part,
    is_foreign,
    note_empty,
    refuse_empty,
    result_parts,
)
from tako.kit.files import FETCHING, MEDIA, MediaPart, as_text, is_fetched, read_media
from tako.kit.schemas import OLLAMA, adapt
from tako.kit.tools import encode_tools
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
from tako.types import Role

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tako.kit.files import Media
    from tako.translator import PartContext, Translator
    from tako.types import ChatRequest, Message, Tool

Block = dict[str, Any]


def encode_body(
    request: ChatRequest,
    translator: Translator,
    context: PartContext,
    *,
    model: str,
    stream: bool,
    options: Mapping[str, Any],
    keep_alive: str | float | None,
) -> Block:
    """Make the body, without the request's ``extra``."""
    request = adapt(request, context, OLLAMA, model)
    body: Block = {"model": model, "messages": _messages(request, translator, context), "stream": stream}
    context.path = ""
    refuse_empty(body["messages"], context)
    body.update(_parameters(request, context, model))
    if model_options := {**options, **_options(request)}:
        body["options"] = model_options
    if keep_alive is not None:
        body["keep_alive"] = keep_alive
    return body


def encode_part(part: Part, context: PartContext) -> Block | None:
    """Return the block of one part."""
    block: Block | None = None  # for parts of later versions or of plugins
    match part:
        case VendorPart():
            return encode_vendor_part(part, context)
        case TextPart():
            block = _text(part, context)
        case ImagePart() | ImageUrlPart() | FilePart() | FileUrlPart() | FileIdPart():
            block = _media(part, context)
        case ToolCallPart():
            call = {"function": {"name": part.name, "arguments": _arguments(part, context)}}
            return {"tool_calls": [complete(call, part, context)]}
        case ToolResultPart():
            block = _result(part, context)
        case ReasoningPart():
            block = _thinking(part, context)
    return complete(block, part, context) if block is not None else None


def _text(part: TextPart, context: PartContext) -> Block | None:
    if not part.text:
        note_empty(part, context)
        return None
    return {"content": part.text}


def _media(part: MediaPart, context: PartContext) -> Block | None:
    """Encode an image as its bytes, and a text file as text; nothing else can be sent."""
    media = read_media(part, context, takes=_is_accepted)
    if media is None:
        return None
    if media.url:
        return {"content": FETCHING} if is_fetched(media, part, context) else None
    return {"content": as_text(media, context)} if media.kind == "text" else {"images": [media.data]}


def _is_accepted(media: Media) -> bool:
    """Return whether a model can get a file; what is at a URL may turn out to be an image or text."""
    is_accepted = media.kind == "text" or media.mime in IMAGE_TYPES or (media.kind == "image" and not media.data)
    return is_accepted and not media.id


def _arguments(part: ToolCallPart, context: PartContext) -> Block:
    """Return the arguments as an object, as the API needs them."""
    args = parse_arguments(part.args) if isinstance(part.args, str) else part.args
    fields = as_object(args)
    if fields is None:
        context.notice(notices.CHANGED_PART, "the arguments aren't an object, so they were sent as {'arguments': …}")
        return {"arguments": args}
    return fields


def _result(part: ToolResultPart, context: PartContext) -> Block:
    """Return a message; ``tool_name`` is added if the call is known."""
    if part.is_error:
        context.notice(notices.ERROR_FLAG, "the API has no error flag for tool results; the text was sent without it")
    message: Block = {"role": "tool", "content": ""}
    parts = result_parts(part)
    if parts is None:
        message["content"] = part.result if isinstance(part.result, str) else encode(part.result).decode()
        return message
    for block in encode_inner(parts, context, accepted=(TextPart, *MEDIA)):
        _join(message, block)
    return message


def _thinking(part: ReasoningPart, context: PartContext) -> Block | None:
    if is_foreign(part, context):
        return None
    if not part.text:
        context.notice(notices.EMPTY_TEXT, "reasoning without text was left out")
        return None
    return {"thinking": part.text}


def _messages(request: ChatRequest, translator: Translator, context: PartContext) -> list[Block]:
    builder = _MessageList()
    for i, message in enumerate(request.messages):
        wire_message: Block = {"role": "user" if message.role is Role.TOOL else message.role.value, "content": ""}
        is_empty = True
        for part, block in encode_parts(message, i, translator, context):
            if isinstance(part, ToolCallPart):
                builder.add_call(part)
            if block.get("role") == "tool":
                builder.add_result(part, block)
            elif not _fits(block, message.role):
                context.notice(
                    notices.MISPLACED_PART,
                    f"{kind_of(part)} can't be in a {message.role} message",
                    f"messages[{i}].content[{_position(message, part)}]",
                )
            else:
                _join(wire_message, block)
                is_empty = False
        if not is_empty:
            builder.add(wire_message)
    return builder.messages()


def _position(message: Message, part: Part) -> int:
    return next(j for j, other in enumerate(message.parts) if other is part)


def _fits(block: Block, role: Role) -> bool:
    """Return whether a role may have a block: calls and reasoning are the assistant's, images not the system's."""
    if "images" in block:
        return role is not Role.SYSTEM
    return role is Role.ASSISTANT or not ("tool_calls" in block or "thinking" in block)


def _join(message: Block, fragment: Block) -> None:
    """Add a fragment: text to text, lists to lists."""
    for key, value in fragment.items():
        is_joined = key in message and key != "role" and isinstance(value, (str, list))
        message[key] = message[key] + value if is_joined else value


class _MessageList:
    """The messages of a body. The API pairs results with calls by their order, so results are in the order of calls."""

    def __init__(self) -> None:
        self._messages: list[Block] = []
        self._results: list[tuple[int, Block]] = []
        self._calls: dict[str, tuple[int, str]] = {}
        self._count = 0

    def add_call(self, call: ToolCallPart) -> None:
        self._count += 1
        self._calls[call.id] = self._count, call.name

    def add_result(self, part: Part, block: Block) -> None:
        """Add a result at the position of its call among those of its turn, with the call's name."""
        order, name = self._calls.get(part.id if isinstance(part, ToolResultPart) else "", (self._count, ""))
        self._results.append((order, {"role": "tool", "tool_name": name, **block} if name else block))

    def add(self, message: Block) -> None:
        self._flush()
        self._messages.append(message)

    def messages(self) -> list[Block]:
        self._flush()
        return self._messages

    def _flush(self) -> None:
        self._messages += [block for _, block in sorted(self._results, key=lambda pair: pair[0])]
        self._results.clear()


def _options(request: ChatRequest) -> Block:
    """Return the model's parameters, which are in ``options``."""
    options = {
        "temperature": request.temperature,
        "top_p": request.top_p,
        "seed": request.seed,
        "num_predict": request.max_tokens,
        "stop": request.stop or None,
    }
    return {name: value for name, value in options.items() if value is not None}


def _parameters(request: ChatRequest, context: PartContext, model: str) -> Iterator[tuple[str, Any]]:
    if request.tools and request.tool_choice != "none":
        yield "tools", encode_tools(request, context, _tool, strict=False)
    if request.tool_choice == "none" and request.tools:
        context.notice(
            notices.CHANGED_PARAMETER, "tool_choice 'none' was sent as a request without tools", "tool_choice"
        )
    elif request.tool_choice not in (None, "auto", "none"):
        context.notice(
            notices.UNSUPPORTED_PARAMETER, "Ollama lets the model choose; tool_choice was left out", "tool_choice"
        )
    if request.response_format is not None and request.tools and request.tool_choice != "none":
        text = "response_format was left out: Ollama applies it to tool calls too, so the model couldn't call any"
        context.notice(notices.UNSUPPORTED_PARAMETER, text, "response_format")  # ollama/ollama-python#546
    elif request.response_format is not None:
        response_format = request.response_format
        yield "format", response_format if isinstance(response_format, str) else response_format.schema
    if request.reasoning is not None:
        yield "think", _think(request.reasoning, context, model)
    for name in ("metadata", "parallel_tool_calls"):
        if getattr(request, name) not in (None, {}):
            context.notice(notices.UNSUPPORTED_PARAMETER, f"Ollama has no {name}; it was left out", name)


def _tool(tool: Tool) -> Block:
    function = {"name": tool.name, "description": tool.description, "parameters": tool.input_schema}
    return {"type": "function", "function": {key: value for key, value in function.items() if value != ""}}


def _think(effort: int | str, context: PartContext, model: str) -> bool | str:
    """Return an effort as it is, and a budget, which the API doesn't have, as True (as an effort for gpt-oss)."""
    if isinstance(effort, str):
        return effort if effort != "none" else False
    if effort <= 0:
        return False
    think = effort_of(effort) if "gpt-oss" in model else True
    text = f"a budget of {effort} tokens was sent as think={'true' if think is True else think}"
    context.notice(notices.CHANGED_PARAMETER, text, "reasoning")
    return think
