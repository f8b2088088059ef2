"""Rows of CSV and TSV. A row that is damaged is said to be; the ones after it are read."""

from __future__ import annotations

import csv
import re
from typing import TYPE_CHECKING, Any, Self

from tako.errors import ConfigurationError
from tako_map.prompt import LARGEST
from tako_map.values import RowError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tako_map.lines import Lines

Cells = tuple[int, Any, "RowError | None"]
"""A row's number, its cells, and what is wrong with it."""
CARRIAGE = re.compile(r"[\r\n]+")
CARRIAGE_RETURN = "a carriage return stands outside quotes"


def table_rows(lines: Lines, delimiter: str, check: Callable[[list[str]], list[str]]) -> Iterator[Cells]:
    """Read a table. ``check`` is given the heading and returns the columns that every row must have.

    Raises ConfigurationError where the heading can't be read.
    """
    csv.field_size_limit(LARGEST)
    text = _Text(lines)
    reader = csv.reader(text, delimiter=delimiter)
    columns = _heading(reader, text)
    needed = {columns.index(name): name for name in check(columns)} if columns else {}
    if not columns:
        return
    rows = _rows(reader, text, lambda line: csv.reader(CARRIAGE.split(line), delimiter=delimiter), len(columns))
    for number, (cells, found) in enumerate(rows, 1):
        problem = found or _misfit(cells, columns, needed, text)
        yield number, dict(zip(columns, cells, strict=False)), RowError(problem) if problem else None


def _rows(
    reader: Iterator[list[str]], text: _Text, split: Callable[[str], Iterator[list[str]]], width: int
) -> Iterator[tuple[list[str], str]]:
    """Return the cells of each row, and what is wrong with it; ``split`` reads a line that has several rows."""
    while True:
        text.begin()
        try:
            cells = next(reader, None)
        except csv.Error as error:
            several = [row for row in split(text.line) if row] if text.has_carriage and not text.fault else []
            if several and all(len(row) == width for row in several):
                yield from ((row, "") for row in several)
            else:
                yield [], text.fault or f"broken CSV: {CARRIAGE_RETURN if text.has_carriage else error}"
            text.back()
            continue
        if cells is None:
            return
        if text.ended:  # in the middle of a row
            text.back()
            yield cells, "a quote is never closed; the lines that follow are read as rows"
        elif cells or text.fault:
            yield cells, text.fault


def _heading(reader: Iterator[list[str]], text: _Text) -> list[str]:
    """Return the columns; none in a file without lines."""
    nothing: list[str] = []
    try:
        columns = next((cells for cells in reader if cells), nothing)
    except csv.Error as error:
        raise ConfigurationError(f"the heading is broken: {error}") from error
    if text.fault:
        raise ConfigurationError(f"the heading is {text.fault}")
    if columns and text.ended:
        raise ConfigurationError("the heading has a quote that is never closed")
    return columns


def _misfit(cells: list[str], columns: list[str], needed: dict[int, str], text: _Text) -> str:
    """Say where the cells of a row don't fit the heading; a row may lack cells that nobody needs."""
    if len(cells) > len(columns) or any(place >= len(cells) for place in needed):
        size = f"it has {len(cells)} cell{'s' * (len(cells) != 1)}, and the heading {len(columns)}"
        return f"{size}; it reaches from line {text.first} to {text.last}: is a quote missing?" if text.long else size
    return ""


class _Text:
    """Lines as text. Bytes that aren't UTF-8 are noted, so that their row is left out and the next one is read."""

    def __init__(self, lines: Lines) -> None:
        self._lines = lines
        self.begin()

    def begin(self) -> None:
        """Begin a row, which may have several lines."""
        self.fault = self.line = ""
        self.ended = False
        self.first = self._lines.number + 1
        self._second = 0

    @property
    def last(self) -> int:
        """The number of the row's last line."""
        return self._lines.number

    @property
    def has_carriage(self) -> bool:
        """Whether it is one line with a carriage return in the middle."""
        return not self.long and "\r" in self.line.rstrip("\r\n")

    @property
    def long(self) -> bool:
        """Whether the row has several lines."""
        return self.last > self.first

    def back(self) -> None:
        """Go back to the second line of the row."""
        self._lines.back(self._second, self.first)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> str:
        line = self._lines.read()
        if line is None:
            self.ended = True
            raise StopIteration
        self._second = self._second or self._lines.place
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


def not_utf8(error: UnicodeDecodeError) -> str:
    """Say which byte isn't UTF-8."""
    return f"not UTF-8 (byte {error.object[error.start]:#04x} at {error.start + 1}); save the file as UTF-8"
