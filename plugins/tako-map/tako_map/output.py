"""Where results go: standard output, a file of JSON lines, or a folder of Parquet files."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tako.errors import ConfigurationError
from tako_map.journal import JsonLines, encode
from tako_map.shards import Shards

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tako_map.record import Known, Record

STANDARD = "-"
"""The output that is standard output."""


class StandardOutput:
    """Results as JSON lines on standard output: nothing is known of earlier runs."""

    path, notes = Path(STANDARD), None
    empty = True
    repaired = False

    def known(self, *, forget_failed: bool = False) -> Iterator[Known]:
        """Know of no rows."""
        return iter(())

    def write(self, one: Record) -> None:
        """Write a result; the reader has it when this returns. Raises OSError, BrokenPipeError where it is gone."""
        sys.stdout.buffer.write(encode(one) + b"\n")
        sys.stdout.buffer.flush()

    def clear(self) -> None:
        """Have nothing to take away."""

    def abandon(self) -> None:
        """Leave it open, as it was."""

    close = abandon


Output = JsonLines | Shards | StandardOutput


def open_output(path: str | Path) -> Output:
    """Open standard output ("-"), a JSONL file (by its suffix) or a folder of Parquet files.

    Raises ConfigurationError.
    """
    if path == STANDARD:
        return StandardOutput()
    place = Path(path)
    try:
        if place.suffix.lower() in (".jsonl", ".ndjson"):
            return JsonLines(place)
        if place.suffix.lower() in (".parquet", "") and (place.is_dir() or not place.exists()):
            return Shards(place)
    except FileExistsError as error:
        raise ConfigurationError(f"{path}: {error.filename} isn't a folder") from error
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror or error}") from error
    raise ConfigurationError(f"{path}: results go to a .jsonl file, to a folder of Parquet files, or to - (stdout)")
