"""The log of conversations: SQLite in the user's own data folder, off until ``tako logs on``.

If it grows beyond its maximum size, the oldest turns are deleted. Deleted data is overwritten.
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
MAX_MB = 100
"""The maximum size of the log, by default."""
WAIT = 5.0
"""Seconds to wait while another process writes."""
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


class LoggedTurn(NamedTuple):
    """A turn in the log: ``messages`` is JSON; ``question`` and ``answer`` are what `search` looks at."""

    model: str
    question: str
    answer: str
    messages: str
    input_tokens: int
    output_tokens: int
    cost: float | None
    seconds: float


class Start(NamedTuple):
    """What a conversation starts with, which is needed to continue it.

    ``model`` is the value of -m. ``options`` are KEY=VALUE pairs without secrets; ``missing`` are the keys of the
    secret ones.
    """

    model: str
    options: list[str]
    missing: list[str]
    system: str | None


class Log:
    """The log, open. Raises ConfigurationError if the file can't be used."""

    def __init__(self, file: Path) -> None:
        self.file = file
        with _explaining_errors(file):
            is_new = not file.exists()
            if is_new:
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
        """Create the tables in a new file. Another process may do the same at the same time."""
        (version,) = self._db.execute("PRAGMA user_version").fetchone()
        if version > VERSION:
            raise ConfigurationError(f"{self.file} was written by a newer tako")
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
    def is_on(self) -> bool:
        """Whether conversations are logged."""
        return self._setting("on") == "1"

    @property
    def max_bytes(self) -> int:
        """The maximum size of the log in bytes."""
        return int(self._setting("max_mb") or MAX_MB) * MEGABYTE

    @property
    def size(self) -> int:
        """The size of the log in bytes."""
        facts = [self._db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count")]
        page: int = self._db.execute("PRAGMA page_size").fetchone()[0]
        return int(facts[0] - facts[1]) * page

    def set(self, name: str, value: str) -> None:
        """Set "on" or "max_mb"."""
        with self._writing():
            self._db.execute("INSERT OR REPLACE INTO settings VALUES (?, ?)", (name, value))

    def begin(self, start: Start) -> str:
        """Start a conversation, and return its id: the day, and four hexadecimal digits."""
        now = time.time()
        texts = [msgspec.json.encode(value).decode() for value in (start.options, start.missing)]
        with self._writing():
            while True:
                id = f"{time.strftime('%Y%m%d', time.localtime(now))}-{token_hex(2)}"
                row = (id, now, now, start.model, *texts, start.system)
                cursor = self._db.execute("INSERT OR IGNORE INTO conversations VALUES (?, ?, ?, ?, ?, ?, ?)", row)
                if cursor.rowcount:
                    return id

    def add(self, id: str, turn: LoggedTurn) -> int:
        """Add a turn, delete the oldest ones if the log is too large, and return the turn's number.

        Raises ConfigurationError if the turn alone is too large.
        """
        if len(turn.messages) + len(turn.question) + len(turn.answer) > self.max_bytes // 2:
            raise ConfigurationError(
                "the turn is too large for the log; make the log larger with tako logs on --max-mb N"
            )
        now = time.time()
        with self._writing():
            columns = "conversation, at, model, question, answer, messages, input_tokens, output_tokens, cost, seconds"
            sql = f"INSERT INTO turns ({columns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"  # noqa: S608 - all of it is ours
            number = self._db.execute(sql, (id, now, *turn)).lastrowid
            self._db.execute("UPDATE conversations SET updated = ? WHERE id = ?", (now, id))
            self._shrink()
        assert number is not None
        return number

    def undo(self, number: int) -> None:
        """Delete a turn, and its conversation if it has no other."""
        with self._writing():
            self._delete_turn(number)

    def find(self, beginning: str = "") -> str:
        """Return the id with this beginning, or the id of the last conversation. Raises ConfigurationError."""
        pattern = f"{_escape_pattern(beginning)}%"
        sql = "SELECT id FROM conversations WHERE id LIKE ? ESCAPE '\\' ORDER BY updated DESC"
        ids = [row["id"] for row in self._rows(sql, (pattern,))]
        if not ids:
            raise ConfigurationError(f"the log has no conversation {beginning}" if beginning else "the log is empty")
        if beginning and len(ids) > 1 and beginning not in ids:
            raise ConfigurationError(f"{beginning} is ambiguous: it could be {', '.join(ids[:5])}")
        return beginning if beginning in ids else str(ids[0])

    def conversations(self, number: int) -> list[dict[str, Any]]:
        """List the last conversations, the newest first."""
        return self._rows(f"{_LIST} GROUP BY id ORDER BY updated DESC LIMIT ?", (number,))

    def ids(self) -> list[str]:
        """List all conversations, the oldest first."""
        return [row["id"] for row in self._rows("SELECT id FROM conversations ORDER BY started")]

    def start(self, id: str) -> Start:
        """Return what a conversation starts with."""
        [row] = self._rows("SELECT wanted, options, missing, system FROM conversations WHERE id = ?", (id,))
        options, missing = (msgspec.json.decode(row[name], type=list[str]) for name in ("options", "missing"))
        return Start(row["wanted"], options, missing, row["system"])

    def turns(self, id: str) -> list[dict[str, Any]]:
        """List the turns of a conversation."""
        return self._rows("SELECT * FROM turns WHERE conversation = ? ORDER BY number", (id,))

    def search(self, terms: Sequence[str], number: int) -> list[dict[str, Any]]:
        """Find the last turns whose question or answer contains all terms, in upper or lower case."""
        each = " AND ".join(["instr(fold(question || char(10) || answer), ?)"] * len(terms))
        columns = "conversation, at, model, question, answer"
        sql = f"SELECT {columns} FROM turns WHERE {each} ORDER BY number DESC LIMIT ?"  # noqa: S608 - all of it is ours
        return self._rows(sql, (*(term.casefold() for term in terms), number))

    def questions(self, number: int) -> list[str]:
        """Return the last questions, the newest last."""
        rows = self._rows("SELECT question FROM turns ORDER BY number DESC LIMIT ?", (number,))
        return [row["question"] for row in reversed(rows)]

    def delete(self, ids: Iterable[str]) -> int:
        """Delete conversations, and return how many existed."""
        with self._writing():
            count = sum(self._db.execute("DELETE FROM conversations WHERE id = ?", (id,)).rowcount for id in ids)
        self._db.execute("PRAGMA incremental_vacuum").fetchall()
        return count

    def older(self, days: int) -> list[str]:
        """List the conversations whose last turn is more than so many days old."""
        limit = time.time() - days * 86_400
        return [row["id"] for row in self._rows("SELECT id FROM conversations WHERE updated < ?", (limit,))]

    def _shrink(self) -> None:
        """Delete the oldest turns until the size fits, and conversations without turns."""
        while self.size > self.max_bytes:
            self._delete_turn(self._db.execute("SELECT min(number) FROM turns").fetchone()[0])

    def _delete_turn(self, number: int) -> None:
        owner = self._db.execute("SELECT conversation FROM turns WHERE number = ?", (number,)).fetchone()
        self._db.execute("DELETE FROM turns WHERE number = ?", (number,))
        sql = "DELETE FROM conversations WHERE id = ? AND NOT EXISTS (SELECT 1 FROM turns WHERE conversation = ?)"
        self._db.execute(sql, (owner["conversation"] if owner is not None else "",) * 2)

    def _setting(self, name: str) -> str | None:
        rows = self._rows("SELECT value FROM settings WHERE name = ?", (name,))
        return rows[0]["value"] if rows else None

    def _rows(self, sql: str, values: Sequence[Any] = ()) -> list[dict[str, Any]]:
        with _explaining_errors(self.file), closing(self._db.execute(sql, values)) as cursor:
            return [dict(row) for row in cursor]

    @contextmanager
    def _writing(self) -> Generator[None, None, None]:
        with _explaining_errors(self.file):
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")


@contextmanager
def _explaining_errors(file: Path) -> Generator[None, None, None]:
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ConfigurationError(f"the log {file} can't be used: {reason}") from None


def _escape_pattern(text: str) -> str:
    return "".join(f"\\{character}" if character in "%_\\" else character for character in text)


def _fold(text: str) -> str:
    return text.casefold()
