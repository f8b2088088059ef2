"""The log of conversations: SQLite in the user's own data folder, off until ``tako logs on``.

It's bounded: when it grows beyond its size, the oldest conversations go. What is deleted is overwritten.
"""

from __future__ import annotations

import os
import sqlite3
import time
from contextlib import closing, contextmanager
from secrets import token_hex
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import msgspec

from tako.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Sequence
    from pathlib import Path

VERSION = 1
MEGABYTE = 1024 * 1024
MOST_MB = 100
"""The size of the log where nobody says otherwise."""
WAIT = 5.0
"""Seconds to wait for another process that writes."""
_TABLES = """
CREATE TABLE IF NOT EXISTS settings (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS conversations (
  id TEXT PRIMARY KEY, started REAL NOT NULL, updated REAL NOT NULL, wanted TEXT NOT NULL, options TEXT NOT NULL,
  missing TEXT NOT NULL, system TEXT
);
CREATE TABLE IF NOT EXISTS turns (
  number INTEGER PRIMARY KEY, conversation TEXT NOT NULL REFERENCES conversations (id) ON DELETE CASCADE,
  at REAL NOT NULL, model TEXT NOT NULL, question TEXT NOT NULL, answer TEXT NOT NULL, messages TEXT NOT NULL,
  input_tokens INTEGER NOT NULL, output_tokens INTEGER NOT NULL, cost REAL, seconds REAL NOT NULL
);
CREATE INDEX IF NOT EXISTS turns_of ON turns (conversation);
"""
_LIST = """
SELECT id, started, updated, wanted, count(number) AS turns, sum(input_tokens + output_tokens) AS tokens,
  CASE WHEN count(cost) = count(number) THEN sum(cost) END AS cost,
  (SELECT question FROM turns WHERE conversation = id ORDER BY number LIMIT 1) AS question
FROM conversations LEFT JOIN turns ON conversation = id
"""


class Kept(NamedTuple):
    """A turn as the log has it: ``messages`` is JSON; ``question`` and ``answer`` are what is searched."""

    model: str
    question: str
    answer: str
    messages: str
    input_tokens: int
    output_tokens: int
    cost: float | None
    seconds: float


class Start(NamedTuple):
    """What a conversation begins with, so that it can go on.

    ``wanted`` is the model as it was given, ``options`` the KEY=VALUE pairs without secrets, ``missing`` the keys of
    those that are secrets.
    """

    wanted: str
    options: list[str]
    missing: list[str]
    system: str | None


class Log:
    """The log, open. Raises ConfigurationError where the file can't be used."""

    def __init__(self, file: Path) -> None:
        self.file = file
        with _explained(file):
            fresh = not file.exists()
            if fresh:
                file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                os.close(os.open(file, os.O_CREAT | os.O_RDWR, 0o600))
            self._db = sqlite3.connect(file, timeout=WAIT, isolation_level=None)
            try:
                self._db.row_factory = sqlite3.Row
                self._db.create_function("fold", 1, _fold, deterministic=True)
                for pragma in ("secure_delete = ON", "foreign_keys = ON"):
                    self._db.execute(f"PRAGMA {pragma}")
                self._prepare()
            except BaseException:
                self._db.close()
                raise

    def _prepare(self) -> None:
        """Make the tables of a new file; another process may be making them, too."""
        (version,) = self._db.execute("PRAGMA user_version").fetchone()
        if version > VERSION:
            raise ConfigurationError(f"{self.file} was written by a later tako")
        if version == 0:
            self._db.execute("PRAGMA auto_vacuum = INCREMENTAL")
            self._db.executescript(f"BEGIN IMMEDIATE;{_TABLES}PRAGMA user_version = {VERSION};COMMIT")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    @property
    def on(self) -> bool:
        """Whether conversations are kept."""
        return self._setting("on") == "1"

    @property
    def most(self) -> int:
        """The most bytes that the log may have."""
        return int(self._setting("max_mb") or MOST_MB) * MEGABYTE

    @property
    def size(self) -> int:
        """The bytes that are used."""
        facts = [self._db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count")]
        page: int = self._db.execute("PRAGMA page_size").fetchone()[0]
        return int(facts[0] - facts[1]) * page

    def set(self, name: str, value: str) -> None:
        """Set "on" or "max_mb"."""
        with self._writing():
            self._db.execute("INSERT OR REPLACE INTO settings VALUES (?, ?)", (name, value))

    def begin(self, start: Start) -> str:
        """Begin a conversation, and return its id: the day, and four digits."""
        now = time.time()
        texts = [msgspec.json.encode(one).decode() for one in (start.options, start.missing)]
        with self._writing():
            while True:
                id = f"{time.strftime('%Y%m%d', time.localtime(now))}-{token_hex(2)}"
                row = (id, now, now, start.wanted, *texts, start.system)
                done = self._db.execute("INSERT OR IGNORE INTO conversations VALUES (?, ?, ?, ?, ?, ?, ?)", row)
                if done.rowcount:
                    return id

    def add(self, id: str, turn: Kept) -> int:
        """Add a turn, keep the size, and return the turn's number.

        Raises ConfigurationError if the turn alone is too large.
        """
        if len(turn.messages) + len(turn.question) + len(turn.answer) > self.most // 2:
            raise ConfigurationError("the turn is too large for the log; tako logs on --max-mb N gives it more room")
        now = time.time()
        with self._writing():
            columns = "conversation, at, model, question, answer, messages, input_tokens, output_tokens, cost, seconds"
            order = f"INSERT INTO turns ({columns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"  # noqa: S608 - all of it is ours
            number = self._db.execute(order, (id, now, *turn)).lastrowid
            self._db.execute("UPDATE conversations SET updated = ? WHERE id = ?", (now, id))
            self._shrink()
        assert number is not None
        return number

    def undo(self, number: int) -> None:
        """Delete a turn, and its conversation if that was the last one."""
        with self._writing():
            self._delete_turn(number)

    def find(self, beginning: str = "") -> str:
        """Return the id that begins so, or that of the last conversation. Raises ConfigurationError."""
        pattern = f"{_escaped(beginning)}%"
        order = "SELECT id FROM conversations WHERE id LIKE ? ESCAPE '\\' ORDER BY updated DESC"
        found = [row["id"] for row in self._rows(order, (pattern,))]
        if not found:
            raise ConfigurationError(f"no conversation {beginning} is in the log" if beginning else "the log is empty")
        if beginning and len(found) > 1 and beginning not in found:
            raise ConfigurationError(f"{beginning} could be {', '.join(found[:5])}")
        return beginning if beginning in found else str(found[0])

    def conversations(self, number: int) -> list[dict[str, Any]]:
        """List the last conversations, the newest first."""
        return self._rows(f"{_LIST} GROUP BY id ORDER BY updated DESC LIMIT ?", (number,))

    def ids(self) -> list[str]:
        """List all conversations, the oldest first."""
        return [row["id"] for row in self._rows("SELECT id FROM conversations ORDER BY started")]

    def start(self, id: str) -> Start:
        """Return what a conversation begins with."""
        [row] = self._rows("SELECT wanted, options, missing, system FROM conversations WHERE id = ?", (id,))
        options, missing = (msgspec.json.decode(row[name], type=list[str]) for name in ("options", "missing"))
        return Start(row["wanted"], options, missing, row["system"])

    def turns(self, id: str) -> list[dict[str, Any]]:
        """List the turns of a conversation."""
        return self._rows("SELECT * FROM turns WHERE conversation = ? ORDER BY number", (id,))

    def search(self, words: Sequence[str], number: int) -> list[dict[str, Any]]:
        """Find the last turns that have all words in question or answer, whatever their capitals."""
        each = " AND ".join(["instr(fold(question || char(10) || answer), ?)"] * len(words))
        columns = "conversation, at, model, question, answer"
        order = f"SELECT {columns} FROM turns WHERE {each} ORDER BY number DESC LIMIT ?"  # noqa: S608 - all of it is ours
        return self._rows(order, (*(word.casefold() for word in words), number))

    def questions(self, number: int) -> list[str]:
        """Return the last questions, the newest last."""
        rows = self._rows("SELECT question FROM turns ORDER BY number DESC LIMIT ?", (number,))
        return [row["question"] for row in reversed(rows)]

    def delete(self, ids: Iterable[str]) -> int:
        """Delete conversations, and return how many there were."""
        with self._writing():
            count = sum(self._db.execute("DELETE FROM conversations WHERE id = ?", (id,)).rowcount for id in ids)
        self._db.execute("PRAGMA incremental_vacuum").fetchall()
        return count

    def older(self, days: int) -> list[str]:
        """List the conversations of which nothing is newer than that."""
        limit = time.time() - days * 86_400
        return [row["id"] for row in self._rows("SELECT id FROM conversations WHERE updated < ?", (limit,))]

    def _shrink(self) -> None:
        """Delete the oldest turns until the size fits, and the conversations that have lost their last one."""
        while self.size > self.most:
            self._delete_turn(self._db.execute("SELECT min(number) FROM turns").fetchone()[0])

    def _delete_turn(self, number: int) -> None:
        owner = self._db.execute("SELECT conversation FROM turns WHERE number = ?", (number,)).fetchone()
        self._db.execute("DELETE FROM turns WHERE number = ?", (number,))
        order = "DELETE FROM conversations WHERE id = ? AND NOT EXISTS (SELECT 1 FROM turns WHERE conversation = ?)"
        self._db.execute(order, (owner["conversation"] if owner is not None else "",) * 2)

    def _setting(self, name: str) -> str | None:
        rows = self._rows("SELECT value FROM settings WHERE name = ?", (name,))
        return rows[0]["value"] if rows else None

    def _rows(self, order: str, values: Sequence[Any] = ()) -> list[dict[str, Any]]:
        with _explained(self.file), closing(self._db.execute(order, values)) as found:
            return [dict(row) for row in found]

    @contextmanager
    def _writing(self) -> Generator[None, None, None]:
        with _explained(self.file):
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")


@contextmanager
def _explained(file: Path) -> Generator[None, None, None]:
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        what = getattr(error, "strerror", None) or error
        raise ConfigurationError(f"the log {file} can't be used: {what}") from None


def _escaped(text: str) -> str:
    return "".join(f"\\{one}" if one in "%_\\" else one for one in text)


def _fold(text: str) -> str:
    return text.casefold()
