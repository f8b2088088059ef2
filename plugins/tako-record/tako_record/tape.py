r"""The tape: a file of JSON lines, the first of which says what it is; each other one is a request and its reply.

::

    {"tako_record":1}
    {"request":{"method":"POST","url":"https://api.example.com/v1/chat","headers":{...},"json":{...}},
     "reply":{"type":"reply","status":200,"headers":{...},"pieces":["data: {...}\n\n", ...],"ending":"end"}}

Lines, so that a tape reads well in a diff and grows without being written anew.
"""

from __future__ import annotations

import threading
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from tako.errors import ConfigurationError
from tako.json_values import as_array, as_object
from tako_record.entries import Asked, Entry, Failed, Played

if TYPE_CHECKING:
    import os

    from tako_record import Mode

HEADER = b'{"tako_record":1}\n'
MODES = ("auto", "record", "replay")


class Tape:
    """What was recorded, each reply to be played once, in order. May be used from any thread.

    Raises ConfigurationError where there is nothing to replay, or the file is no tape. What is recorded is written when
    its reply is over, at once and in one piece.
    """

    def __init__(self, path: str | os.PathLike[str], mode: Mode) -> None:
        if mode not in MODES:
            raise ConfigurationError(f"tako-record: the mode is one of {', '.join(MODES)}, not {mode!r}")
        self.path = Path(path)
        self.mode = mode
        self._lock = threading.Lock()
        self._fresh = mode == "record" or not self.path.exists()
        if self._fresh and mode == "replay":
            raise ConfigurationError(f"tako-record: there is no tape {self.path} to replay; record it first")
        self._all = [] if self._fresh else _read(self.path)
        self._left = list(self._all)

    @property
    def unplayed(self) -> list[Asked]:
        """The requests whose replies have not been asked for yet."""
        return [entry.request for entry in self._left]

    def find(self, asked: Asked) -> Played | Failed | None:
        """Take the next reply to a request off the tape; None where it has none."""
        with self._lock:
            for entry in self._left:
                if entry.request.same(asked):
                    self._left.remove(entry)
                    return entry.reply
        return None

    def write(self, asked: Asked, reply: Played | Failed) -> None:
        """Put an exchange on the tape."""
        line = msgspec.json.encode(Entry(asked, reply)) + b"\n"
        with self._lock:
            if self._fresh:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                self.path.write_bytes(HEADER + line)
                self._fresh = False
            else:
                with self.path.open("ab") as file:
                    file.write(line)

    def missing(self, asked: Asked) -> str:
        """Say of a request why the tape has no reply to it."""
        what = f"{asked.method} {asked.url} isn't on the tape {self.path}"
        times = sum(entry.request.same(asked) for entry in self._all)
        if times:
            return f"{what} once more: it was recorded {times} times"
        for entry in self._left:
            if (entry.request.method, entry.request.url) == (asked.method, asked.url):
                where = _difference(entry.request.json, asked.json, "$") or "its body"
                return f"{what}: what was recorded there differs at {where}"
        urls = sorted({entry.request.url for entry in self._all})
        return f"{what}, which has {', '.join(urls) or 'nothing'}"


def _read(path: Path) -> list[Entry]:
    """Read a tape; raises ConfigurationError that names the line that is wrong."""
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


def _difference(recorded: Any, asked: Any, path: str) -> str:
    """Return where two JSON values differ first, or "" where they do not."""
    pairs: list[tuple[str, Any, Any]] = []
    if (one := as_object(recorded)) is not None and (other := as_object(asked)) is not None:
        pairs = [(f"{path}.{key}", one.get(key), other.get(key)) for key in {**one, **other}]
    elif (first := as_array(recorded)) is not None and (second := as_array(asked)) is not None:
        pairs = [(f"{path}[{i}]", *items) for i, items in enumerate(zip_longest(first, second))]
    elif recorded != asked:
        return path
    return next((found for where, left, right in pairs if (found := _difference(left, right, where))), "")
