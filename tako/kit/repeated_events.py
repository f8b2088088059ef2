"""Server-Sent Events that differ from the one before in their text alone, so that they're neither split nor parsed.

Most servers send nothing else. Where many come at once, each is two comparisons and the decoding of its text.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec

from tako.kit.repeated_chunks import NEVER, around_text
from tako.kit.sse import SseDecoder

if TYPE_CHECKING:
    from tako.kit.sse import Event

MOST_EXAMPLES = 4
"""How many events are compared to find two that are alike. There are none where each event has padding."""
MOST_OTHERS = 8
"""How many other events in a row are split off one by one, as those that a reply begins with."""
_MARK = 5
"""How much of what follows a text is looked for. To look for more, `bytes.find` would first prepare a table."""
_BLANK_LINE = re.compile(rb"\n\r?\n")
_decode_text = msgspec.json.Decoder(str).decode


class RepeatedEvents:
    """Reads Server-Sent Events: the texts of those that are like the expected one, and any others as they are.

    ::

        repeated, at = RepeatedEvents(max_event_bytes), 0
        while at < len(data):
            texts, events, at = repeated.read(data, at)
            yield from map(Delta, texts)    # of events in which nothing else is new
            for event in events:
                text = …                    # parse the event
                repeated.expect(event.data, "text", text)
    """

    def __init__(self, max_event_bytes: int) -> None:
        self._cap = max_event_bytes
        self._sse = SseDecoder(max_event_bytes)
        self._event = b""  # the latest one that was split off, as it came
        self._others = 0  # events that were split off since the last text or example
        self._example: tuple[bytes, bytes] | None = None  # what stands around the text of the latest one
        self.forget()

    def forget(self) -> None:
        """Expect nothing, since something else began."""
        self._examples, self._example = 0, None
        self._start = self._end = NEVER

    def expect(self, chunk: bytes, field: str, text: str) -> None:
        """Expect events like this one, which has ``text`` in ``field``, and nothing else that hasn't been read.

        You may say so of each event. Two in a row that are alike are believed, if they're among the first ones.
        """
        if self._start is not NEVER or self._examples >= MOST_EXAMPLES:
            return
        self._examples += 1
        self._others = 0
        example, self._example = self._example, around_text(chunk, field, text)
        if example is None or example != self._example:
            return
        if self._event.count(chunk) == 1 and b"\n" not in chunk:
            before, _, after = self._event.partition(chunk)
            self._start, self._end = before + example[0], example[1] + after
            self._event, self._example = b"", None  # a thousand streams needn't keep them

    def read(self, data: bytes, at: int) -> tuple[list[str], list[Event], int]:
        """Return the texts, or else the events, that come next in a piece, and where to go on.

        A text is what stands between two quotation marks. If that isn't one JSON text, it's another event.
        """
        start, end, next_at = self._start, self._end, at
        if not data.startswith(start, at) or not self._sse.is_between_events or len(data) > self._cap:
            return self._read_other(data, at)
        texts: list[str] = []
        mark = end[:_MARK]
        while data.startswith(start, next_at):
            begin = next_at + len(start)
            stop = data.find(mark, begin)
            if not data.startswith(end, stop):
                break
            try:
                text = _decode_text(data[begin - 1 : stop + 1])
            except (msgspec.DecodeError, UnicodeError):
                break
            if text:
                texts.append(text)
            next_at = stop + len(end)
        if next_at == at:
            return self._read_other(data, at)
        self._others = MOST_OTHERS  # nearly always, the rest of the piece is the reply's end
        return texts, [], next_at

    def flush(self) -> list[Event]:
        """Return what the end of the body leaves of an event; see ``SseDecoder.flush``."""
        self._event = b""
        return self._sse.flush()

    def _read_other(self, data: bytes, at: int) -> tuple[list[str], list[Event], int]:
        """Read another event, and no more: expected ones may follow. After many others or texts, read the whole rest.

        In a piece that's larger than an event may be, one of the events may be too large.
        """
        sse, self._event = self._sse, b""
        if not at and self._start is not NEVER:  # maybe the rest of an event that the piece before began
            self._others = 0
        if self._others >= MOST_OTHERS or len(data) > self._cap:
            return [], sse.feed(data[at:]), len(data)
        self._others += 1
        blank_line = _BLANK_LINE.search(data, at)
        end = blank_line.end() if blank_line is not None else len(data)
        event, is_whole = data[at:end], sse.is_between_events
        events = sse.feed(event)
        if is_whole and len(events) == 1 and sse.is_between_events:
            self._event = event
        return [], events, end
