"""Which files a user trusts: remembered by path and content, in the user's own state folder, one file for each.

A ``tako.toml`` may run code and send keys anywhere, so one that merely lies in the current folder isn't obeyed until
``tako trust``.
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
"""Bytes of the largest record."""


class Record(Struct, frozen=True, forbid_unknown_fields=True):
    """A file that is trusted: its path, the SHA-256 of its content, and those of files beside it that it names."""

    path: str
    sha256: str
    beside: dict[str, str] = {}


def canonical_path(path: Path) -> Path:
    """Return the path that a file is remembered by: its real folder, and its name there.

    A link is its own place: elsewhere, the same content may name other files.
    """
    return path.parent.resolve() / path.name


def find_record(path: Path) -> Record | None:
    """Return what is remembered of a file; None where it is not trusted.

    Raises ConfigurationError where the records cannot be read, or others than the user could have written them.
    """
    folder = _folder()
    return None if folder is None else _read_record(_record_file(folder, canonical_path(path)))


def remember(path: Path, content: str, files: dict[str, str]) -> None:
    """Trust a file with this content (SHA-256). Raises ConfigurationError where that cannot be written down."""
    folder = _folder()
    if folder is None:
        raise ConfigurationError("there is no home folder to remember trusted files in; set HOME or XDG_STATE_HOME")
    record = Record(str(canonical_path(path)), content, files)
    try:
        for one in (folder.parent, folder):
            one.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=folder)  # for the user alone
        with open(descriptor, "wb") as file:  # noqa: PTH123 - by its descriptor
            file.write(msgspec.json.format(msgspec.json.encode(record), indent=2))
        Path(name).replace(_record_file(folder, canonical_path(path)))
    except OSError as error:
        raise ConfigurationError(f"can't save trusted files in {folder}: {error.strerror or error}") from None
    find_record(path)  # raises what would keep it from being heeded


def forget(path: Path) -> bool:
    """Trust a file no longer; returns whether it was trusted. Raises ConfigurationError."""
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
    """List what is trusted, by path. Raises ConfigurationError as ``recall`` does."""
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
    """Read a record, from a place that is the user's own."""
    try:
        for one in (file.parent.parent, file.parent, file):
            _check_owner(one)
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
    if os.name == "nt":  # a profile's folder is its user's by default, and modes say nothing there
        return
    status = path.stat()
    if status.st_uid not in (0, os.geteuid()) or status.st_mode & 0o022:
        raise ConfigurationError(
            f"other users can write to {path}, so tako doesn't trust it (fix that with chmod go-w, or chown)"
        )
