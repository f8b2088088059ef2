"""A request's parameters under the vendor's names, or a notice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tako import notices

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tako.translator import PartContext
    from tako.types import ChatRequest

PARAMETERS = (
    "tool_choice",
    "parallel_tool_calls",
    "temperature",
    "top_p",
    "max_tokens",
    "stop",
    "seed",
    "response_format",
    "reasoning",
    "metadata",
)
"""The fields of a request that say how to answer."""


def encode_parameters(request: ChatRequest, context: PartContext, names: Mapping[str, str]) -> dict[str, Any]:
    """Return what the request sets, as it is, under the vendor's ``names`` of it; what has no name there is noted.

    ::

        encode_parameters(request, context, {"temperature": "temperature", "max_tokens": "max_output_tokens"})
    """
    body: dict[str, Any] = {}
    for field in PARAMETERS:
        value = getattr(request, field)
        if value is None or value in ([], {}):
            continue
        if field in names:
            body[names[field]] = value
        else:
            context.notice(notices.UNSUPPORTED_PARAMETER, f"{context.provider} has no {field}; it was left out", field)
    return body
