"""The files that a user trusts, remembered by path and content, with one record for each in the user's state folder.

A ``tako.toml`` may run code and send keys anywhere, so the one in the current folder is only used after ``tako trust``.
"""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

import msgspec
from msgspec import Struct

from tako.errors import ConfigurationError
from tako.folders import state_folder
from tako.referenced_files import read_regular_file

MAX_BYTES = 1024 * 1024
"""The size of the largest record."""


class Record(Struct, frozen=True, forbid_unknown_fields=True):
    """A trusted file: its path, the SHA-256 of its content, and those of the files that it refers to (``beside``)."""

    path: str
    sha256: str
    beside: dict[str, str] = {}


def canonical_path(path: Path) -> Path:
    """Return the path that a file is remembered by: its real folder, and its name there.

    A link isn't resolved, since the same content may refer to other files elsewhere.
    """
    return path.parent.resolve() / path.name


def find_record(path: Path) -> Record | None:
    """Return the record of a file, None if it isn't trusted.

    Raises ConfigurationError if the record can't be read, or if other users could have written it.
    """
    folder = _folder()
    return None if folder is None else _read_record(_record_file(folder, canonical_path(path)))


def remember(path: Path, content: str, files: dict[str, str]) -> None:
    """Trust a file with this content (SHA-256). Raises ConfigurationError if the record can't be written."""
    folder = _folder()
    if folder is None:
        raise ConfigurationError("there is no home folder to remember trusted files in; set HOME or XDG_STATE_HOME")
    record = Record(str(canonical_path(path)), content, files)
    try:
        for directory in (folder.parent, folder):
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=folder)  # only the user can read it
        with open(descriptor, "wb") as file:  # noqa: PTH123 - by its descriptor
            file.write(msgspec.json.format(msgspec.json.encode(record), indent=2))
        Path(name).replace(_record_file(folder, canonical_path(path)))
    except OSError as error:
        raise ConfigurationError(f"can't save trusted files in {folder}: {error.strerror or error}") from None
    find_record(path)  # raises if the record couldn't be used


def forget(path: Path) -> bool:
    """Stop trusting a file. Returns whether it was trusted. Raises ConfigurationError."""
    folder = _folder()
    if folder is None:
        return False
    try:
        _record_file(folder, canonical_path(path)).unlink()
    except FileNotFoundError:
        return False
    except OSError as error:
        raise ConfigurationError(f"can't change {folder}: {error.strerror or error}") from None
    return True


def records() -> list[Record]:
    """List the trusted files, by path. Raises ConfigurationError like ``find_record``."""
    folder = _folder()
    files = sorted(folder.glob("*.json")) if folder is not None else []
    return sorted(
        [record for file in files if (record := _read_record(file)) is not None], key=lambda record: record.path
    )


def _folder() -> Path | None:
    state = state_folder()
    return state / "trusted" if state is not None else None


def _record_file(folder: Path, path: Path) -> Path:
    return folder / f"{sha256(os.fsencode(path)).hexdigest()[:32]}.json"


def _read_record(file: Path) -> Record | None:
    """Read a record, if only the user can write it."""
    try:
        for path in (file.parent.parent, file.parent, file):
            _check_owner(path)
        data = read_regular_file(file, MAX_BYTES)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ConfigurationError(f"{file} can't be read: {error.strerror or error}") from None
    with suppress(msgspec.MsgspecError, UnicodeError, RecursionError):
        record = msgspec.json.decode(data or b"", type=Record)
        if file.name == _record_file(file.parent, Path(record.path)).name:
            return record
    raise ConfigurationError(f"{file} is broken; delete it, and trust its file again")


def _check_owner(path: Path) -> None:
    """Refuse a file or a folder that others could have written. Raises ConfigurationError, or OSError."""
    if os.name == "nt":  # Windows has no modes, and by default a profile's folder belongs to its user
        return
    status = path.stat()
    if status.st_uid not in (0, os.geteuid()) or status.st_mode & 0o022:
        raise ConfigurationError(
            f"other users can write to {path}, so tako doesn't trust it (fix that with chmod go-w, or chown)"
        )
