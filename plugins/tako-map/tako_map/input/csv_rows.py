"""Rows of CSV and TSV. A damaged row has a problem; the ones after it are read."""

from __future__ import annotations

import csv
import re
from typing import TYPE_CHECKING, Self

from tako.errors import ConfigurationError
from tako_map.input.lines import not_utf8
from tako_map.input.rows import LARGEST, RawRow, RowError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tako_map.input.lines import Lines

LINE_ENDINGS = re.compile(r"[\r\n]+")
CARRIAGE_RETURN = "a carriage return is outside quotes"


def table_rows(lines: Lines, delimiter: str, check: Callable[[list[str]], list[str]]) -> Iterator[RawRow]:
    """Read a table. ``check`` gets the heading and returns the columns that every row must have.

    Raises ConfigurationError if the heading can't be read.
    """
    csv.field_size_limit(LARGEST)
    text = _Text(lines)
    reader = csv.reader(text, delimiter=delimiter)
    columns = _heading(reader, text)
    needed = {columns.index(name): name for name in check(columns)} if columns else {}
    if not columns:
        return
    rows = _rows(reader, text, lambda line: csv.reader(LINE_ENDINGS.split(line), delimiter=delimiter), len(columns))
    for number, (cells, fault) in enumerate(rows, 1):
        problem = fault or _misfit(cells, columns, needed, text)
        yield number, dict(zip(columns, cells, strict=False)), RowError(problem) if problem else None


def _rows(
    reader: Iterator[list[str]], text: _Text, split: Callable[[str], Iterator[list[str]]], width: int
) -> Iterator[tuple[list[str], str]]:
    """Return the cells and the fault of each row; ``split`` reads a line that has several rows."""
    while True:
        text.begin()
        try:
            cells = next(reader, None)
        except csv.Error as error:
            rows = [row for row in split(text.line) if row] if text.has_carriage_return and not text.fault else []
            if rows and all(len(row) == width for row in rows):
                yield from ((row, "") for row in rows)
            else:
                yield [], text.fault or f"broken CSV: {CARRIAGE_RETURN if text.has_carriage_return else error}"
            text.rewind()
            continue
        if cells is None:
            return
        if text.has_ended:  # in the middle of a row
            text.rewind()
            yield cells, "a quote is never closed; the lines that follow are read as rows"
        elif cells or text.fault:
            yield cells, text.fault


def _heading(reader: Iterator[list[str]], text: _Text) -> list[str]:
    """Return the columns; none in a file without lines."""
    no_columns: list[str] = []
    try:
        columns = next((cells for cells in reader if cells), no_columns)
    except csv.Error as error:
        raise ConfigurationError(f"the heading is broken: {error}") from error
    if text.fault:
        raise ConfigurationError(f"the heading is {text.fault}")
    if columns and text.has_ended:
        raise ConfigurationError("the heading has a quote that is never closed")
    return columns


def _misfit(cells: list[str], columns: list[str], needed: dict[int, str], text: _Text) -> str:
    """Describe how the cells of a row don't fit the heading; cells that aren't needed may be missing."""
    if len(cells) > len(columns) or any(index >= len(cells) for index in needed):
        size = f"it has {len(cells)} cell{'s' * (len(cells) != 1)}, and the heading {len(columns)}"
        return (
            f"{size}; it reaches from line {text.first} to {text.last}: is a quote missing?" if text.is_long else size
        )
    return ""


class _Text:
    """Lines as text. Bytes that aren't UTF-8 are noted, so that their row is left out and the next one is read."""

    def __init__(self, lines: Lines) -> None:
        self._lines = lines
        self.begin()

    def begin(self) -> None:
        """Begin a row, which may have several lines."""
        self.fault = self.line = ""
        self.has_ended = False
        self.first = self._lines.number + 1
        self._second_line = 0

    @property
    def last(self) -> int:
        """The number of the row's last line."""
        return self._lines.number

    @property
    def has_carriage_return(self) -> bool:
        """Whether it is one line with a carriage return in the middle."""
        return not self.is_long and "\r" in self.line.rstrip("\r\n")

    @property
    def is_long(self) -> bool:
        """Whether the row has several lines."""
        return self.last > self.first

    def rewind(self) -> None:
        """Continue from the second line of the row."""
        self._lines.seek(self._second_line, self.first)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> str:
        line = self._lines.read()
        if line is None:
            self.has_ended = True
            raise StopIteration
        self._second_line = self._second_line or self._lines.offset
        if self._lines.size > LARGEST:
            self.fault = f"the row has {self._lines.size:,} bytes; {LARGEST:,} are the most"
            return ""
        try:
            decoded = line.decode()
        except UnicodeDecodeError as error:
            self.fault = not_utf8(error)
            decoded = line.decode(errors="replace")
        self.line = self.line or decoded
        return decoded
