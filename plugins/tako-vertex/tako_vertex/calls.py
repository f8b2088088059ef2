"""Function calls of a stream: whole ones, and ones whose arguments come in pieces at JSON paths."""

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
    from tako_vertex.shapes import Call

DEEPEST = 100
"""Steps of a path; more than that is no argument of a function."""
_STEP = re.compile(r"""\.?([^.\[\]'"]+)|\[(\d+)\]|\['((?:[^'\\]|\\.)*)'\]|\["((?:[^"\\]|\\.)*)"\]""")


class CallStream:
    """Gives each call of a stream one index and one unique id. Arguments go out when they are whole."""

    def __init__(self) -> None:
        self._count = 0
        self._ids = CallIds(mint_id)
        self._open: _Open | None = None

    def __bool__(self) -> bool:
        return self._count > 0

    def piece(self, call: Call, state: State | None) -> Iterator[ToolCallDelta]:
        """Yield what one functionCall part says. A part without a name goes on with the call that is open."""
        opened = self._open
        if opened is not None and (not call.name or (read_id(call.id) and read_id(call.id) == opened.wire_id)):
            opened.add(call)
            if state is not None and state.data:
                yield ToolCallDelta(opened.index, state=state)
        else:
            yield from self.close(whole=True)
            if not (call.name or call.args or call.partial_args):
                return
            opened = self._open = _Open(self._count, call)
            self._count += 1
            id = self._ids.unique(opened.wire_id)
            if not call.will_continue:
                self._open = None
                yield ToolCallDelta(opened.index, id, call.name or "", opened.text(), state)
                return
            yield ToolCallDelta(opened.index, id, call.name or "", "", state)
        if not call.will_continue:
            yield from self.close(whole=True)

    def close(self, *, whole: bool) -> Iterator[ToolCallDelta]:
        """Yield the arguments of the open call, if there is one; those that were cut off are left without their end."""
        opened, self._open = self._open, None
        if opened is not None:
            text = opened.text()
            yield ToolCallDelta(opened.index, arguments_fragment=text if whole else text[:-1])


class _Open:
    """A call as far as it has come: values by their paths, strings in pieces."""

    def __init__(self, index: int, call: Call) -> None:
        self.index = index
        self.wire_id = read_id(call.id)
        self._whole: Any = None
        self._values: dict[str, Any] = {}
        self._strings: dict[str, list[str]] = {}
        self.add(call)

    def add(self, call: Call) -> None:
        if call.args is not None:
            self._whole = decode_arguments(call.args)
        for arg in call.partial_args or ():
            path = arg.json_path
            if arg.string_value is not None:
                self._values[path] = ""  # keeps the place; the text is put together once
                self._strings.setdefault(path, []).append(arg.string_value)
            elif arg.bool_value is not None:
                self._values[path] = arg.bool_value
            elif arg.number_value is not None:
                self._values[path] = arg.number_value
            elif arg.null_value is not msgspec.UNSET:
                self._values[path] = None

    def text(self) -> str:
        """Return the arguments as JSON."""
        args: Any = {} if self._whole is None else self._whole
        for path, value in self._values.items():
            steps = _steps(path)
            if steps:
                _place(args, steps, "".join(self._strings[path]) if path in self._strings else value)
        return msgspec.json.encode(args).decode()


def _steps(path: str) -> list[str | int]:
    """Take a path like ``$.a.b[0]['c d']`` apart."""
    steps: list[str | int] = []
    for found in _STEP.finditer(path.removeprefix("$")):
        plain, place, *quoted = found.groups()
        if place is not None:
            steps.append(int(place[:9]))
        else:
            steps.append(plain if plain is not None else re.sub(r"\\(.)", r"\1", next(filter(None, quoted), "")))
    if len(steps) > DEEPEST:
        raise ResponseError(f"a function call has arguments of more than {DEEPEST} levels")
    return steps


def _place(root: Any, steps: list[str | int], value: Any) -> None:
    """Put a value where its path points, making objects and arrays on the way; arrays grow by one at a time."""
    here = root
    for n, step in enumerate(steps):
        last = n == len(steps) - 1
        fresh: Any = value if last else [] if isinstance(steps[n + 1], int) else {}
        items, fields = as_array(here), as_object(here)
        if items is not None and isinstance(step, int):
            if step >= len(items):
                items.append(fresh)
            elif last or not isinstance(items[step], (dict, list)):
                items[step] = fresh
            here = items[min(step, len(items) - 1)]
        elif fields is not None:
            if last or not isinstance(fields.get(str(step)), (dict, list)):
                fields[str(step)] = fresh
            here = fields[str(step)]
        else:
            return
