"""Results as a folder of Parquet files."""

from __future__ import annotations

import os
import re
from importlib import import_module
from typing import TYPE_CHECKING, Any

import msgspec

from tako.errors import ConfigurationError
from tako_map.output.json_lines import JsonLinesFile, lock
from tako_map.output.record import FinishedRow, Record

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_PART = re.compile(r"part-\d+\.parquet")
_JOURNAL = re.compile(r"part-\d+\.jsonl")


class ParquetFolder:
    """A folder of Parquet files. Results are appended to a journal, which becomes the next file when it's full.

    ``part-00003.jsonl`` is the journal of ``part-00003.parquet``; once the latter exists, the former is obsolete.
    """

    def __init__(self, path: Path, *, rows: int = 10_000) -> None:
        self.path = path
        self.fingerprint_path = path / "_run.json"  # readers of a folder of Parquet skip names that begin with _
        self.is_repaired = False
        self._max_rows = rows
        path.mkdir(parents=True, exist_ok=True)
        self._folder = _lock(path)
        self._count = 0
        try:
            self._number = self._journal_number()
            self._journal = JsonLinesFile(self._part("jsonl"))
        except BaseException:
            self._unlock()
            raise

    @property
    def is_empty(self) -> bool:
        """Whether it has no results."""
        return not self._parts() and self._journal.is_empty

    def finished_rows(self, *, forget_failed: bool = False) -> Iterator[FinishedRow]:
        """Read the rows that it has, as ``JsonLinesFile.finished_rows`` does."""
        parquet: Any = import_module("pyarrow.parquet")
        for part in self._parts():
            has_failed = False
            for row in _read(part):
                has_failed = has_failed or row.error is not None
                if not (forget_failed and row.error is not None):
                    yield row
            if forget_failed and has_failed:
                table = parquet.read_table(part)
                _write(part, table.filter(table["error"].is_null()))
        for row in self._journal.finished_rows(forget_failed=forget_failed):
            self._count += 1
            yield row
        self.is_repaired = self._journal.is_repaired

    def write(self, record: Record) -> None:
        """Append a result; when this returns, the system has it. Raises OSError."""
        self._journal.write(record)
        self._count += 1
        if self._count >= self._max_rows:
            self._convert_journal()

    def clear(self) -> None:
        """Delete all results."""
        for part in self._parts():
            part.unlink()
        self._journal.clear()
        self._count = 0

    def close(self) -> None:
        """Write the journal's results to a Parquet file, and close."""
        if self._count:
            self._convert_journal()
        self.abandon()

    def abandon(self) -> None:
        """Close, and leave the journal as it is."""
        if self._journal.is_empty:
            self._journal.path.unlink()
        self._journal.close()
        self._unlock()

    def _unlock(self) -> None:
        if self._folder is not None:
            os.close(self._folder)

    def _convert_journal(self) -> None:
        pa: Any = import_module("pyarrow")
        rows = [msgspec.json.decode(line) for line in self._journal.path.read_bytes().splitlines()]
        for row in rows:
            row["data"] = None if row.get("data") is None else msgspec.json.encode(row["data"]).decode()
        _write(self._part("parquet"), pa.Table.from_pylist(rows, schema=_schema()))
        self._journal.path.unlink()
        self._journal.close()
        self._number = self._last_number() + 1
        self._count = 0
        self._journal = JsonLinesFile(self._part("jsonl"))

    def _parts(self) -> list[Path]:
        """List the files in their order. Raises ConfigurationError if there are others than those of tako map."""
        parts = sorted(self.path.glob("*.parquet"))
        other = next((part for part in parts if not _PART.fullmatch(part.name)), None)
        if other is not None:
            raise ConfigurationError(f"{other}: it isn't a file of tako map; choose another folder for the results")
        return parts

    def _last_number(self) -> int:
        """Return the number of the last file; -1 if there isn't one."""
        return max((int(part.stem.removeprefix("part-")) for part in self._parts()), default=-1)

    def _journal_number(self) -> int:
        """Return the number of the journal to continue, else of a new one. Obsolete journals are deleted."""
        number = self._last_number() + 1
        for journal in sorted(self.path.glob("part-*.jsonl"), reverse=True):
            if journal.with_suffix(".parquet").exists():
                journal.unlink()
            elif _JOURNAL.fullmatch(journal.name):
                number = int(journal.stem.removeprefix("part-"))
        return number

    def _part(self, suffix: str) -> Path:
        return self.path / f"part-{self._number:05}.{suffix}"


def _lock(folder: Path) -> int | None:
    """Lock a folder; Windows can't open one."""
    if os.name == "nt":
        return None
    file = os.open(folder, os.O_RDONLY)
    try:
        lock(file, folder)
    except BaseException:
        os.close(file)
        raise
    return file


def _read(part: Path) -> Iterator[FinishedRow]:
    """Read a file of results. Raises ConfigurationError if it's damaged, or something else."""
    parquet: Any = import_module("pyarrow.parquet")
    try:
        with parquet.ParquetFile(part) as file:
            names = set(file.schema_arrow.names)
            for batch in file.iter_batches(columns=[name for name in FinishedRow.__struct_fields__ if name in names]):
                yield from msgspec.convert(batch.to_pylist(), list[FinishedRow])
    except Exception as error:  # pyarrow has many errors for damaged bytes
        advice = "choose another folder, or delete this file, so that its rows are sent again"
        raise ConfigurationError(f"{part}: it can't be read as results of tako map ({error}); {advice}") from error


def _write(path: Path, table: Any) -> None:
    """Write a Parquet file; it replaces an old one when it's complete."""
    parquet: Any = import_module("pyarrow.parquet")
    new_path = path.with_name(f".{path.name}.new")
    try:
        parquet.write_table(table, new_path)
        new_path.replace(path)
    finally:
        new_path.unlink(missing_ok=True)


def _schema() -> Any:
    """Return the columns, which all files have, even those that are null in every row."""
    pa: Any = import_module("pyarrow")
    integers = (
        "row",
        "input_tokens",
        "output_tokens",
        "cached_tokens",
        "cache_write_tokens",
        "reasoning_tokens",
        "attempts",
    )
    texts = {"type": pa.string(), "message": pa.string(), "status_code": pa.int64(), "code": pa.string()}
    reason = pa.struct({**texts, "request_id": pa.string(), "retryable": pa.bool_()})
    types = {"error": reason, "cost": pa.float64(), "seconds": pa.float64(), **dict.fromkeys(integers, pa.int64())}
    return pa.schema({name: types.get(name, pa.string()) for name in Record.__struct_fields__})
