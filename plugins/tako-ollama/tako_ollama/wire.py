"""A ChatRequest as the body of ``/api/chat`` (https://docs.ollama.com/api/chat).

A block is a fragment of a message, ``{"content": "Hello"}`` or ``{"images": ["…"]}``, and the fragments of one are put
together; a tool result is a message of its own, ``{"role": "tool", …}``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tako import notices
from tako.errors import kind_of
from tako.fold import arguments
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
    chosen = {**options, **_options(request)}
    if chosen:
        body["options"] = chosen
    if keep_alive is not None:
        body["keep_alive"] = keep_alive
    return body


def encode_part(part: Part, context: PartContext) -> Block | None:
    """Return the block of one part."""
    block: Block | None = None  # for a part of a later version, or of a plugin that wraps the translator
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
    """Encode an image as its bytes; text files go out as text, and nothing else does."""
    media = read_media(part, context, takes=_takes)
    if media is None:
        return None
    if media.url:
        return {"content": FETCHING} if is_fetched(media, part, context) else None
    return {"content": as_text(media, context)} if media.kind == "text" else {"images": [media.data]}


def _takes(media: Media) -> bool:
    """Whether a model of Ollama's can be given it; an address may be found to be an image's or a text's."""
    fits = media.kind == "text" or media.mime in IMAGE_TYPES or (media.kind == "image" and not media.data)
    return fits and not media.id


def _arguments(part: ToolCallPart, context: PartContext) -> Block:
    """Return the arguments as the object that the wire wants, whatever the model made of them."""
    args = arguments(part.args) if isinstance(part.args, str) else part.args
    found = as_object(args)
    if found is None:
        context.notice(notices.CHANGED_PART, "the arguments aren't an object, so they were sent as {'arguments': …}")
        return {"arguments": args}
    return found


def _result(part: ToolResultPart, context: PartContext) -> Block:
    """Return a whole message; its ``tool_name`` is put in where the earlier call is known."""
    if part.is_error:
        context.notice(notices.ERROR_FLAG, "the wire has no error mark for tool results; the text was sent without it")
    message: Block = {"role": "tool", "content": ""}
    inner = result_parts(part)
    if inner is None:
        message["content"] = part.result if isinstance(part.result, str) else encode(part.result).decode()
        return message
    for block in encode_inner(inner, context, accepted=(TextPart, *MEDIA)):
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
    thread = _Thread()
    for i, message in enumerate(request.messages):
        made: Block = {"role": "user" if message.role is Role.TOOL else message.role.value, "content": ""}
        empty = True
        for part, block in encode_parts(message, i, translator, context):
            if isinstance(part, ToolCallPart):
                thread.know(part)
            if block.get("role") == "tool":
                thread.answer(part, block)
            elif not _fits(block, message.role):
                context.notice(
                    notices.MISPLACED_PART,
                    f"{kind_of(part)} can't be in a {message.role} message",
                    f"messages[{i}].content[{_position(message, part)}]",
                )
            else:
                _join(made, block)
                empty = False
        if not empty:
            thread.say(made)
    return thread.messages()


def _position(message: Message, part: Part) -> int:
    return next(j for j, known in enumerate(message.parts) if known is part)


def _fits(block: Block, role: Role) -> bool:
    """Calls and reasoning are the assistant's; text and images may stand anywhere but in the system's text."""
    if "images" in block:
        return role is not Role.SYSTEM
    return role is Role.ASSISTANT or not ("tool_calls" in block or "thinking" in block)


def _join(message: Block, fragment: Block) -> None:
    """Add a fragment: text to text, lists to lists."""
    for key, value in fragment.items():
        joins = key in message and key != "role" and isinstance(value, (str, list))
        message[key] = message[key] + value if joins else value


class _Thread:
    """The messages of a body. The wire pairs results with calls by their order alone, so that they go in call order."""

    def __init__(self) -> None:
        self._said: list[Block] = []
        self._results: list[tuple[int, Block]] = []
        self._calls: dict[str, tuple[int, str]] = {}
        self._count = 0

    def know(self, call: ToolCallPart) -> None:
        self._count += 1
        self._calls[call.id] = self._count, call.name

    def answer(self, part: Part, block: Block) -> None:
        """Put a result where its call stands among those of its turn; the name is found from the call."""
        order, name = self._calls.get(part.id if isinstance(part, ToolResultPart) else "", (self._count, ""))
        self._results.append((order, {"role": "tool", "tool_name": name, **block} if name else block))

    def say(self, message: Block) -> None:
        self._flush()
        self._said.append(message)

    def messages(self) -> list[Block]:
        self._flush()
        return self._said

    def _flush(self) -> None:
        self._said += [block for _, block in sorted(self._results, key=lambda pair: pair[0])]
        self._results.clear()


def _options(request: ChatRequest) -> Block:
    """Return the model's parameters, which stand in ``options``."""
    found = {
        "temperature": request.temperature,
        "top_p": request.top_p,
        "seed": request.seed,
        "num_predict": request.max_tokens,
        "stop": request.stop or None,
    }
    return {name: value for name, value in found.items() if value is not None}


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
        text = "response_format was left out: Ollama holds calls of tools to it as well, so that none is made"
        context.notice(notices.UNSUPPORTED_PARAMETER, text, "response_format")  # ollama/ollama-python#546
    elif request.response_format is not None:
        wanted = request.response_format
        yield "format", wanted if isinstance(wanted, str) else wanted.schema
    if request.reasoning is not None:
        yield "think", _think(request.reasoning, context, model)
    for name in ("metadata", "parallel_tool_calls"):
        if getattr(request, name) not in (None, {}):
            context.notice(notices.UNSUPPORTED_PARAMETER, f"Ollama has no {name}; it was left out", name)


def _tool(tool: Tool) -> Block:
    function = {"name": tool.name, "description": tool.description, "parameters": tool.input_schema}
    return {"type": "function", "function": {key: value for key, value in function.items() if value != ""}}


def _think(wanted: int | str, context: PartContext, model: str) -> bool | str:
    """Return an effort as it is; a budget, which the wire does not know, as thinking (gpt-oss wants an effort)."""
    if isinstance(wanted, str):
        return wanted if wanted != "none" else False
    if wanted <= 0:
        return False
    think = effort_of(wanted) if "gpt-oss" in model else True
    said = f"a budget of {wanted} tokens was sent as think={'true' if think is True else think}"
    context.notice(notices.CHANGED_PARAMETER, said, "reasoning")
    return think
