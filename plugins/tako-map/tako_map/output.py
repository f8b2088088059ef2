"""Where results go: appended one by one, each a whole line in one write; a kill costs what was in flight."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from tako.errors import ConfigurationError
from tako_map.record import Known, Record

if TYPE_CHECKING:
    from collections.abc import Iterator

_encode = msgspec.json.Encoder(enc_hook=str, decimal_format="number").encode
_known = msgspec.json.Decoder(Known).decode


class JsonLines:
    """A file of results. Opening it locks it, and repairs a last line that a kill has torn."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = _open(path)
        self.repaired = False

    def known(self, *, forget_failed: bool = False) -> Iterator[Known]:
        """Read what is there; with ``forget_failed`` failed rows are taken out, to be asked again.

        Raises ConfigurationError where the file is something else than results.
        """
        failed = False
        for one in self._read():
            failed = failed or one.error is not None
            if not (forget_failed and one.error is not None):
                yield one
        if forget_failed and failed:
            self._rewrite()

    def write(self, one: Record) -> None:
        """Append a result; it is the system's when this returns. Raises OSError."""
        line = _encode(one) + b"\n"
        done = os.write(self._file, line)
        while done < len(line):
            done += os.write(self._file, line[done:])

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._file)

    def _read(self) -> Iterator[Known]:
        end = 0
        with self.path.open("rb") as lines:
            for number, line in enumerate(lines, 1):
                if not line.endswith(b"\n"):
                    self.repaired = True  # a kill in the middle of a write
                    break
                try:
                    yield _known(line)
                except (msgspec.DecodeError, UnicodeError) as error:
                    raise ConfigurationError(
                        f"{self.path}: line {number} is no result of tako map ({error}); choose another file"
                    ) from error
                end += len(line)
        if self.repaired:
            os.truncate(self._file, end)

    def _rewrite(self) -> None:
        """Write the file again without its failed rows; the old one is whole until the new one is."""
        beside = self.path.with_name(self.path.name + ".new")
        with suppress(FileNotFoundError):
            beside.unlink()
        fresh = _open(beside)
        with self.path.open("rb") as lines, os.fdopen(os.dup(fresh), "wb") as kept:
            kept.writelines(line for line in lines if _known(line).error is None)
        os.fsync(fresh)
        beside.replace(self.path)
        os.close(self._file)
        self._file = fresh


class Shards:
    """A directory of Parquet files. Results are appended to a journal, which becomes the next file when it is full.

    ``part-00003.jsonl`` is the journal of ``part-00003.parquet``; once the latter is there, the former is void.
    """

    def __init__(self, path: Path, *, rows: int = 10_000) -> None:
        self.path = path
        self.repaired = False
        self._rows = rows
        path.mkdir(parents=True, exist_ok=True)
        self._number = self._first()
        self._journal = JsonLines(self._name("jsonl"))
        self._count = 0

    def known(self, *, forget_failed: bool = False) -> Iterator[Known]:
        """Read what is there, as ``JsonLines.known`` does."""
        parquet: Any = import_module("pyarrow.parquet")
        for part in self._parts():
            failed = False
            try:
                for batch in parquet.ParquetFile(part).iter_batches(columns=list(Known.__struct_fields__)):
                    for one in msgspec.convert(batch.to_pylist(), list[Known]):
                        failed = failed or one.error is not None
                        if not (forget_failed and one.error is not None):
                            yield one
            except (ValueError, OSError) as error:
                raise ConfigurationError(f"{part}: no result of tako map ({error}); choose another place") from error
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

    def close(self) -> None:
        """Make a file of what the journal holds."""
        if self._count:
            self._turn()
        self._journal.close()
        self._journal.path.unlink()

    def _turn(self) -> None:
        pa: Any = import_module("pyarrow")
        rows = [msgspec.json.decode(line) for line in self._journal.path.read_bytes().splitlines()]
        for row in rows:
            row["data"] = None if row["data"] is None else msgspec.json.encode(row["data"]).decode()
        _put(self._name("parquet"), pa.Table.from_pylist(rows, schema=_schema()))
        self._journal.path.unlink()
        self._journal.close()
        self._number += 1
        self._count = 0
        self._journal = JsonLines(self._name("jsonl"))

    def _parts(self) -> list[Path]:
        return sorted(self.path.glob("part-*.parquet"))

    def _first(self) -> int:
        """Return the number of the file that comes next; void journals are put away."""
        numbers = [int(part.stem.removeprefix("part-")) for part in self._parts()]
        first = max(numbers, default=-1) + 1
        for journal in self.path.glob("part-*.jsonl"):
            if journal.with_suffix(".parquet").exists():
                journal.unlink()
        return first

    def _name(self, suffix: str) -> Path:
        return self.path / f"part-{self._number:05}.{suffix}"


Output = JsonLines | Shards


def open_output(path: str | Path) -> Output:
    """Open a JSONL file by its suffix, else a directory of Parquet files. Raises ConfigurationError."""
    place = Path(path)
    try:
        if place.suffix.lower() in (".jsonl", ".ndjson"):
            return JsonLines(place)
        if place.suffix.lower() in (".parquet", "") and not place.is_file():
            return Shards(place)
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror or error}") from error
    raise ConfigurationError(f"{path}: results go to a .jsonl file, or to a folder of Parquet files")


def _open(path: Path) -> int:
    """Open for appending, and lock, so that no two runs write one output; a kill frees the lock."""
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0), 0o666)
    if sys.platform != "win32":
        import fcntl

        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(file)
            raise ConfigurationError(f"{path}: another run of tako map is writing there") from error
    return file


def _put(path: Path, table: Any) -> None:
    """Write a Parquet file that is there as a whole or not at all."""
    parquet: Any = import_module("pyarrow.parquet")
    beside = path.with_name(f".{path.name}.new")
    parquet.write_table(table, beside)
    beside.replace(path)


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
