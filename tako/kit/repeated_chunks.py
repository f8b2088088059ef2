"""Chunks of a stream that differ from the one before in their text alone, so that they needn't be parsed."""

from __future__ import annotations

import re

import msgspec

MOST_MISSES = 3
"""How often in a row a chunk may be expected in vain, as where each has counts. Then a stream is read without it."""
NEVER = b"\0"
"""No chunk begins with this."""
_decode_text = msgspec.json.Decoder(str).decode


class RepeatedChunk:
    """What stands before and after the text of a chunk.

    ::

        repeated = RepeatedChunk()
        if text := repeated.text_of(data):    # nothing else is new
            yield Delta(text)
        else:
            text = …                          # parse the chunk
            repeated.expect(data, "text", text)
    """

    def __init__(self) -> None:
        self._start, self._end = NEVER, b""
        self._text_at = slice(0)
        self._misses = 0

    def expect(self, chunk: bytes, field: str, text: str) -> None:
        """Expect chunks like this one, which has ``text`` in ``field``, and nothing else that hasn't been read."""
        if self._start != NEVER:
            self._misses += 1
        self.forget()
        if self._misses <= MOST_MISSES and (around := around_text(chunk, field, text)) is not None:
            self._start, self._end = around
            self._text_at = slice(len(self._start) - 1, 1 - len(self._end))

    def forget(self) -> None:
        """Expect nothing, since something else began."""
        self._start, self._text_at = NEVER, slice(0)

    def text_of(self, data: bytes) -> str:
        """Return the text of a chunk that differs from the expected one in nothing else; "" if it's another one."""
        if data.startswith(self._start) and data.endswith(self._end):
            if self._misses:
                self._misses = 0
            try:
                return _decode_text(data[self._text_at])
            except (msgspec.DecodeError, UnicodeError):
                return ""
        return ""


def around_text(chunk: bytes, field: str, text: str) -> tuple[bytes, bytes] | None:
    """Return what stands before and after the ``text`` in a chunk's ``field``, with its quotation marks.

    It's None unless the place of the text is sure: its field stands there once, and the text has no escape.
    """
    start = re.search(rb'"%b": ?"' % field.encode(), chunk)
    written = b'%b"' % text.encode("utf-8", "replace")
    if start is None or chunk.count(start[0]) != 1 or not chunk.startswith(written, start.end()):
        return None
    return chunk[: start.end()], chunk[start.end() + len(written) - 1 :]
