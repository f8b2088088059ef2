"""Rows of a file: JSON lines, CSV, TSV or Parquet. A damaged row has a problem; the others are read."""

from __future__ import annotations

import stat
from contextlib import contextmanager
from io import BufferedReader, FileIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from tako.errors import ConfigurationError, TakoError
from tako.options import is_table
from tako_map.input.csv_rows import table_rows
from tako_map.input.json_rows import json_rows
from tako_map.input.lines import Lines
from tako_map.input.parquet_rows import ParquetRows
from tako_map.input.rows import RawRow, Row, RowError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from tako_map.input.keyset import KeySet
    from tako_map.input.prompt import Prompt

KEYS = ("key", "id")
"""Columns with the key if none is named. Without such a column, the row's number is the key."""
JSON_LINES = (".jsonl", ".ndjson", ".json")
TABLES = {".csv": ",", ".tsv": "\t"}
NOT_KEYS = (dict, list, tuple, bytes, type(None))


class Source:
    """A file of rows. Iterate over it once; ``fraction`` says how much of it has been read.

    ``done_keys`` are the keys that the output has. Their rows are skipped and counted in ``skipped``. ``changed``
    counts those whose cells have changed since the answer was made; ``first_changed`` is the number of the first.
    Raises ConfigurationError for a file that can't be read, if possible before the first row.
    """

    def __init__(
        self, path: str | Path, prompt: Prompt, *, key: str | None = None, done_keys: KeySet | None = None
    ) -> None:
        self.path = Path(path)
        self.prompt = prompt
        self.skipped = self.changed = self.first_changed = 0
        self._key = key
        self._is_key_settled = key is not None
        self._done_keys = done_keys
        self._digests: dict[str, str] = {}
        self._fraction: Callable[[], float] = lambda: 0.0
        suffix = self.path.suffix.lower()
        with self._name_file():
            self._check(suffix)
            self._rows = self._parquet() if suffix == ".parquet" else self._text(suffix)
            first = next(self._rows, None)  # reads the heading, so that an error in it is raised now
        self._first = [first] if first is not None else []

    @property
    def key(self) -> str | None:
        """The column of the key; None if the keys are the rows' numbers."""
        return self._key

    @property
    def fraction(self) -> float:
        """How much of the file has been read, from 0 to 1."""
        return self._fraction()

    def digest(self, key: str) -> str | None:
        """Return the digest of the cells of a row that is under way, and drop it."""
        return self._digests.pop(key, None)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Row:
        while True:
            number, cells, problem = self._first.pop() if self._first else next(self._rows)
            key = self._key_of(number, cells)
            digest = self.prompt.digest(cells) if self._done_keys is not None and problem is None else None
            if key is not None and self._done_keys is not None and (self._key is not None or len(self._done_keys)):
                state = self._done_keys.visit(key, digest)
                if state.is_duplicate:
                    text = f"the key {key!r} appears twice; each key is sent once"
                    return Row(number, None, problem=RowError(f"row {number}: {text}"))
                if state.is_done:
                    self._skip(number, is_same=state.is_same)
                    continue
            return self._row(number, key, cells, problem, digest)

    def _skip(self, number: int, *, is_same: bool) -> None:
        self.skipped += 1
        if not is_same:
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
        return None if isinstance(key, NOT_KEYS) or key == "" or key != key else str(key)  # noqa: PLR0124 - NaN

    def _settle_key(self, columns: list[str]) -> None:
        if not self._is_key_settled:
            self._key = next((name for name in KEYS if name in columns), None)
            self._is_key_settled = True

    def _needed_columns(self, columns: list[str]) -> list[str]:
        """Return the columns that are used. Raises ConfigurationError if one is missing."""
        self._settle_key(columns)
        needed = [*self.prompt.columns, *([self._key] if self._key else [])]
        for name in needed:
            if name not in columns:
                raise ConfigurationError(f"there is no column {name!r} (columns: {', '.join(columns)})")
            if columns.count(name) > 1:
                raise ConfigurationError(f"there are {columns.count(name)} columns {name!r}; it isn't clear which")
        return needed

    def _check(self, suffix: str) -> None:
        """Raise ConfigurationError if it isn't a file of rows."""
        if suffix not in (*JSON_LINES, *TABLES, ".parquet"):
            raise ConfigurationError("rows are read from .jsonl, .csv, .tsv or .parquet files")
        try:
            if not stat.S_ISREG(self.path.stat().st_mode):
                problem = "it is a folder" if self.path.is_dir() else "it isn't a regular file"
                raise ConfigurationError(f"{problem}; rows are read from one file")
            self.path.open("rb").close()
        except FileNotFoundError as error:
            raise ConfigurationError("no such file") from error
        except OSError as error:
            raise ConfigurationError(f"it can't be read: {error.strerror or error}") from error

    @contextmanager
    def _name_file(self) -> Generator[None, None, None]:
        """Add the file's name to the errors."""
        try:
            yield
        except ConfigurationError as error:
            raise ConfigurationError(f"{self.path}: {error}") from error.__cause__

    def _text(self, suffix: str) -> Iterator[RawRow]:
        size = self.path.stat().st_size or 1
        with BufferedReader(FileIO(self.path), 1 << 18) as file:
            if file.peek(2)[:2] in (b"\xff\xfe", b"\xfe\xff"):
                raise ConfigurationError("it is UTF-16; save it as UTF-8")
            if file.peek(3)[:3] == b"\xef\xbb\xbf":
                file.read(3)
            self._fraction = lambda: min(file.tell() / size, 1.0) if not file.closed else 1.0
            yield from self._json(Lines(file)) if suffix in JSON_LINES else self._table(Lines(file), TABLES[suffix])

    def _json(self, lines: Lines) -> Iterator[RawRow]:
        for number, cells, problem in json_rows(lines):
            if problem is None:
                self._settle_key(list(cells) if is_table(cells) else [])
            yield number, cells, problem

    def _table(self, lines: Lines, delimiter: str) -> Iterator[RawRow]:
        return table_rows(lines, delimiter, self._needed_columns)

    def _parquet(self) -> Iterator[RawRow]:
        file = ParquetRows(self.path)
        self._fraction = lambda: file.fraction
        needed = self._needed_columns(file.columns)
        yield from file.rows(needed if self.prompt.template is not None else file.columns)
