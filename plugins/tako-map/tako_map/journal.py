"""Results as JSON lines, appended one by one, each a whole line in one write; a kill costs what was in flight."""

from __future__ import annotations

import os
import stat
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec

from tako.errors import ConfigurationError
from tako_map.record import Known, Record

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

encode = msgspec.json.Encoder(enc_hook=str, decimal_format="number").encode
_known = msgspec.json.Decoder(Known).decode


class JsonLines:
    """A file of results. Opening it locks it, and repairs a last line that a kill has torn.

    ``notes`` is the file beside it that says what was asked.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._real = path.resolve()  # a link stays one, and its file has one fingerprint
        self.notes = self._real.with_name(f"{self._real.name}.run.json")
        self._real.parent.mkdir(parents=True, exist_ok=True)
        self._file = _open(self._real)
        self.repaired = False

    @property
    def empty(self) -> bool:
        """Whether it has no results."""
        return os.fstat(self._file).st_size == 0

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
        """Append a result; it is the system's when this returns. Raises OSError, and has written nothing then."""
        line = encode(one) + b"\n"
        done = os.write(self._file, line)
        try:
            while done < len(line):
                done += os.write(self._file, line[done:])
        except OSError:  # the disk is full
            os.truncate(self._file, os.fstat(self._file).st_size - done)
            raise

    def clear(self) -> None:
        """Take all results away."""
        os.truncate(self._file, 0)

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._file)

    abandon = close

    def _read(self) -> Iterator[Known]:
        end = 0
        with self.path.open("rb") as lines:
            for number, line in enumerate(lines, 1):
                if not line.endswith(b"\n"):
                    self.repaired = True  # a kill in the middle of a write
                    break
                try:
                    yield _known(line)
                except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
                    raise ConfigurationError(
                        f"{self.path}: line {number} isn't a result of tako map ({error}); choose another file"
                    ) from error
                end += len(line)
        if self.repaired:
            os.truncate(self._file, end)

    def _rewrite(self) -> None:
        """Write the file again without its failed rows; the old one is whole until the new one is."""
        beside = self._real.with_name(f"{self._real.name}.new")
        with suppress(FileNotFoundError):
            beside.unlink()
        fresh = _open(beside)
        with self.path.open("rb") as lines, os.fdopen(os.dup(fresh), "wb") as kept:
            kept.writelines(line for line in lines if _known(line).error is None)
        os.fsync(fresh)
        beside.replace(self._real)
        os.close(self._file)
        self._file = fresh


def lock(file: int, path: Path) -> None:
    """Lock an open file or folder, so that no two runs write one output; a kill frees it. Raises ConfigurationError."""
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
