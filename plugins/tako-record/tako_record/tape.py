r"""The tape: a file of JSON lines. The first line has the format's version; each other line is a request and its reply.

::

    {"tako_record":1}
    {"request":{"method":"POST","url":"https://api.example.com/v1/chat","headers":{...},"json":{...}},
     "reply":{"type":"reply","status":200,"headers":{...},"pieces":["data: {...}\n\n", ...],"ending":"end"}}

Because of the lines, a tape is readable in a diff, and can grow without being written again.
"""

from __future__ import annotations

import threading
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from tako.errors import ConfigurationError
from tako.json_values import as_array, as_object
from tako_record.entries import Entry, TapeFailure, TapeReply, TapeRequest

if TYPE_CHECKING:
    import os

    from tako_record import Mode

HEADER = b'{"tako_record":1}\n'
MODES = ("auto", "record", "replay")


class Tape:
    """The recorded exchanges; each reply is played once, in order. Any thread may use it.

    Raises ConfigurationError if there is nothing to replay, or if the file isn't a tape. Each exchange is written as
    soon as its reply has ended.
    """

    def __init__(self, path: str | os.PathLike[str], mode: Mode) -> None:
        if mode not in MODES:
            raise ConfigurationError(f"tako-record: mode must be one of {', '.join(MODES)}, not {mode!r}")
        self.path = Path(path)
        self.mode = mode
        self._lock = threading.Lock()
        self._is_new = mode == "record" or not self.path.exists()
        if self._is_new and mode == "replay":
            raise ConfigurationError(f"tako-record: the tape {self.path} doesn't exist; record it first")
        self._entries = [] if self._is_new else _read(self.path)
        self._unplayed = list(self._entries)

    @property
    def unplayed(self) -> list[TapeRequest]:
        """The requests whose replies haven't been played yet."""
        return [entry.request for entry in self._unplayed]

    def find(self, request: TapeRequest) -> TapeReply | TapeFailure | None:
        """Return the next reply to a request, which then counts as played; None if the tape doesn't have one."""
        with self._lock:
            for entry in self._unplayed:
                if entry.request.matches(request):
                    self._unplayed.remove(entry)
                    return entry.reply
        return None

    def write(self, request: TapeRequest, reply: TapeReply | TapeFailure) -> None:
        """Write an exchange to the tape."""
        line = msgspec.json.encode(Entry(request, reply)) + b"\n"
        with self._lock:
            if self._is_new:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                self.path.write_bytes(HEADER + line)
                self._is_new = False
            else:
                with self.path.open("ab") as file:
                    file.write(line)

    def why_missing(self, request: TapeRequest) -> str:
        """Return the reason why the tape has no reply to a request."""
        problem = f"{request.method} {request.url} isn't on the tape {self.path}"
        times = sum(entry.request.matches(request) for entry in self._entries)
        if times:
            return f"{problem} once more: it was recorded {times} times"
        for entry in [*self._unplayed, *reversed(self._entries)]:
            if (entry.request.method, entry.request.url) == (request.method, request.url):
                path = _difference(entry.request.json, request.json, "$") or "its body"
                played = "" if entry in self._unplayed else ", and was played already"
                return f"{problem}: the recorded request differs at {path}{played}"
        urls = sorted({entry.request.url for entry in self._entries})
        return f"{problem}, which has {', '.join(urls) or 'nothing'}"


def _read(path: Path) -> list[Entry]:
    """Read a tape. Raises ConfigurationError with the number of the wrong line."""
    lines = path.read_bytes().splitlines()
    if not lines or lines[0] != HEADER.strip():
        raise ConfigurationError(f"tako-record: {path} isn't a tape, or has another version")
    entries: list[Entry] = []
    for number, line in enumerate(lines[1:], 2):
        try:
            entries.append(msgspec.json.decode(line, type=Entry))
        except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
            raise ConfigurationError(f"tako-record: {path}, line {number}: {error}") from error
    return entries


def _difference(recorded: Any, requested: Any, path: str) -> str:
    """Return the path of the first difference between two JSON values, "" if there isn't one."""
    pairs: list[tuple[str, Any, Any]] = []
    if (left_object := as_object(recorded)) is not None and (right_object := as_object(requested)) is not None:
        pairs = [
            (f"{path}.{key}", left_object.get(key), right_object.get(key)) for key in {**left_object, **right_object}
        ]
    elif (left_items := as_array(recorded)) is not None and (right_items := as_array(requested)) is not None:
        pairs = [(f"{path}[{i}]", *items) for i, items in enumerate(zip_longest(left_items, right_items))]
    elif recorded != requested:
        return path
    return next(
        (difference for item_path, left, right in pairs if (difference := _difference(left, right, item_path))), ""
    )
