"""Reads a reply's text into a type, or explains why it doesn't fit."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import msgspec

from tako.errors import one_line
from tako.json_values import as_array, as_object
from tako.typed.schemas import VALUE
from tako.typed.shapes import Choice, Items, PydanticShape, Record, Shape, Table, adapter, name_of

if TYPE_CHECKING:
    from collections.abc import Callable

FENCED = re.compile(r"```[A-Za-z]*\s*\n(.*?)\n?\s*```", re.DOTALL)
MAX_PROBLEMS = 10
"""The most problems of one reply that are listed."""


class MismatchError(ValueError):
    """A text doesn't fit a type. The message says where and why, so that a model can correct it."""


def read_text(shape: Shape, text: str, *, is_wrapped: bool) -> Any:
    """Read a reply's text: one JSON value, perhaps in a code fence. Raises MismatchError."""
    fenced = FENCED.findall(text)
    data = (fenced[0] if len(fenced) == 1 else text).strip()
    try:
        value = json.loads(data, object_pairs_hook=_table_without_duplicates, parse_constant=_refuse_constant)
    except RecursionError:
        raise MismatchError("it is nested too deeply") from None
    except ValueError as error:
        raise MismatchError(f"it isn't one JSON value and nothing else: {error}") from None
    raw, path = _encode(data), "$"
    if is_wrapped and [*(table := as_object(value) or {})] == [VALUE]:
        raw, path, value = (
            bytes(msgspec.json.decode(raw, type=dict[str, msgspec.Raw])[VALUE]),
            f"$.{VALUE}",
            table[VALUE],
        )
    return read_strictly(shape, value, raw, path)


def read_strictly(shape: Shape, value: Any, raw: bytes, path: str) -> Any:
    """Read a JSON value, whose text is ``raw``. Raises MismatchError, also for unknown keys."""
    cleared = _without_nulls(shape, value)
    result = read(shape, raw if cleared == value else msgspec.json.encode(cleared), path)
    problems = _unknown_key_problems(shape, cleared, path)
    if problems:
        raise MismatchError(problems[0])
    return result


def read(shape: Shape, data: bytes, path: str) -> Any:
    """Read JSON into a shape. Raises MismatchError."""
    if isinstance(shape, PydanticShape) or (isinstance(shape, Record) and shape.is_checked):
        return _read_with_pydantic(shape.declared, data, path)
    if shape.is_native:
        return _decode(data, shape.declared, path)
    if isinstance(shape, Record):
        return _read_record(shape, data, path)
    if isinstance(shape, Items):
        items = _decode(data, shape.frame, path)
        return shape.make([read(shape.item, bytes(item), f"{path}[{i}]") for i, item in enumerate(items)])
    if isinstance(shape, Table):
        table = _decode(data, dict[str, msgspec.Raw], path)
        return {key: read(shape.value, bytes(item), f"{path}.{key}") for key, item in table.items()}
    if isinstance(shape, Choice):
        return _read_choice(shape, data, path)
    raise MismatchError(f"{path}: {name_of(shape.declared)} can't be read")


def fits(shape: Shape, data: bytes) -> bool:
    """Whether JSON can be read into a shape."""
    try:
        read(shape, data, "$")
    except MismatchError:
        return False
    return True


def _without_nulls(shape: Shape, value: Any) -> Any:
    """Remove null fields that may be left out, since strict modes can't leave out a field."""
    table, array = as_object(value), as_array(value)
    if isinstance(shape, Choice):
        variants = (_without_nulls(member, value) for member in shape.members)
        fitting = (
            item
            for member, item in zip(shape.members, variants, strict=True)
            if fits(member, msgspec.json.encode(item))
        )
        return next(fitting, value)
    if isinstance(shape, Items) and array is not None:
        return [_without_nulls(shape.item, item) for item in array]
    if isinstance(shape, Table) and table is not None:
        return {key: _without_nulls(shape.value, item) for key, item in table.items()}
    if not isinstance(shape, Record) or table is None:
        return value
    fields = {field.key: field for field in shape.fields}
    left_out = {
        key
        for key, item in table.items()
        if item is None and key in fields and fields[key].default is not None and not fits(fields[key].shape, b"null")
    }
    return {
        key: _without_nulls(fields[key].shape, item) if key in fields else item
        for key, item in table.items()
        if key not in left_out
    }


def _unknown_key_problems(shape: Shape, value: Any, path: str) -> list[str]:
    """List the unknown keys of a reply. One may be a misspelt field, whose value would be lost."""
    table, array = as_object(value), as_array(value)
    if isinstance(shape, Choice):
        fitting = [member for member in shape.members if fits(member, msgspec.json.encode(value))]
        return min([_unknown_key_problems(member, value, path) for member in fitting] or [[]], key=len)
    if isinstance(shape, Record) and table is not None and not shape.is_open:
        shapes = {field.key: field.shape for field in shape.fields}
        names = ", ".join(shapes)
        own_problems = [
            f"{path}: there is no field {key!r} (known: {names or 'none'})" for key in table if key not in shape.keys
        ]
        inner_problems = [
            _unknown_key_problems(shapes[key], item, f"{path}.{key}") for key, item in table.items() if key in shapes
        ]
    elif isinstance(shape, Items) and array is not None:
        own_problems, inner_problems = (
            [],
            [_unknown_key_problems(shape.item, item, f"{path}[{i}]") for i, item in enumerate(array)],
        )
    elif isinstance(shape, Table) and table is not None:
        own_problems, inner_problems = (
            [],
            [_unknown_key_problems(shape.value, item, f"{path}.{key}") for key, item in table.items()],
        )
    else:
        return []
    return [*own_problems, *(problem for problems in inner_problems for problem in problems)]


def _decode(data: bytes, declared: Any, path: str) -> Any:
    try:
        return msgspec.json.decode(data, type=declared)
    except msgspec.ValidationError as error:
        text, _, inner_path = str(error).partition(" - at `$")
        raise MismatchError(f"{path}{inner_path.rstrip('`')}: {text}") from None
    except Exception as error:  # noqa: BLE001 - the class's own code may raise anything
        raise MismatchError(f"{path}: {_error_text(error)}") from None


def _error_text(error: Exception) -> str:
    """Return the text of an error, with its class if that's needed, as for a KeyError."""
    text = one_line(str(error))
    return text if isinstance(error, (ValueError, TypeError, RecursionError)) else f"{type(error).__name__}: {text}"


def _read_with_pydantic(declared: Any, data: bytes, path: str) -> Any:
    reader = adapter(declared)
    try:
        return reader.validate_json(data)
    except Exception as error:  # noqa: BLE001 - the class's own code may raise anything
        problems: Callable[..., list[dict[str, Any]]] | None = getattr(error, "errors", None)
        if not isinstance(error, ValueError) or problems is None:
            raise MismatchError(f"{path}: {_error_text(error)}") from None
        lines = [
            f"{path}{_json_path(problem['loc'])}: {problem['msg']}"
            for problem in problems(include_url=False)[:MAX_PROBLEMS]
        ]
        raise MismatchError("; ".join(lines)) from None


def _json_path(steps: tuple[int | str, ...]) -> str:
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps)


def _read_record(shape: Record, data: bytes, path: str) -> Any:
    table = _decode(data, dict[str, msgspec.Raw], path)
    if shape.tag is not None and differs(table.get(shape.tag[0]), shape.tag[1]):
        raise MismatchError(f"{path}.{shape.tag[0]}: expected {shape.tag[1]!r}")
    values: dict[str, Any] = {}
    for field in shape.fields:
        if field.key in table:
            values[field.name] = read(field.shape, bytes(table[field.key]), f"{path}.{field.key}")
        elif field.default is None:
            raise MismatchError(f"{path}: Object missing required field `{field.key}`")
    try:
        return shape.cls(**values)
    except Exception as error:  # noqa: BLE001 - the class's own code may raise anything
        raise MismatchError(f"{path}: {_error_text(error)}") from None


def _encode(text: str) -> bytes:
    """Return JSON as bytes. Raises MismatchError if its texts aren't Unicode, as with half a surrogate pair."""
    try:
        raw = text.encode()
        msgspec.json.decode(raw)
    except (ValueError, RecursionError) as error:
        raise MismatchError(f"it isn't one JSON value and nothing else: {one_line(str(error))}") from None
    return raw


def differs(raw: msgspec.Raw | None, expected: Any) -> bool:
    """Whether a value is missing or differs from the expected one."""
    return raw is None or msgspec.json.decode(raw) != expected


def _read_choice(shape: Choice, data: bytes, path: str) -> Any:
    """Read the member that fits. If several do, it's the one with the fewest unknown keys, then the first."""
    problems: list[str] = []
    candidates: list[tuple[int, Any]] = []
    for member in shape.members:
        try:
            value = read(member, data, path)
            candidates.append((_count_unknown_keys(member, data), value))
        except MismatchError as error:
            problems.append(f"as {name_of(member.declared)}: {error}")
    if not candidates:
        raise MismatchError("; or ".join(problems[:MAX_PROBLEMS]))
    return min(candidates, key=lambda candidate: candidate[0])[1]


def _count_unknown_keys(shape: Shape, data: bytes) -> int:
    """Count the keys that a record doesn't know."""
    if not isinstance(shape, Record):
        return 0
    return sum(key not in shape.keys for key in msgspec.json.decode(data, type=dict[str, msgspec.Raw]))


def _table_without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) != len(pairs):
        raise ValueError("a key stands in an object twice")
    return table


def _refuse_constant(constant: str) -> Any:
    raise ValueError(f"{constant} isn't JSON")
