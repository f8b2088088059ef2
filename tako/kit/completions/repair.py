"""Replies whose choices have other shapes than expected, where it's plain what they mean.

A reply is looked at this way only after it couldn't be read as it is.
"""

from __future__ import annotations

from typing import Any

import msgspec

from tako.json_values import as_array, as_object


def mended(document: Any) -> Any:
    """Return a reply with the expected shapes: texts for numbers, arrays for single items, nothing for nulls."""
    fields = as_object(document)
    choices = as_array(fields.get("choices")) if fields is not None else None
    if fields is None or choices is None:
        return document
    return {**fields, "choices": [_choice(as_object(one) or {}) for one in choices]}


def _choice(choice: dict[str, Any]) -> dict[str, Any]:
    index, word = choice.get("index"), choice.get("finish_reason")
    made = {**choice, "index": int(index) if isinstance(index, str) and index.isdecimal() else index}
    made["finish_reason"] = None if word is None else _text(word)
    for name in ("delta", "message"):
        made[name] = _content(choice.get(name))
    return made


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
    listed = as_array([calls] if as_object(calls) else calls or [])
    return {
        **fields,
        "content": content,
        "refusal": None if refusal is None else _text(refusal),
        "tool_calls": calls if listed is None else [call for call in listed if call is not None],
        "function_call": as_object(fields.get("function_call")),
    }


def _text(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
