"""Lines of a file as bytes, whatever ends them, and never more of one in memory than a row may have."""

from __future__ import annotations

from collections import deque
from os import SEEK_CUR
from typing import TYPE_CHECKING

from tako_map.prompt import LARGEST

if TYPE_CHECKING:
    from io import BufferedReader, FileIO


class Lines:
    """Reads lines that end with LF or CR LF; in a file whose first line ends with CR, that ends lines too.

    ``number`` counts them from 1, ``place`` is where the next one begins. ``size`` is the last one's size in bytes, of
    which at most LARGEST + 1 are returned.
    """

    def __init__(self, file: BufferedReader[FileIO]) -> None:
        self._file = file
        self._pieces: deque[bytes] = deque()
        self.number = self.size = 0
        self.place = file.tell()
        head = file.peek(1)
        first = head.find(b"\r")
        self._carriage = first >= 0 and head[first + 1 : first + 2] != b"\n" and b"\n" not in head[:first]

    def read(self) -> bytes | None:
        """Return the next line with what ends it; None at the end of the file."""
        if not self._pieces:
            self._pieces.extend(self._next())
        if not self._pieces:
            return None
        line = self._pieces.popleft()
        self.number += 1
        self.size = len(line)
        if len(line) > LARGEST and not line.endswith(b"\n"):
            self.size += self._pass_over()
        self.place += self.size
        return line

    def back(self, place: int, number: int) -> None:
        """Read again from a line on."""
        self._file.seek(place)
        self._pieces.clear()
        self.place, self.number = place, number

    def _next(self) -> list[bytes]:
        chunk = self._file.readline(LARGEST + 1)
        if not self._carriage:
            return [chunk] if chunk else []
        pieces = chunk.splitlines(keepends=True)
        if len(chunk) > LARGEST and len(pieces) > 1 and not chunk.endswith(b"\n"):
            self._file.seek(-len(pieces.pop()), SEEK_CUR)  # that line may go on
        return pieces

    def _pass_over(self) -> int:
        """Pass over the rest of a line; returns its bytes."""
        size = 0
        while piece := self._file.readline(1 << 20):
            size += len(piece)
            if piece.endswith(b"\n"):
                break
        return size
