"""Server-Sent Events: bytes in, events out.

The rules are those of the WHATWG HTML standard, "Parsing an event stream"
(https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream), with differences: `flush`
hands over an event that the end of the body cut short, so that the caller can tell a last event without its blank line
from half of one. And three that servers need: ``error: …`` (llama.cpp, LM Studio) is an event of that type, an event of
the type "error" needs no data, and a JSON object without ``data:`` before it is data. Lines end in CR, LF or CRLF and
nowhere else: U+2028, U+2029 and U+0085 are text.

    decoder = SseDecoder()
    for piece in body:
        for event in decoder.feed(piece):
            print(event.event, event.data)
"""

from __future__ import annotations

import msgspec

from tako.kit.lines import strip_bom, too_large

_NAMES = 64  # event types a decoder remembers, and the longest line, in bytes, that it remembers one by


class Event(msgspec.Struct, frozen=True, gc=False):
    """One event: its type (``message`` where the stream gives none) and its data lines, joined by LF, still bytes."""

    event: str
    data: bytes


class SseDecoder:
    """An incremental decoder that holds the bytes of one unfinished event at most, and no comments.

    ``max_event_bytes`` caps the data of an event together with the line that is being read, whatever that line is;
    beyond it `feed` raises a `ResponseError`, after which the decoder is of no more use.
    """

    def __init__(self, max_event_bytes: int = 16 * 1024 * 1024) -> None:
        self.id = ""
        """The last event id, as of the last blank line; an empty string before there is one."""
        self.is_between_events = False
        """Whether nothing is held, not even a comment, so that the next byte begins an event."""
        self._cap = max_event_bytes
        self._names: dict[bytes, str] = {}  # event types by their lines
        self._start: bytes | None = b""  # what may become a byte order mark; None once that is decided
        self._midline = False  # the next byte does not simply begin a line, for one of the next two reasons
        self._cr = False  # the last byte was CR, and LF would belong to it
        self._line = bytearray()  # the unfinished line; of a comment only the colon
        self._line_size = 0
        self._data: bytes | bytearray | None = None
        self._event = ""
        self._other = False  # the event has lines that neither ``_data`` nor ``_event`` shows
        self._bare = False  # its data are lines without a field's name
        self._next_id = ""

    @property
    def pending(self) -> bool:
        """Whether an event has begun and not ended; comments and blank lines begin none."""
        field = self._line and not self._line.startswith(b":")
        return bool(self._start or field or self._data is not None or self._event or self._other)

    def feed(self, data: bytes) -> list[Event]:
        """Return the events that these bytes complete, in order.

        Raises `ResponseError` for an event over the cap.
        """
        if self._start is not None:
            self._start, data = strip_bom(self._start + data)
        # `find`, because the operator `in` costs twice as much on bytes
        lines = self._split(data) if self._midline else data.split(b"\n") if data.find(b"\r") < 0 else self._lines(data)
        if len(data) > self._cap < max(map(len, lines)):
            raise too_large("an event", self._cap)
        rest = lines.pop()
        events: list[Event] = []
        names, event, value = self._names, self._event, self._data
        for line in lines:
            if not line:
                if value is not None or event == "error":
                    events.append(Event(event or "message", value if type(value) is bytes else bytes(value or b"")))
                    value = None
                event = ""
                if self._other:
                    self._other = self._bare = False
                    self.id = self._next_id
            elif value is None and line.startswith(b"data: "):
                value = line[6:]
            elif value is None and (name := names.get(line)):
                event = name
            else:
                event, value = self._read(line, event, value)
        self._event, self._data = event, value
        if rest:
            self._hold(rest)
        self.is_between_events = not (self._midline or value is not None or event or self._other or self._start)
        return events

    def flush(self) -> list[Event]:
        """Return what the end of the body leaves of an event, if it has data: whether that is whole, its data show.

        Raises `ResponseError` for an event over the cap.
        """
        start, self._start = self._start, None
        return self.feed((start or b"") + b"\n\n")

    def _split(self, data: bytes) -> list[bytes]:
        """Return the lines that these bytes complete together with what is held, and the beginning of one more."""
        lines = self._lines(data) if data and (self._cr or data.find(b"\r") >= 0) else data.split(b"\n")
        if self._line and len(lines) > 1:
            self._hold(lines[0])
            lines[0] = bytes(self._line)
            self._line.clear()
            self._line_size = 0
        self._midline = self._cr or bool(self._line)
        return lines

    def _lines(self, data: bytes) -> list[bytes]:
        """Split at every kind of line end; a first LF is passed over where the CR before it was in earlier bytes."""
        if self._cr:
            data = data.removeprefix(b"\n")
        self._cr = self._midline = data.endswith(b"\r")
        lines = data.replace(b"\r", b"").split(b"\n")
        if b"\r\n".join(lines) == data:  # the cheapest way to see that every line ends in CRLF
            return lines
        return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")

    def _hold(self, piece: bytes) -> None:
        """Add a piece to the unfinished line."""
        self._line_size += len(piece)
        self._check(self._line_size, self._data)
        if not self._line.startswith(b":"):
            self._line += piece[:1] if not self._line and piece.startswith(b":") else piece
        self._midline = True

    def _read(self, line: bytes, event: str, value: bytes | bytearray | None) -> tuple[str, bytes | bytearray | None]:
        """Read any line but a blank one; takes and returns the type and the data of its event as they are so far."""
        self._check(len(line), value)
        field, _, text = line.partition(b":")
        if not field:
            return event, value
        self._other = True
        text = text.removeprefix(b" ")
        if self._bare or (value is None and field.startswith(b"{")):
            field, text, self._bare = b"data", line, True
        elif field == b"error":
            return "error", text
        if field == b"data":
            if value is None:
                return event, text
            value = value if isinstance(value, bytearray) else bytearray(value)
            value += b"\n"
            value += text
        elif field == b"event":
            event = text.decode("utf-8", "replace")
            if len(self._names) < _NAMES >= len(line):
                self._names[line] = event
        elif field == b"id" and b"\0" not in text:
            self._next_id = text.decode("utf-8", "replace")
        return event, value

    def _check(self, line_size: int, value: bytes | bytearray | None) -> None:
        if line_size + len(value or b"") > self._cap:
            raise too_large("an event", self._cap)
