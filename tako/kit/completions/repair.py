"""Replies whose choices have other shapes than expected, where it's plain what they mean.

A reply is looked at this way only after it couldn't be read as it is.
"""

from __future__ import annotations

from typing import Any

import msgspec

from tako.json_values import as_array, as_object


def repaired(document: Any) -> Any:
    """Return a reply with the expected shapes: texts for numbers, arrays for single items, nothing for nulls."""
    fields = as_object(document)
    choices = as_array(fields.get("choices")) if fields is not None else None
    if fields is None or choices is None:
        return document
    return {**fields, "choices": [_choice(as_object(choice) or {}) for choice in choices]}


def _choice(choice: dict[str, Any]) -> dict[str, Any]:
    index, finish_reason = choice.get("index"), choice.get("finish_reason")
    fields = {**choice, "index": int(index) if isinstance(index, str) and index.isdecimal() else index}
    fields["finish_reason"] = None if finish_reason is None else _text(finish_reason)
    for name in ("delta", "message"):
        fields[name] = _content(choice.get(name))
    return fields


def _content(value: Any) -> Any:
    """Return a message or a delta; one that is text, or an array of chunks, is its content."""
    is_content = isinstance(value, str) or as_array(value) is not None
    fields: dict[str, Any] | None = {"content": value} if is_content else as_object(value)
    if fields is None:
        return value
    content, refusal, calls = fields.get("content"), fields.get("refusal"), fields.get("tool_calls")
    if content is not None and as_array(content) is None:
        block = as_object(content)
        content = [block] if block is not None else _text(content)
    calls_as_list = as_array([calls] if as_object(calls) else calls or [])
    return {
        **fields,
        "content": content,
        "refusal": None if refusal is None else _text(refusal),
        "tool_calls": calls if calls_as_list is None else [call for call in calls_as_list if call is not None],
        "function_call": as_object(fields.get("function_call")),
    }


def _text(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
