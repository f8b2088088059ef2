"""Newline-delimited JSON: bytes in, lines out (https://github.com/ndjson/ndjson-spec).

Lines end in LF, and ASCII white space around a line, which JSON ignores, goes with it: so does the CR of a CRLF. A CR
within a line, U+2028, U+2029 and U+0085 are text.

    decoder = NdJsonDecoder()
    for piece in body:
        for line in decoder.feed(piece):
            print(json.loads(line))
"""

from __future__ import annotations

from tako.kit.lines import strip_bom, too_large


class NdJsonDecoder:
    """An incremental decoder that holds the bytes of one unfinished line at most.

    ``max_line_bytes`` caps a line, its LF not counted; beyond it `feed` raises a `ResponseError`, after which the
    decoder is of no more use.
    """

    def __init__(self, max_line_bytes: int = 16 * 1024 * 1024) -> None:
        self._cap = max_line_bytes
        self._start: bytes | None = b""  # what may become a byte order mark; None once that is decided
        self._line = bytearray()  # the unfinished line

    @property
    def pending(self) -> bool:
        """Whether a line that is not blank has begun and not ended."""
        return bool(self._start or (self._line and not self._line.isspace()))

    def feed(self, data: bytes) -> list[bytes]:
        """Return the lines that these bytes complete, in order, without blank lines.

        A line of ASCII white space alone is blank. Raises `ResponseError` for a line over the cap.
        """
        if self._start is not None:
            self._start, data = strip_bom(self._start + data)
        lines = self._split(data) if self._line else data.split(b"\n")
        if len(data) > self._cap < max(map(len, lines)):
            raise too_large("a line", self._cap)
        rest = lines.pop()
        if rest:
            self._hold(rest)
        return list(filter(None, map(bytes.strip, lines)))

    def flush(self) -> list[bytes]:
        """Return the last line, if the body ended without its line end and it is not blank.

        Raises `ResponseError` for a line over the cap.
        """
        start, self._start = self._start, None
        return self.feed((start or b"") + b"\n")

    def _split(self, data: bytes) -> list[bytes]:
        """Return the lines that these bytes complete together with what is held, and the beginning of one more."""
        lines = data.split(b"\n")
        if len(lines) > 1:
            self._hold(lines[0])
            lines[0] = bytes(self._line)
            self._line.clear()
        return lines

    def _hold(self, piece: bytes) -> None:
        """Add a piece to the unfinished line."""
        if len(self._line) + len(piece) > self._cap:
            raise too_large("a line", self._cap)
        self._line += piece
