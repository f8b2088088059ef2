"""What a request to the Messages API has beside its messages: tools and parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tako import notices
from tako.kit.messages.encode import encode_tool
from tako.kit.tools import encode_tools
from tako.kit.turns import Item
from tako.types import JsonSchema

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tako.kit.turns import Turn
    from tako.translator import PartContext
    from tako.types import ChatRequest

CHOICE_TYPES = {"auto": {"type": "auto"}, "none": {"type": "none"}, "required": {"type": "any"}}


def tool_items(request: ChatRequest, context: PartContext) -> list[Item]:
    """Return the declarations of a request's tools as items, since they may bear cache marks."""
    blocks = encode_tools(request, context, encode_tool)
    return [Item(block, "tool", cached=False, path=f"tools[{i}]") for i, block in enumerate(blocks)]


def tool_fields(
    request: ChatRequest, tools: list[Item], turns: list[Turn], context: PartContext
) -> Iterator[tuple[str, Any]]:
    """Yield ``tools`` and ``tool_choice``.

    A history with calls is refused unless tools are declared: those that it calls are, and may not be called again.
    """
    if tools:
        yield "tools", [item.block for item in tools]
    if tools or request.extra.get("tools"):
        if (choice := tool_choice(request)) is not None:
            yield "tool_choice", choice
        return
    for name in ("tool_choice", "parallel_tool_calls"):
        if getattr(request, name) is not None:
            context.notice(notices.UNSUPPORTED_PARAMETER, f"{name} was left out: the request has no tools", name)
    called_names = {str(item.block["name"]): None for turn in turns for item in turn.items if item.kind == "tool_use"}
    if called_names:
        context.notice(
            notices.ADDED_TOOLS, f"tools were declared for earlier calls: {', '.join(called_names)}", "tools"
        )
        yield "tools", [{"name": name, "input_schema": {"type": "object"}} for name in called_names]
        yield "tool_choice", {"type": "none"}


def parameters(request: ChatRequest, context: PartContext) -> Iterator[tuple[str, Any]]:
    """Yield the fields that are the same for every model."""
    stops = [text for text in request.stop if text.strip()]
    if len(stops) < len(request.stop):
        text = "stop sequences that are only white space were left out: the API refuses them"
        context.notice(notices.UNSUPPORTED_PARAMETER, text, "stop")
    if stops:
        yield "stop_sequences", stops
    if request.seed is not None:
        context.notice(notices.UNSUPPORTED_PARAMETER, "seed was left out: the API doesn't have it", "seed")
    if isinstance(request.response_format, JsonSchema):
        yield "output_config", {"format": {"type": "json_schema", "schema": request.response_format.schema}}
    elif request.response_format is not None:
        text = "response_format was left out: the API has no JSON mode without a schema; give a JsonSchema"
        context.notice(notices.UNSUPPORTED_PARAMETER, text, "response_format")
    for key, value in request.metadata.items():
        if key == "user_id":
            yield "metadata", {"user_id": value}
        else:
            text = "the API knows no metadata but user_id"
            context.notice(notices.UNSUPPORTED_PARAMETER, text, f"metadata.{key}")


def tool_choice(request: ChatRequest) -> dict[str, Any] | None:
    """Return the choice of tools; that calls may not be parallel is a part of it."""
    choice_name = request.tool_choice
    if choice_name is None and request.parallel_tool_calls is None:
        return None
    choice: dict[str, Any] = CHOICE_TYPES.get(choice_name or "auto") or {"type": "tool", "name": choice_name}
    if request.parallel_tool_calls is None or choice["type"] == "none":
        return choice
    return {**choice, "disable_parallel_tool_use": not request.parallel_tool_calls}
