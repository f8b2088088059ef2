"""A dict for data that goes with a request and is never shown or stored, such as headers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping
from copy import deepcopy
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    _BaseDict = dict[str, Any]
else:

    class _BaseDict(MutableMapping, dict):
        """A dict whose methods all go through the five that a mapping has to define."""


class HiddenDict(_BaseDict):
    """A dict that survives copies, but is hidden in repr, empty in JSON and pickles, and ignored by ``==`` of requests.

    The dict that it inherits from stays empty. That one is what msgspec and other encoders written in C see.
    """

    __slots__ = ("_items",)
    __hash__ = None

    def __init__(self, items: Mapping[str, Any] | None = None) -> None:
        self._items: dict[str, Any] = dict(items or {})

    def __getitem__(self, key: str) -> Any:
        return self._items[key]

    def __setitem__(self, key: str, value: Any) -> None:
        self._items[key] = value

    def __delitem__(self, key: str) -> None:
        del self._items[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, HiddenDict) or self._items == other

    def __or__(self, other: Mapping[str, Any]) -> HiddenDict:  # type: ignore[override]  # it stays private
        return HiddenDict({**self._items, **other})

    def __repr__(self) -> str:
        return f"<{', '.join(map(str, self._items))}>" if self._items else "{}"

    def __reduce__(self) -> tuple[type[HiddenDict], tuple[()]]:
        return HiddenDict, ()

    def __copy__(self) -> HiddenDict:
        return HiddenDict(self._items)

    def __deepcopy__(self, memo: dict[int, Any]) -> HiddenDict:
        return HiddenDict(deepcopy(self._items, memo))
