"""Function calls of a stream: complete ones, and ones whose arguments come in fragments with JSON paths."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import msgspec

from tako.errors import ResponseError
from tako.json_values import as_array, as_object
from tako.kit.arguments import decode_arguments
from tako.kit.ids import CallIds, read_id
from tako.types import ToolCallDelta
from tako_vertex.parts import mint_id

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tako.state import State
    from tako_vertex.wire import FunctionCall

MAX_DEPTH = 100
"""The most steps that a path may have."""
_STEP = re.compile(r"""\.?([^.\[\]'"]+)|\[(\d+)\]|\['((?:[^'\\]|\\.)*)'\]|\["((?:[^"\\]|\\.)*)"\]""")


class ToolCallDecoder:
    """Gives each call of a stream an index and a unique id, and yields its arguments when they're complete."""

    def __init__(self) -> None:
        self._count = 0
        self._ids = CallIds(mint_id)
        self._open_call: _OpenCall | None = None

    def __bool__(self) -> bool:
        return self._count > 0

    def feed(self, call: FunctionCall, state: State | None) -> Iterator[ToolCallDelta]:
        """Yield the deltas of one functionCall part. A part without a name continues the open call."""
        open_call = self._open_call
        if open_call is not None and (not call.name or (read_id(call.id) and read_id(call.id) == open_call.wire_id)):
            open_call.add(call)
            if state is not None and state.data:
                yield ToolCallDelta(open_call.index, state=state)
        else:
            yield from self.close(complete=True)
            if not (call.name or call.args or call.partial_args):
                return
            open_call = self._open_call = _OpenCall(self._count, call)
            self._count += 1
            id = self._ids.unique(open_call.wire_id)
            if not call.will_continue:
                self._open_call = None
                yield ToolCallDelta(open_call.index, id, call.name or "", open_call.text(), state)
                return
            yield ToolCallDelta(open_call.index, id, call.name or "", "", state)
        if not call.will_continue:
            yield from self.close(complete=True)

    def close(self, *, complete: bool) -> Iterator[ToolCallDelta]:
        """Yield the arguments of the open call, if there is one. Incomplete arguments are left without their end."""
        open_call, self._open_call = self._open_call, None
        if open_call is not None:
            text = open_call.text()
            yield ToolCallDelta(open_call.index, arguments_fragment=text if complete else text[:-1])


class _OpenCall:
    """A call that isn't complete: its values by their paths, strings in fragments."""

    def __init__(self, index: int, call: FunctionCall) -> None:
        self.index = index
        self.wire_id = read_id(call.id)
        self._args: Any = None
        self._values: dict[str, Any] = {}
        self._strings: dict[str, list[str]] = {}
        self.add(call)

    def add(self, call: FunctionCall) -> None:
        if call.args is not None:
            self._args = decode_arguments(call.args)
        for arg in call.partial_args or ():
            path = arg.json_path
            if arg.string_value is not None:
                self._values[path] = ""  # keeps the order; the fragments are joined once
                self._strings.setdefault(path, []).append(arg.string_value)
            elif arg.bool_value is not None:
                self._values[path] = arg.bool_value
            elif arg.number_value is not None:
                self._values[path] = arg.number_value
            elif arg.null_value is not msgspec.UNSET:
                self._values[path] = None

    def text(self) -> str:
        """Return the arguments as JSON."""
        args: Any = {} if self._args is None else self._args
        for path, value in self._values.items():
            steps = _parse_path(path)
            if steps:
                _set_value(args, steps, "".join(self._strings[path]) if path in self._strings else value)
        return msgspec.json.encode(args).decode()


def _parse_path(path: str) -> list[str | int]:
    """Split a path like ``$.a.b[0]['c d']`` into its steps."""
    steps: list[str | int] = []
    for match in _STEP.finditer(path.removeprefix("$")):
        name, index, *quoted = match.groups()
        if index is not None:
            steps.append(int(index[:9]))
        else:
            steps.append(name if name is not None else re.sub(r"\\(.)", r"\1", next(filter(None, quoted), "")))
    if len(steps) > MAX_DEPTH:
        raise ResponseError(f"a function call has arguments of more than {MAX_DEPTH} levels")
    return steps


def _set_value(root: Any, steps: list[str | int], value: Any) -> None:
    """Set the value at a path, creating objects and arrays where needed. An array grows by one item at a time."""
    node = root
    for n, step in enumerate(steps):
        is_last = n == len(steps) - 1
        new_value: Any = value if is_last else [] if isinstance(steps[n + 1], int) else {}
        array, fields = as_array(node), as_object(node)
        if array is not None and isinstance(step, int):
            if step >= len(array):
                array.append(new_value)
            elif is_last or not isinstance(array[step], (dict, list)):
                array[step] = new_value
            node = array[min(step, len(array) - 1)]
        elif fields is not None:
            if is_last or not isinstance(fields.get(str(step)), (dict, list)):
                fields[str(step)] = new_value
            node = fields[str(step)]
        else:
            return
