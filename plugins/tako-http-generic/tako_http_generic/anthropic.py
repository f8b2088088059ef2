"""The Messages shape (https://platform.claude.com/docs/en/api/messages): content blocks, and turns that alternate."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tako import JsonSchema, Role, notices
from tako.kit.encoding import encode as to_json
from tako.kit.encoding import encode_parts, result_parts
from tako.kit.images import image_address, inline_image, is_data_url
from tako.loose import as_object
from tako.parts import ImagePart, ImageUrlPart, Part, ReasoningPart, TextPart, ToolCallPart, ToolResultPart

if TYPE_CHECKING:
    from tako import ChatRequest
    from tako.translator import PartContext, Translator

ASSISTANTS = ("tool_use", "thinking", "redacted_thinking")
USERS = ("image", "tool_result")
BUDGETS = {"low": 1024, "medium": 4096, "high": 16384}
"""What an effort stands for where the wire counts tokens."""
CHOICES = {"auto": {"type": "auto"}, "none": {"type": "none"}, "required": {"type": "any"}}


def encode(part: Part, context: PartContext) -> Any:  # noqa: PLR0911 - one for each kind of part
    """Return the content block of one part, or None with a notice."""
    match part:
        case TextPart() if not part.text.strip():
            context.notice(notices.EMPTY_TEXT, "an empty text was left out")
            return None
        case TextPart():
            return {"type": "text", "text": part.text}
        case ImagePart() | ImageUrlPart():
            return _image(part, context)
        case ToolCallPart():
            args = as_object(part.args)
            if args is None and part.args not in (None, ""):
                context.notice(notices.CHANGED_PART, "arguments that are no JSON object went out inside of one")
                args = {"arguments": part.args}
            return {"type": "tool_use", "id": part.id, "name": part.name, "input": args or {}}
        case ToolResultPart():
            error = {"is_error": True} if part.is_error else {}
            return {"type": "tool_result", "tool_use_id": part.id, "content": _result(part, context), **error}
        case ReasoningPart():
            return _reasoning(part, context)
        case _:  # a part of a later version, or of a plugin that wraps the translator
            return None


def values(request: ChatRequest, translator: Translator, context: PartContext, *, split: bool) -> dict[str, Any]:
    """Return messages and parameters as the Messages API has them; it has no system messages among the others."""
    system: list[Any] = []
    turns: list[tuple[str, list[Any]]] = []
    for i, message in enumerate(request.messages):
        role = "assistant" if message.role is Role.ASSISTANT else "user"
        for part, block in encode_parts(message, i, translator, context):
            kind = block.get("type")
            if message.role is Role.SYSTEM and kind == "text":
                if split:
                    system.append(block)
                else:
                    context.notice(notices.UNSUPPORTED_PART, "the template has no placeholder for system")
            elif message.role is Role.SYSTEM or kind in (ASSISTANTS if role == "user" else USERS):
                text = f"a {type(part).__name__} cannot stand in a {message.role} message"
                context.notice(notices.MISPLACED_PART, text)
            elif turns and turns[-1][0] == role:
                turns[-1][1].append(block)
            else:
                turns.append((role, [block]))
    context.path = ""
    made: dict[str, Any] = {"messages": [_turn(role, blocks) for role, blocks in turns]}
    if system:
        plain = all(block.keys() == {"type", "text"} for block in system)
        made["system"] = "\n\n".join([block["text"] for block in system]) if plain else system
    made.update(_parameters(request, context))
    return made


def _turn(role: str, blocks: list[Any]) -> dict[str, Any]:
    """Results come first; one plain text is a string."""
    ordered = sorted(blocks, key=lambda block: block.get("type") != "tool_result") if role == "user" else blocks
    if len(ordered) == 1 and ordered[0].keys() == {"type", "text"}:
        return {"role": role, "content": ordered[0]["text"]}
    return {"role": role, "content": ordered}


def _parameters(request: ChatRequest, context: PartContext) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for name in ("temperature", "top_p", "max_tokens", "stop", "seed", "metadata"):
        value = getattr(request, name)
        if value not in (None, [], {}):
            made[name] = value
    if request.tools:
        described = [
            {"name": tool.name, "description": tool.description, "input_schema": tool.input_schema}
            for tool in request.tools
        ]
        made["tools"] = [{key: value for key, value in tool.items() if value != ""} for tool in described]
    if request.tool_choice is not None and request.tools:
        made["tool_choice"] = CHOICES.get(request.tool_choice, {"type": "tool", "name": request.tool_choice})
    elif request.tool_choice is not None:
        context.notice(notices.UNSUPPORTED_PARAMETER, "tool_choice was left out: there are no tools", "tool_choice")
    if isinstance(request.response_format, JsonSchema):
        made["response_format"] = {"type": "json_schema", "schema": request.response_format.schema}
    elif request.response_format is not None:
        text = "the wire has no plain JSON mode; give a JsonSchema"
        context.notice(notices.UNSUPPORTED_PARAMETER, text, "response_format")
    if request.reasoning is not None:
        made.update(_thinking(request.reasoning, context))
    return made


def _thinking(wanted: int | str, context: PartContext) -> dict[str, Any]:
    budget = wanted if isinstance(wanted, int) else BUDGETS.get(wanted)
    if budget is None:
        context.notice(notices.UNSUPPORTED_PARAMETER, f"there is no effort {wanted!r}", "reasoning")
        return {}
    if isinstance(wanted, str):
        text = f"the effort {wanted!r} went out as a budget of {budget} tokens"
        context.notice(notices.CHANGED_PARAMETER, text, "reasoning")
    return {"reasoning": {"type": "enabled", "budget_tokens": budget}}


def _image(part: ImagePart | ImageUrlPart, context: PartContext) -> dict[str, Any] | None:
    if isinstance(part, ImageUrlPart) and not is_data_url(part):
        url = image_address(part, context)
        return {"type": "image", "source": {"type": "url", "url": url}} if url is not None else None
    inline = inline_image(part, context)
    if inline is None:
        return None
    return {"type": "image", "source": {"type": "base64", "media_type": inline[0], "data": inline[1]}}


def _result(part: ToolResultPart, context: PartContext) -> Any:
    """A str as it is, parts as blocks, any other value as JSON."""
    parts = result_parts(part)
    if parts is None:
        return part.result if isinstance(part.result, str) else to_json(part.result).decode()
    path = context.path
    blocks: list[Any] = []
    for k, inner in enumerate(parts):
        context.path = f"{path}.result[{k}]"
        if isinstance(inner, (TextPart, ImagePart, ImageUrlPart)):
            blocks.append(encode(inner, context))
        else:
            context.notice(notices.MISPLACED_PART, f"a {type(inner).__name__} in a tool result was left out")
    context.path = path
    return [block for block in blocks if block is not None]


def _reasoning(part: ReasoningPart, context: PartContext) -> dict[str, Any] | None:
    if part.provider != context.provider:
        context.notice(notices.FOREIGN_STATE, f"reasoning of {part.provider or 'unknown origin'} was left out")
        return None
    if part.data is not None:
        return part.data
    if not part.signature:
        context.notice(notices.UNSUPPORTED_PART, "reasoning was left out: without its signature it is not taken back")
        return None
    return {"type": "thinking", "thinking": part.text, "signature": part.signature}
