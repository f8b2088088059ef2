"""Streams that are JSON: without ``alt=sse`` Google sends one array, item by item.

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
    """Splits an array of objects, or objects in a row. It reads each byte once, and stores one item at a time.

    ``feed`` raises ResponseError for an item of more than ``max_item_bytes``, and for any other JSON.
    """

    def __init__(self, max_item_bytes: int = 16 * 1024 * 1024) -> None:
        self.ended = False
        """Whether the array was closed."""
        self._max_bytes = max_item_bytes
        self._item = bytearray()  # the unfinished item
        self._in_array = False
        self._depth = 0
        self._in_string = False
        self._after_backslash = False

    @property
    def pending(self) -> bool:
        """Whether an item has begun but not ended."""
        return bool(self._item)

    def feed(self, data: bytes) -> list[bytes]:
        """Return the items that these bytes complete."""
        items: list[bytes] = []
        position = 0
        while position < len(data) and not self.ended:
            if self._depth == 0:
                position = self._skip_gap(data, position)
            if self._depth:
                end = self._find_item_end(data, position)
                self._append(data[position:end])
                position = end
                if self._depth == 0:
                    items.append(bytes(self._item))
                    self._item.clear()
        return items

    def _skip_gap(self, data: bytes, position: int) -> int:
        """Return the position after the brace that begins the next item, and start that item."""
        gap = _GAP.match(data, position)
        position = gap.end() if gap is not None else position
        if position == len(data):
            return position
        byte = data[position]
        if byte == _OPEN:
            self._depth = 1
            self._item += b"{"
        elif byte == _BEGIN and not self._in_array:
            self._in_array = True
        elif byte == _END and self._in_array:
            self.ended = True
        else:
            raise ResponseError(f"the stream is neither events nor an array of objects: {excerpt(data[position:])}")
        return position + 1

    def _find_item_end(self, data: bytes, position: int) -> int:
        """Return the position at which the item ends, or the end of the bytes."""
        if self._after_backslash and position < len(data):
            self._after_backslash = False
            position += 1
        while self._depth and (match := (_INSIDE if self._in_string else _OUTSIDE).search(data, position)) is not None:
            position = match.end()
            byte = data[position - 1]
            if byte == _QUOTE:
                self._in_string = not self._in_string
            elif byte == _BACKSLASH:
                self._after_backslash = position == len(data)
                position += 1
            else:
                self._depth += 1 if byte == _OPEN else -1
        return position if self._depth == 0 else len(data)

    def _append(self, data: bytes) -> None:
        if len(self._item) + len(data) > self._max_bytes:
            raise too_large("an item", self._max_bytes)
        self._item += data
