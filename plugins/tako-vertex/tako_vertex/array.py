"""Streams that are JSON: what Google sends without ``alt=sse`` is one array, whose items come as they are made.

decoder = ArrayDecoder()
for piece in body:
    for item in decoder.feed(piece):
        print(json.loads(item))
"""

from __future__ import annotations

import re

from tako.errors import ResponseError
from tako.kit.body import excerpt
from tako.kit.lines import too_large

_GAP = re.compile(rb"[ \t\r\n,]*")
_OUTSIDE = re.compile(rb'["{}]')
_INSIDE = re.compile(rb'["\\]')
_OPEN, _CLOSE, _BEGIN, _END, _QUOTE, _BACKSLASH = b'{}[]"\\'


class ArrayDecoder:
    """Cuts an array of objects, or objects in a row, into the objects. It looks at each byte once and holds one item.

    ``max_item_bytes`` caps an item; beyond it ``feed`` raises a ResponseError, as it does on what is no such JSON.
    """

    def __init__(self, max_item_bytes: int = 16 * 1024 * 1024) -> None:
        self.ended = False
        """Whether the array was closed."""
        self._cap = max_item_bytes
        self._item = bytearray()  # the unfinished item
        self._array = False
        self._depth = 0
        self._string = False
        self._escaped = False

    @property
    def pending(self) -> bool:
        """Whether an item has begun and not ended."""
        return bool(self._item)

    def feed(self, data: bytes) -> list[bytes]:
        """Return the items that these bytes complete."""
        items: list[bytes] = []
        at = 0
        while at < len(data) and not self.ended:
            if self._depth == 0:
                at = self._between(data, at)
            if self._depth:
                end = self._within(data, at)
                self._hold(data[at:end])
                at = end
                if self._depth == 0:
                    items.append(bytes(self._item))
                    self._item.clear()
        return items

    def _between(self, data: bytes, at: int) -> int:
        """Go on to where an item begins; its brace is counted and kept here."""
        found = _GAP.match(data, at)
        at = found.end() if found is not None else at
        if at == len(data):
            return at
        mark = data[at]
        if mark == _OPEN:
            self._depth = 1
            self._item += b"{"
        elif mark == _BEGIN and not self._array:
            self._array = True
        elif mark == _END and self._array:
            self.ended = True
        else:
            raise ResponseError(f"the stream is neither events nor an array of objects: {excerpt(data[at:])}")
        return at + 1

    def _within(self, data: bytes, at: int) -> int:
        """Return where the item ends, or the end of the bytes."""
        if self._escaped and at < len(data):
            self._escaped = False
            at += 1
        while self._depth and (found := (_INSIDE if self._string else _OUTSIDE).search(data, at)) is not None:
            at = found.end()
            mark = data[at - 1]
            if mark == _QUOTE:
                self._string = not self._string
            elif mark == _BACKSLASH:
                self._escaped = at == len(data)
                at += 1
            else:
                self._depth += 1 if mark == _OPEN else -1
        return at if self._depth == 0 else len(data)

    def _hold(self, piece: bytes) -> None:
        if len(self._item) + len(piece) > self._cap:
            raise too_large("an item", self._cap)
        self._item += piece
