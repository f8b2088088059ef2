"""Results as JSON lines, in a file or on standard output.

Each result is one line in one write, so if the process is killed, only the calls that are under way are lost.
"""

from __future__ import annotations

import os
import stat
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from tako.errors import ConfigurationError
from tako_map.output.record import FinishedRow, Record

if TYPE_CHECKING:
    from collections.abc import Iterator

encode = msgspec.json.Encoder(enc_hook=str, decimal_format="number").encode
_decode = msgspec.json.Decoder(FinishedRow).decode


STANDARD = "-"
"""The output that is standard output."""


class StandardOutput:
    """Results as JSON lines on standard output. Nothing is known of earlier runs."""

    path, fingerprint_path = Path(STANDARD), None
    is_empty = True
    is_repaired = False

    def finished_rows(self, *, forget_failed: bool = False) -> Iterator[FinishedRow]:
        """Return no rows."""
        return iter(())

    def write(self, record: Record) -> None:
        """Write a result and flush. Raises OSError; BrokenPipeError if the reader is gone."""
        sys.stdout.buffer.write(encode(record) + b"\n")
        sys.stdout.buffer.flush()

    def clear(self) -> None:
        """Do nothing, because what was printed can't be deleted."""

    def abandon(self) -> None:
        """Leave it open, as it was."""

    close = abandon


class JsonLinesFile:
    """A file of results. Opening it locks it, and repairs a last line that a killed run has left incomplete.

    ``fingerprint_path`` is the file with the run's fingerprint.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._target = path.resolve()  # a link stays a link, and its file has one fingerprint
        self.fingerprint_path = self._target.with_name(f"{self._target.name}.run.json")
        self._target.parent.mkdir(parents=True, exist_ok=True)
        self._file = _open(self._target)
        self.is_repaired = False

    @property
    def is_empty(self) -> bool:
        """Whether it has no results."""
        return os.fstat(self._file).st_size == 0

    def finished_rows(self, *, forget_failed: bool = False) -> Iterator[FinishedRow]:
        """Read the rows that it has. With ``forget_failed`` failed rows are removed, so that they are sent again.

        Raises ConfigurationError if the file has something else than results.
        """
        has_failed = False
        for row in self._read():
            has_failed = has_failed or row.error is not None
            if not (forget_failed and row.error is not None):
                yield row
        if forget_failed and has_failed:
            self._rewrite()

    def write(self, record: Record) -> None:
        """Append a result; when this returns, the system has it. If it raises OSError, nothing was written."""
        line = encode(record) + b"\n"
        written = os.write(self._file, line)
        try:
            while written < len(line):
                written += os.write(self._file, line[written:])
        except OSError:  # the disk is full
            os.truncate(self._file, os.fstat(self._file).st_size - written)
            raise

    def clear(self) -> None:
        """Delete all results."""
        os.truncate(self._file, 0)

    def close(self) -> None:
        """Close the file, which unlocks it."""
        os.close(self._file)

    abandon = close

    def _read(self) -> Iterator[FinishedRow]:
        end = 0
        with self.path.open("rb") as lines:
            for number, line in enumerate(lines, 1):
                if not line.endswith(b"\n"):
                    self.is_repaired = True  # a kill in the middle of a write
                    break
                try:
                    yield _decode(line)
                except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
                    raise ConfigurationError(
                        f"{self.path}: line {number} isn't a result of tako map ({error}); choose another file"
                    ) from error
                end += len(line)
        if self.is_repaired:
            os.truncate(self._file, end)

    def _rewrite(self) -> None:
        """Write the file again without its failed rows; the new file replaces the old one when it's complete."""
        new_path = self._target.with_name(f"{self._target.name}.new")
        with suppress(FileNotFoundError):
            new_path.unlink()
        new_file = _open(new_path)
        with self.path.open("rb") as lines, os.fdopen(os.dup(new_file), "wb") as copy:
            copy.writelines(line for line in lines if _decode(line).error is None)
        os.fsync(new_file)
        new_path.replace(self._target)
        os.close(self._file)
        self._file = new_file


def lock(file: int, path: Path) -> None:
    """Lock an open file or folder against other runs, until the process ends. Raises ConfigurationError."""
    if sys.platform != "win32":
        import fcntl

        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ConfigurationError(f"{path}: another run of tako map is writing there") from error


def _open(path: Path) -> int:
    """Open for appending, and lock."""
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0), 0o666)
    if not stat.S_ISREG(os.fstat(file).st_mode):
        os.close(file)
        raise ConfigurationError(f"{path}: it isn't a regular file; - is standard output")
    try:
        lock(file, path)
    except ConfigurationError:
        os.close(file)
        raise
    return file
