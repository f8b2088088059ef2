"""Results as a folder of Parquet files."""

from __future__ import annotations

import os
import re
from importlib import import_module
from typing import TYPE_CHECKING, Any

import msgspec

from tako.errors import ConfigurationError
from tako_map.journal import JsonLines, lock
from tako_map.record import Known, Record

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_PART = re.compile(r"part-\d+\.parquet")
_JOURNAL = re.compile(r"part-\d+\.jsonl")


class Shards:
    """A directory of Parquet files. Results are appended to a journal, which becomes the next file when it is full.

    ``part-00003.jsonl`` is the journal of ``part-00003.parquet``; once the latter is there, the former is void.
    """

    def __init__(self, path: Path, *, rows: int = 10_000) -> None:
        self.path = path
        self.notes = path / "_run.json"  # readers of a folder of Parquet pass over names that begin like this
        self.repaired = False
        self._rows = rows
        path.mkdir(parents=True, exist_ok=True)
        self._folder = _lock(path)
        self._count = 0
        try:
            self._number = self._first()
            self._journal = JsonLines(self._name("jsonl"))
        except BaseException:
            self._unlock()
            raise

    @property
    def empty(self) -> bool:
        """Whether it has no results."""
        return not self._parts() and self._journal.empty

    def known(self, *, forget_failed: bool = False) -> Iterator[Known]:
        """Read what is there, as ``JsonLines.known`` does."""
        parquet: Any = import_module("pyarrow.parquet")
        for part in self._parts():
            failed = False
            for one in _known_of(part):
                failed = failed or one.error is not None
                if not (forget_failed and one.error is not None):
                    yield one
            if forget_failed and failed:
                table = parquet.read_table(part)
                _put(part, table.filter(table["error"].is_null()))
        for one in self._journal.known(forget_failed=forget_failed):
            self._count += 1
            yield one
        self.repaired = self._journal.repaired

    def write(self, one: Record) -> None:
        """Append a result; it is the system's when this returns. Raises OSError."""
        self._journal.write(one)
        self._count += 1
        if self._count >= self._rows:
            self._turn()

    def clear(self) -> None:
        """Take all results away."""
        for part in self._parts():
            part.unlink()
        self._journal.clear()
        self._count = 0

    def close(self) -> None:
        """Make a file of what the journal holds."""
        if self._count:
            self._turn()
        self.abandon()

    def abandon(self) -> None:
        """Let go of the journal as it is."""
        if self._journal.empty:
            self._journal.path.unlink()
        self._journal.close()
        self._unlock()

    def _unlock(self) -> None:
        if self._folder is not None:
            os.close(self._folder)

    def _turn(self) -> None:
        pa: Any = import_module("pyarrow")
        rows = [msgspec.json.decode(line) for line in self._journal.path.read_bytes().splitlines()]
        for row in rows:
            row["data"] = None if row.get("data") is None else msgspec.json.encode(row["data"]).decode()
        _put(self._name("parquet"), pa.Table.from_pylist(rows, schema=_schema()))
        self._journal.path.unlink()
        self._journal.close()
        self._number = self._last() + 1
        self._count = 0
        self._journal = JsonLines(self._name("jsonl"))

    def _parts(self) -> list[Path]:
        """List the files in their order. Raises ConfigurationError where somebody else's are among them."""
        there = sorted(self.path.glob("*.parquet"))
        other = next((part for part in there if not _PART.fullmatch(part.name)), None)
        if other is not None:
            raise ConfigurationError(f"{other}: it isn't a file of tako map; choose another folder for the results")
        return there

    def _last(self) -> int:
        """Return the number of the last file; -1 where there is none."""
        return max((int(part.stem.removeprefix("part-")) for part in self._parts()), default=-1)

    def _first(self) -> int:
        """Return the number of the journal that goes on, else of a new one; void journals are put away."""
        number = self._last() + 1
        for journal in sorted(self.path.glob("part-*.jsonl"), reverse=True):
            if journal.with_suffix(".parquet").exists():
                journal.unlink()
            elif _JOURNAL.fullmatch(journal.name):
                number = int(journal.stem.removeprefix("part-"))
        return number

    def _name(self, suffix: str) -> Path:
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


def _known_of(part: Path) -> Iterator[Known]:
    """Read a file of results. Raises ConfigurationError where it is damaged, or something else."""
    parquet: Any = import_module("pyarrow.parquet")
    try:
        with parquet.ParquetFile(part) as file:
            there = set(file.schema_arrow.names)
            for batch in file.iter_batches(columns=[name for name in Known.__struct_fields__ if name in there]):
                yield from msgspec.convert(batch.to_pylist(), list[Known])
    except Exception as error:  # whatever pyarrow makes of damaged bytes
        way_out = "choose another folder, or delete this file and have its rows asked again"
        raise ConfigurationError(f"{part}: it can't be read as results of tako map ({error}); {way_out}") from error


def _put(path: Path, table: Any) -> None:
    """Write a Parquet file that is there as a whole or not at all."""
    parquet: Any = import_module("pyarrow.parquet")
    beside = path.with_name(f".{path.name}.new")
    try:
        parquet.write_table(table, beside)
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def _schema() -> Any:
    """Give every file the same columns, whatever its rows have."""
    pa: Any = import_module("pyarrow")
    whole = (
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
    special = {"error": reason, "cost": pa.float64(), "seconds": pa.float64(), **dict.fromkeys(whole, pa.int64())}
    return pa.schema({name: special.get(name, pa.string()) for name in Record.__struct_fields__})
