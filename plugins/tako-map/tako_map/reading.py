"""Rows of a file: JSONL, CSV or Parquet. What is wrong with one row is said of that row; the rest is read."""

from __future__ import annotations

import csv
from importlib import import_module
from io import BufferedReader, FileIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import msgspec

from tako.errors import ConfigurationError, TakoError
from tako.options import is_table
from tako_map.prompt import LARGEST
from tako_map.values import Row, RowError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tako_map.keyset import KeySet
    from tako_map.prompt import Prompt

KEYS = ("key", "id")
"""Columns that are taken for the key where none is named; without one the row's number is the key."""
BATCH = 64
"""Rows of Parquet that are in memory at once."""
JSON_LINES = (".jsonl", ".ndjson", ".json")
TABLES = (".csv", ".tsv")

Cells = tuple[int, Any, "RowError | None"]


class Source:
    """A file of rows. Iterate over it once; ``fraction`` says how much of it has been read.

    ``known`` holds the keys that the output has (their rows are passed over and counted in ``skipped``).
    """

    def __init__(
        self, path: str | Path, prompt: Prompt, *, key: str | None = None, known: KeySet | None = None
    ) -> None:
        self.path = Path(path)
        self.prompt = prompt
        self.skipped = 0
        self._key = key
        self._known = known
        self._read: Callable[[], float] = lambda: 0.0
        suffix = self.path.suffix.lower()
        if suffix not in (*JSON_LINES, *TABLES, ".parquet"):
            raise ConfigurationError(f"{path}: rows are read from .jsonl, .csv, .tsv or .parquet files")
        if not self.path.is_file():
            raise ConfigurationError(f"{path}: there is no such file")
        self._rows = self._parquet() if suffix == ".parquet" else self._text(suffix)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Row:
        while True:
            number, cells, problem = next(self._rows)
            key = self._key_of(number, cells)
            if key is not None and self._known is not None:
                done, before = self._known.meet(key)
                if before:
                    text = f"the key {key!r} was there before; a key is asked once"
                    return Row(number, None, problem=RowError(f"row {number}: {text}"))
                if done:
                    self.skipped += 1
                    continue
            return self._row(number, key, cells, problem)

    @property
    def fraction(self) -> float:
        """How much of the file has been read, from 0 to 1."""
        return self._read()

    def _row(self, number: int, key: str | None, cells: Any, problem: RowError | None) -> Row:
        error: TakoError | None = problem
        if error is None:
            try:
                if key is None:
                    raise RowError(f"there is no key in the column {self._key!r}")
                return Row(number, key, self.prompt.request(cells))
            except TakoError as failure:
                error = failure
        return Row(number, key, problem=RowError(f"row {number}: {error}"))

    def _key_of(self, number: int, cells: Any) -> str | None:
        if self._key is None:
            return str(number)
        key = cells.get(self._key) if is_table(cells) else None
        return str(key) if isinstance(key, (str, int, float)) and key != "" else None

    def _settle_key(self, columns: list[str]) -> None:
        if self._key is None:
            self._key = next((name for name in KEYS if name in columns), None)
        if self._key is None and not self._known:
            self._known = None  # numbers of rows are never there twice

    def _check(self, columns: list[str]) -> None:
        """Refuse a whole file whose heading lacks a column."""
        self._settle_key(columns)
        for name in [*self.prompt.columns, *([self._key] if self._key else [])]:
            if name not in columns:
                raise ConfigurationError(f"{self.path}: there is no column {name!r} (columns: {', '.join(columns)})")

    def _text(self, suffix: str) -> Iterator[Cells]:
        size = self.path.stat().st_size or 1
        with BufferedReader(FileIO(self.path), 1 << 18) as file:
            if file.peek(2)[:2] in (b"\xff\xfe", b"\xfe\xff"):
                raise ConfigurationError(f"{self.path}: it is UTF-16; save it as UTF-8")
            if file.peek(3)[:3] == b"\xef\xbb\xbf":
                file.read(3)
            self._read = lambda: file.tell() / size if not file.closed else 1.0
            yield from self._lines(file) if suffix in JSON_LINES else self._table(file, suffix)

    def _lines(self, file: BufferedReader[FileIO]) -> Iterator[Cells]:
        decode = msgspec.json.Decoder().decode
        named = self._key is not None
        number = 0
        while line := file.readline(LARGEST + 1):
            number += 1
            if len(line) > LARGEST and not line.endswith(b"\n"):
                size = len(line) + _rest(file)
                yield number, None, RowError(f"the row has {size:,} bytes; {LARGEST:,} are the most")
                continue
            if line.isspace():
                continue
            try:
                cells = decode(line)
            except (msgspec.DecodeError, UnicodeError) as error:
                yield number, None, RowError(_why(line, error))
                continue
            if not isinstance(cells, (dict, str)):
                yield number, None, RowError(f"a row is a JSON object or a text, not a {type(cells).__name__}")
                continue
            if not named:
                self._settle_key(list(cells) if is_table(cells) else [])
                named = True
            yield number, cells, None

    def _table(self, file: BufferedReader[FileIO], suffix: str) -> Iterator[Cells]:
        csv.field_size_limit(LARGEST)
        lines = _Decoded(file)
        reader = csv.reader(lines, delimiter="\t" if suffix == ".tsv" else ",")
        nothing: list[str] = []
        columns: list[str] = next(reader, nothing)
        if lines.fault:
            raise ConfigurationError(f"{self.path}: the heading is {lines.fault}")
        if not columns:
            return
        self._check(columns)
        number = 0
        while True:
            lines.begin()
            try:
                cells = next(reader, None)
            except csv.Error as error:
                number += 1
                yield number, None, RowError(f"broken CSV: {error}")
                continue
            if cells is None:
                return
            if not cells:
                continue
            number += 1
            made = dict(zip(columns, cells, strict=False))
            problem = RowError(lines.fault) if lines.fault else None
            if lines.ended:  # in the middle of a row
                problem = RowError("a quote is never closed; the lines that follow are read as rows")
                lines.back()
            if problem is None and len(cells) > len(columns):
                problem = RowError(f"it has {len(cells)} cells, and the heading {len(columns)}")
            yield number, made, problem

    def _parquet(self) -> Iterator[Cells]:
        parquet: Any = import_module("pyarrow.parquet")
        try:
            file = parquet.ParquetFile(self.path)
        except (ValueError, OSError) as error:
            raise ConfigurationError(f"{self.path}: no Parquet: {error}") from error
        with file:
            columns = [str(name) for name in file.schema_arrow.names]
            self._check(columns)
            wanted = [self._key, *self.prompt.columns] if self.prompt.template is not None else columns
            total = file.metadata.num_rows or 1
            number = 0
            self._read = lambda: number / total
            for batch in file.iter_batches(batch_size=BATCH, columns=[name for name in wanted if name]):
                for cells in batch.to_pylist():
                    number += 1
                    yield number, cells, None


class _Decoded:
    """Lines as text; what is no UTF-8 is noted, so that the row is left out and the next one is read."""

    def __init__(self, file: BufferedReader[FileIO]) -> None:
        self._file = file
        self.begin()

    def begin(self) -> None:
        """Begin a row, which may have several lines."""
        self.fault = ""
        self.ended = False
        self._second = 0

    def back(self) -> None:
        """Go back to the second line of the row."""
        self._file.seek(self._second)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> str:
        line = self._file.readline()
        if not line:
            self.ended = True
            raise StopIteration
        self._second = self._second or self._file.tell()
        try:
            return line.decode()
        except UnicodeDecodeError as error:
            self.fault = _not_utf8(error)
            return line.decode(errors="replace")


def _rest(file: BufferedReader[FileIO]) -> int:
    """Pass over the rest of a line; returns its bytes."""
    size = 0
    while piece := file.readline(1 << 20):
        size += len(piece)
        if piece.endswith(b"\n"):
            break
    return size


def _why(line: bytes, error: Exception) -> str:
    try:
        line.decode()
    except UnicodeDecodeError as wrong:
        return _not_utf8(wrong)
    return f"broken JSON: {error}"


def _not_utf8(error: UnicodeDecodeError) -> str:
    return f"not UTF-8 (byte {error.object[error.start]:#04x} at {error.start + 1}); save the file as UTF-8"
