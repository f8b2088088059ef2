"""Rows of a file: JSON lines, CSV, TSV or Parquet. What is wrong with one row is said of that row; the rest is read."""

from __future__ import annotations

import stat
from contextlib import contextmanager
from io import BufferedReader, FileIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from tako.errors import ConfigurationError, TakoError
from tako.options import is_table
from tako_map.json_lines import json_rows
from tako_map.lines import Lines
from tako_map.parquet import ParquetRows
from tako_map.tables import Cells, table_rows
from tako_map.values import Row, RowError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from tako_map.keyset import KeySet
    from tako_map.prompt import Prompt

KEYS = ("key", "id")
"""Columns that are taken for the key where none is named; without one the row's number is the key."""
JSON_LINES = (".jsonl", ".ndjson", ".json")
TABLES = {".csv": ",", ".tsv": "\t"}
NO_KEYS = (dict, list, tuple, bytes, type(None))


class Source:
    """A file of rows. Iterate over it once; ``fraction`` says how much of it has been read.

    ``known`` holds the keys that the output has. Their rows are passed over and counted in ``skipped``; ``changed``
    counts those whose cells aren't the ones that the answer was made from, of which ``first_changed`` is the first.
    Raises ConfigurationError for a file that can't be read, before the first row where that shows.
    """

    def __init__(
        self, path: str | Path, prompt: Prompt, *, key: str | None = None, known: KeySet | None = None
    ) -> None:
        self.path = Path(path)
        self.prompt = prompt
        self.skipped = self.changed = self.first_changed = 0
        self._key = key
        self._named = key is not None
        self._known = known
        self._digests: dict[str, str] = {}
        self._read: Callable[[], float] = lambda: 0.0
        suffix = self.path.suffix.lower()
        with self._naming():
            self._check(suffix)
            self._rows = self._parquet() if suffix == ".parquet" else self._text(suffix)
            first = next(self._rows, None)  # reads the heading, so that a wrong one is known at once
        self._first = [first] if first is not None else []

    @property
    def key(self) -> str | None:
        """The column of the key; None where rows are known by their numbers."""
        return self._key

    @property
    def fraction(self) -> float:
        """How much of the file has been read, from 0 to 1."""
        return self._read()

    def digest(self, key: str) -> str | None:
        """Return the digest of the cells of a row that is under way, and forget it."""
        return self._digests.pop(key, None)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Row:
        while True:
            number, cells, problem = self._first.pop() if self._first else next(self._rows)
            key = self._key_of(number, cells)
            digest = self.prompt.digest(cells) if self._known is not None and problem is None else None
            if key is not None and self._known is not None and (self._key is not None or len(self._known)):
                known = self._known.meet(key, digest)
                if known.before:
                    text = f"the key {key!r} appears twice; each key is sent once"
                    return Row(number, None, problem=RowError(f"row {number}: {text}"))
                if known.done:
                    self._pass_over(number, same=known.same)
                    continue
            return self._row(number, key, cells, problem, digest)

    def _pass_over(self, number: int, *, same: bool) -> None:
        self.skipped += 1
        if not same:
            self.changed += 1
            self.first_changed = self.first_changed or number

    def _row(self, number: int, key: str | None, cells: Any, problem: RowError | None, digest: str | None) -> Row:
        error: TakoError | None = problem
        if error is None:
            try:
                if key is None:
                    raise RowError(f"there is no key in the column {self._key!r}")
                request = self.prompt.request(cells)
            except TakoError as failure:
                error = failure
            else:
                if digest is not None:
                    self._digests[key] = digest
                return Row(number, key, request)
        return Row(number, key, problem=RowError(f"row {number}: {error}"))

    def _key_of(self, number: int, cells: Any) -> str | None:
        if self._key is None:
            return str(number)
        key = cells.get(self._key) if is_table(cells) else None
        return None if isinstance(key, NO_KEYS) or key == "" or key != key else str(key)  # noqa: PLR0124 - NaN

    def _settle_key(self, columns: list[str]) -> None:
        if not self._named:
            self._key = next((name for name in KEYS if name in columns), None)
            self._named = True

    def _needed(self, columns: list[str]) -> list[str]:
        """Return the columns that are used of those that there are. Raises ConfigurationError where one isn't there."""
        self._settle_key(columns)
        needed = [*self.prompt.columns, *([self._key] if self._key else [])]
        for name in needed:
            if name not in columns:
                raise ConfigurationError(f"there is no column {name!r} (columns: {', '.join(columns)})")
            if columns.count(name) > 1:
                raise ConfigurationError(f"there are {columns.count(name)} columns {name!r}; it isn't clear which")
        return needed

    def _check(self, suffix: str) -> None:
        """Refuse what isn't a file of rows."""
        if suffix not in (*JSON_LINES, *TABLES, ".parquet"):
            raise ConfigurationError("rows are read from .jsonl, .csv, .tsv or .parquet files")
        try:
            if not stat.S_ISREG(self.path.stat().st_mode):
                what = "it is a folder" if self.path.is_dir() else "it isn't a regular file"
                raise ConfigurationError(f"{what}; rows are read from one file")
            self.path.open("rb").close()
        except FileNotFoundError as error:
            raise ConfigurationError("no such file") from error
        except OSError as error:
            raise ConfigurationError(f"it can't be read: {error.strerror or error}") from error

    @contextmanager
    def _naming(self) -> Generator[None, None, None]:
        """Name the file in what is raised."""
        try:
            yield
        except ConfigurationError as error:
            raise ConfigurationError(f"{self.path}: {error}") from error.__cause__

    def _text(self, suffix: str) -> Iterator[Cells]:
        size = self.path.stat().st_size or 1
        with BufferedReader(FileIO(self.path), 1 << 18) as file:
            if file.peek(2)[:2] in (b"\xff\xfe", b"\xfe\xff"):
                raise ConfigurationError("it is UTF-16; save it as UTF-8")
            if file.peek(3)[:3] == b"\xef\xbb\xbf":
                file.read(3)
            self._read = lambda: min(file.tell() / size, 1.0) if not file.closed else 1.0
            yield from self._json(Lines(file)) if suffix in JSON_LINES else self._table(Lines(file), TABLES[suffix])

    def _json(self, lines: Lines) -> Iterator[Cells]:
        for number, cells, problem in json_rows(lines):
            if problem is None:
                self._settle_key(list(cells) if is_table(cells) else [])
            yield number, cells, problem

    def _table(self, lines: Lines, delimiter: str) -> Iterator[Cells]:
        return table_rows(lines, delimiter, self._needed)

    def _parquet(self) -> Iterator[Cells]:
        file = ParquetRows(self.path)
        self._read = lambda: file.fraction
        needed = self._needed(file.columns)
        yield from file.rows(needed if self.prompt.template is not None else file.columns)
