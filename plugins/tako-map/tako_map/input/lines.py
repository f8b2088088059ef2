"""Lines of a file as bytes, with any line ending. No more of a line is in memory than a row may have."""

from __future__ import annotations

from collections import deque
from os import SEEK_CUR
from typing import TYPE_CHECKING

from tako_map.input.rows import LARGEST

if TYPE_CHECKING:
    from io import BufferedReader, FileIO


class Lines:
    """Reads lines that end with LF or CR LF. If a file's first line ends with CR, CR ends the others too.

    ``number`` counts them from 1, ``offset`` is where the next one begins. ``size`` is the last one's size in bytes;
    ``read`` returns at most LARGEST + 1 of them.
    """

    def __init__(self, file: BufferedReader[FileIO]) -> None:
        self._file = file
        self._pieces: deque[bytes] = deque()
        self.number = self.size = 0
        self.offset = file.tell()
        head = file.peek(1)
        first = head.find(b"\r")
        self._has_carriage_returns = first >= 0 and head[first + 1 : first + 2] != b"\n" and b"\n" not in head[:first]

    def read(self) -> bytes | None:
        """Return the next line with its ending; None at the end of the file."""
        if not self._pieces:
            self._pieces.extend(self._next())
        if not self._pieces:
            return None
        line = self._pieces.popleft()
        self.number += 1
        self.size = len(line)
        if len(line) > LARGEST and not line.endswith(b"\n"):
            self.size += self._skip_line()
        self.offset += self.size
        return line

    def seek(self, offset: int, number: int) -> None:
        """Continue from a line that was read before."""
        self._file.seek(offset)
        self._pieces.clear()
        self.offset, self.number = offset, number

    def _next(self) -> list[bytes]:
        chunk = self._file.readline(LARGEST + 1)
        if not self._has_carriage_returns:
            return [chunk] if chunk else []
        pieces = chunk.splitlines(keepends=True)
        if len(chunk) > LARGEST and len(pieces) > 1 and not chunk.endswith(b"\n"):
            self._file.seek(-len(pieces.pop()), SEEK_CUR)  # that line may go on
        return pieces

    def _skip_line(self) -> int:
        """Skip the rest of a line; returns its bytes."""
        size = 0
        while piece := self._file.readline(1 << 20):
            size += len(piece)
            if piece.endswith(b"\n"):
                break
        return size


def not_utf8(error: UnicodeDecodeError) -> str:
    """Describe the byte that isn't UTF-8."""
    return f"not UTF-8 (byte {error.object[error.start]:#04x} at {error.start + 1}); save the file as UTF-8"
