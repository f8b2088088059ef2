"""Rows of Parquet. Damage costs the rest of its row group, which is as far as the format lets one read on."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from tako.errors import ConfigurationError
from tako_map.values import RowError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tako_map.tables import Cells

BATCH = 64
"""Rows that are in memory at once."""


class ParquetRows:
    """A Parquet file. ``columns`` are its own, ``fraction`` says how much of it has been read.

    Raises ConfigurationError where it isn't Parquet.
    """

    def __init__(self, path: Path) -> None:
        parquet: Any = import_module("pyarrow.parquet")
        try:
            self._file = parquet.ParquetFile(path, page_checksum_verification=True)
            self.columns = [str(name) for name in self._file.schema_arrow.names]
        except Exception as error:
            raise ConfigurationError(f"it isn't a readable Parquet file: {_line(error)}") from error
        self._total: int = self._file.metadata.num_rows
        self._number = 0

    @property
    def fraction(self) -> float:
        """From 0 to 1."""
        return min(self._number / (self._total or 1), 1.0)

    def rows(self, wanted: list[str]) -> Iterator[Cells]:
        """Read these columns."""
        with self._file:
            for group in range(self._file.num_row_groups):
                end = self._number + self._file.metadata.row_group(group).num_rows
                why = "there are none"
                try:
                    yield from self._group(group, wanted)
                except Exception as error:  # noqa: BLE001 - whatever pyarrow makes of damaged bytes
                    why = _line(error)
                if self._number < end:
                    lost = f"rows {self._number + 1} to {end} can't be read (row group {group + 1}): {why}"
                    yield self._number + 1, None, RowError(lost)
                self._number = end
            if self._number < self._total:
                yield self._number + 1, None, RowError(f"rows {self._number + 1} to {self._total} aren't in the file")

    def _group(self, group: int, wanted: list[str]) -> Iterator[Cells]:
        for batch in self._file.iter_batches(batch_size=BATCH, row_groups=[group], columns=wanted):
            for read in _cells(batch):
                self._number += 1
                yield self._number, *read


def _cells(batch: Any) -> Iterator[tuple[Any, RowError | None]]:
    """Return rows as Python values; where one of them can't be, each is tried for itself."""
    try:
        whole: list[Any] = batch.to_pylist()
    except Exception:  # noqa: BLE001 - a text that isn't UTF-8, a date that Python doesn't have
        for i in range(batch.num_rows):
            yield _single(batch.slice(i, 1))
    else:
        yield from ((cells, None) for cells in whole)


def _single(row: Any) -> tuple[Any, RowError | None]:
    cells: dict[str, Any] = {}
    problem = None
    for name in row.schema.names:
        try:
            cells[name] = row.column(name).to_pylist()[0]
        except Exception as error:  # noqa: BLE001 - as above
            problem = RowError(f"the column {name!r} can't be read: {_line(error)}")
    return cells, problem


def _line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
