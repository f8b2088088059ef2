"""Tools to send."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tako import notices
from tako.kit.encoding import merge
from tako.types import Tool

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tako.translator import PartContext
    from tako.types import ChatRequest, VendorTool


def encode_tools(
    request: ChatRequest, context: PartContext, encode: Callable[[Tool], dict[str, Any]], *, strict: bool = True
) -> list[dict[str, Any]]:
    """Return the declarations of a request's tools, in order.

    ``encode`` makes that of a function; the tool's ``extra`` is merged into it. A vendor's own tool goes out as it is,
    and is left out with a notice if it's another vendor's. ``strict``: whether the wire has ``Tool.strict``.
    """
    declared: list[dict[str, Any]] = []
    for i, tool in own_tools(request, context):
        if isinstance(tool, Tool):
            block = encode(tool)
            if tool.strict and not strict:
                text = f"{context.provider} doesn't hold arguments to a schema; strict was left out"
                context.notice(notices.UNSUPPORTED_PARAMETER, text, f"tools[{i}].strict")
            declared.append(merge(block, tool.extra) if tool.extra else block)
        else:
            declared.append(tool.block)
    return declared


def own_tools(request: ChatRequest, context: PartContext) -> Iterator[tuple[int, Tool | VendorTool]]:
    """Yield a request's tools with their places; another vendor's own are left out with a notice."""
    for i, tool in enumerate(request.tools):
        if isinstance(tool, Tool) or tool.provider == context.provider:
            yield i, tool
        else:
            text = f"the tool {tool.name!r} was left out: it is {tool.provider}'s"
            context.notice(notices.UNSUPPORTED_PARAMETER, text, f"tools[{i}]")
