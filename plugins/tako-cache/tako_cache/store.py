"""Bytes in one SQLite file, bounded. Blocking: call it from worker threads. The only module that imports sqlite3.

Each call opens the file and closes it again, because worker threads come and go. SQLite's own locks make that safe
among threads and processes.
"""

from __future__ import annotations

import hashlib
import logging
import os
import sqlite3
import time
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

_LOG = logging.getLogger("tako_cache")
_FILE = "replies-1.db"
"""The number grows with the tables, so that versions of tako-cache don't read one another's file."""
_DIGEST = 32
_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_TABLES = """
BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS replies (
  id INTEGER PRIMARY KEY,  -- grows: the oldest value has the smallest
  key BLOB NOT NULL UNIQUE,
  value BLOB NOT NULL,     -- a digest of the data, then the data
  expires REAL             -- seconds since 1970, or NULL for never
);
CREATE INDEX IF NOT EXISTS expiring ON replies (expires) WHERE expires IS NOT NULL;
CREATE TABLE IF NOT EXISTS total (bytes INTEGER NOT NULL);
INSERT INTO total SELECT 0 WHERE NOT EXISTS (SELECT * FROM total);
CREATE TRIGGER IF NOT EXISTS added AFTER INSERT ON replies
  BEGIN UPDATE total SET bytes = bytes + length(NEW.value); END;
CREATE TRIGGER IF NOT EXISTS removed AFTER DELETE ON replies
  BEGIN UPDATE total SET bytes = bytes - length(OLD.value); END;
PRAGMA user_version = 1;
COMMIT;
"""


class Store:
    """Values by key. If the disk fails, that's a miss and a warning in the log, once, and never an error."""

    def __init__(self, directory: str, size_limit: int, expire: float | None) -> None:
        self._file = Path(os.path.expanduser(directory), _FILE)  # noqa: PTH111 - Path's raises for an unknown user
        self._size_limit = size_limit
        self._expire = expire
        self._warned: set[str] = set()

    def get(self, key: bytes) -> bytes | None:
        """Return the value of a key; None if there isn't one, or if it's damaged."""
        query = "SELECT value FROM replies WHERE key = ? AND (expires IS NULL OR expires > ?)"
        row = self._with(lambda database: database.execute(query, (key, time.time())).fetchone())
        if row is None or not isinstance(row[0], bytes):
            return None
        digest, data = row[0][:_DIGEST], row[0][_DIGEST:]
        return data if hashlib.sha256(data).digest() == digest else None

    def set(self, key: bytes, data: bytes) -> None:
        """Store a value, unless it's larger than the limit. The oldest values are deleted to make room."""
        value = hashlib.sha256(data).digest() + data
        if len(value) <= self._size_limit:
            self._with(lambda database: self._write(database, key, value))

    def clear(self) -> None:
        """Remove everything."""
        self._with(lambda database: database.executescript("DELETE FROM replies; VACUUM;"))

    def _write(self, database: sqlite3.Connection, key: bytes, value: bytes) -> None:
        now = time.time()
        expires = None if self._expire is None else now + self._expire
        with database:
            database.execute("BEGIN IMMEDIATE")
            database.execute("DELETE FROM replies WHERE key = ? OR expires <= ?", (key, now))
            database.execute("INSERT INTO replies (key, value, expires) VALUES (?, ?, ?)", (key, value, expires))
            while database.execute("SELECT bytes > ? FROM total", (self._size_limit,)).fetchone()[0]:
                database.execute("DELETE FROM replies WHERE id = (SELECT min(id) FROM replies)")

    def _with(self, work: Callable[[sqlite3.Connection], Any]) -> Any:
        """Open the file and return the result of ``work``; None if the disk fails."""
        try:
            with closing(self._open()) as database:
                return work(database)
        except (sqlite3.Error, OSError, ValueError, OverflowError) as error:
            code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # an extended code has more bits
            if code in _DAMAGED:
                self._set_aside(error)
            else:
                self._warn(f"the cache in {self._file.parent} can't be used: {type(error).__name__}: {error}")
            return None

    def _open(self) -> sqlite3.Connection:
        self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        database = sqlite3.connect(self._file, isolation_level=None)
        try:
            database.execute("PRAGMA synchronous = OFF")  # digests detect damage by a power failure
            if database.execute("PRAGMA user_version").fetchone()[0] == 0:
                database.executescript(_TABLES)
                self._file.chmod(0o600)  # replies are private
        except BaseException:
            database.close()
            raise
        return database

    def _set_aside(self, error: Exception) -> None:
        """Move a damaged file away, so that the next reply starts a new one."""
        aside = self._file.with_suffix(".damaged")
        with suppress(OSError):
            Path(f"{self._file}-journal").unlink(missing_ok=True)  # it belongs to the damaged file
            self._file.replace(aside)
        self._warn(
            f"the cache {self._file} is damaged ({error}); it was renamed to {aside.name}, and a new one was started"
        )

    def _warn(self, text: str) -> None:
        if text not in self._warned:
            self._warned.add(text)
            _LOG.warning("%s", text)
