"""Tool calls, wherever an endpoint puts them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from tako.errors import ConfigurationError, kind_of
from tako.json_values import as_array, text_of
from tako_http_generic.pointers import Path, Paths
from tako_http_generic.settings import ToolCalls

if TYPE_CHECKING:
    from collections.abc import Iterator


class Found(Struct):
    """A call, or a fragment of one. ``whole``: the arguments came as a value, so that nothing of them is missing."""

    index: int | None
    id: str
    name: str
    arguments: str
    whole: bool


class CallReader:
    """Finds calls by pointers."""

    def __init__(self, given: ToolCalls | str, where: str) -> None:
        if isinstance(given, str):
            given = ToolCalls(pointer=given)
        elif not isinstance(given, ToolCalls):
            raise ConfigurationError(f"{where} is {kind_of(given)}, not ToolCalls or a JSON pointer")
        self.place = Paths(given.pointer, f"{where}.pointer")
        self._id = Paths(given.id_pointer, f"{where}.id_pointer")
        self._name = Paths(given.name_pointer, f"{where}.name_pointer")
        self._arguments = Paths(given.arguments_pointer, f"{where}.arguments_pointer")
        self._index = Paths(given.index_pointer, f"{where}.index_pointer")
        self._where = [(Path(text, f"{where}.where"), wanted) for text, wanted in given.where.items()]

    def read(self, place: Any) -> Iterator[Found]:
        """Read what stands where ``pointer`` leads: an array of calls, or one."""
        items = as_array(place)
        for item in [place] if items is None else items:
            if not isinstance(item, dict) or any(path.get(item) not in (None, wanted) for path, wanted in self._where):
                continue
            arguments = self._arguments.get(item)
            whole = arguments is not None and not isinstance(arguments, str)
            text = msgspec.json.encode(arguments).decode() if whole else text_of(arguments)
            index = self._index.get(item)
            found = Found(
                index if isinstance(index, int) else None,
                _id(self._id.get(item)),
                text_of(self._name.get(item)),
                text,
                whole,
            )
            if found.id or found.name or arguments is not None:
                yield found


def _id(value: Any) -> str:
    """Some servers number their calls."""
    return str(value) if isinstance(value, (str, int)) else ""
