"""A local file that is uploaded to a vendor: ``await provider.upload("report.pdf")`` opens one."""

from __future__ import annotations

import os
from os import PathLike
from pathlib import Path

from tako.media import HEAD_SIZE, type_of

FilePath = str | PathLike[str]

UNKNOWN = "application/octet-stream"
"""The type of a file if it's unknown."""


class LocalFile:
    """A file's name, type and size in bytes, and its content, which is read on demand.

    ``mime`` is detected by its first bytes and its name unless you pass it. Raises OSError if the file can't be read.
    """

    def __init__(self, path: FilePath, *, mime: str | None = None, name: str | None = None) -> None:
        self.path = Path(path)
        self.name = name or self.path.name
        self._file = self.path.open("rb")
        self.size = os.fstat(self._file.fileno()).st_size
        self.mime = mime or type_of(self._file.read(HEAD_SIZE), self.path) or UNKNOWN

    def read(self, offset: int, size: int) -> bytes:
        """Read ``size`` bytes at an offset."""
        self._file.seek(offset)
        return self._file.read(size)

    def close(self) -> None:
        """Close the file."""
        self._file.close()
