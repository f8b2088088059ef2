"""Rows of Parquet. After a damaged row, the rest of its row group can't be read; the next groups can."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from tako.errors import ConfigurationError
from tako_map.input.rows import RowError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tako_map.input.rows import RawRow

BATCH = 64
"""Rows that are in memory at once."""


class ParquetRows:
    """A Parquet file. ``fraction`` says how much of it has been read.

    Raises ConfigurationError if it isn't Parquet.
    """

    def __init__(self, path: Path) -> None:
        parquet: Any = import_module("pyarrow.parquet")
        try:
            self._file = parquet.ParquetFile(path, page_checksum_verification=True)
            self.columns = [str(name) for name in self._file.schema_arrow.names]
        except Exception as error:
            raise ConfigurationError(f"it isn't a readable Parquet file: {_one_line(error)}") from error
        self._total: int = self._file.metadata.num_rows
        self._number = 0

    @property
    def fraction(self) -> float:
        """From 0 to 1."""
        return min(self._number / (self._total or 1), 1.0)

    def rows(self, columns: list[str]) -> Iterator[RawRow]:
        """Read these columns."""
        with self._file:
            for group in range(self._file.num_row_groups):
                end = self._number + self._file.metadata.row_group(group).num_rows
                reason = "there are none"
                try:
                    yield from self._group(group, columns)
                except Exception as error:  # noqa: BLE001 - pyarrow has many errors for damaged bytes
                    reason = _one_line(error)
                if self._number < end:
                    problem = f"rows {self._number + 1} to {end} can't be read (row group {group + 1}): {reason}"
                    yield self._number + 1, None, RowError(problem)
                self._number = end
            if self._number < self._total:
                yield self._number + 1, None, RowError(f"rows {self._number + 1} to {self._total} aren't in the file")

    def _group(self, group: int, columns: list[str]) -> Iterator[RawRow]:
        for batch in self._file.iter_batches(batch_size=BATCH, row_groups=[group], columns=columns):
            for cells, problem in _cells(batch):
                self._number += 1
                yield self._number, cells, problem


def _cells(batch: Any) -> Iterator[tuple[Any, RowError | None]]:
    """Return rows as Python values; if one of them fails, each is converted on its own."""
    try:
        rows: list[Any] = batch.to_pylist()
    except Exception:  # noqa: BLE001 - a text that isn't UTF-8, a date that Python doesn't have
        for i in range(batch.num_rows):
            yield _single(batch.slice(i, 1))
    else:
        yield from ((cells, None) for cells in rows)


def _single(row: Any) -> tuple[Any, RowError | None]:
    cells: dict[str, Any] = {}
    problem = None
    for name in row.schema.names:
        try:
            cells[name] = row.column(name).to_pylist()[0]
        except Exception as error:  # noqa: BLE001 - as above
            problem = RowError(f"the column {name!r} can't be read: {_one_line(error)}")
    return cells, problem


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
