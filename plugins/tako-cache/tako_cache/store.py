"""Bytes on disk, bounded. Blocking: call it from worker threads. The only module that imports diskcache."""

from __future__ import annotations

import hashlib
import logging
import os
import sqlite3
from contextlib import suppress
from threading import Lock
from typing import TYPE_CHECKING, Any

import diskcache  # type: ignore[import-untyped]  # pyright: ignore[reportMissingTypeStubs] - it has none

if TYPE_CHECKING:
    from collections.abc import Callable

_LOG = logging.getLogger("tako_cache")
_Disk: Any = diskcache.Disk
_DIGEST = 32
_MODE_PICKLE = 4
"""diskcache's mark of a pickled value."""


class PlainDisk(_Disk):  # type: ignore[misc]  # diskcache has no types
    """Reads bytes and nothing else: whoever can write to the directory must not make this process run code."""

    def get(self, key: Any, raw: Any) -> Any:
        """Return a key that is bytes."""
        if not raw:
            raise OSError("a key of the cache is pickled")
        disk: Any = super()
        return disk.get(key, raw)

    def fetch(self, mode: Any, filename: Any, value: Any, read: Any) -> Any:
        """Return a value that is bytes; diskcache takes the error for an entry that is gone."""
        if mode == _MODE_PICKLE:
            raise OSError("a value of the cache is pickled")
        disk: Any = super()
        return disk.fetch(mode, filename, value, read)


class Store:
    """Values by key. Whatever goes wrong with the disk is a miss and a word to the log, never an error."""

    def __init__(self, directory: str, size_limit: int, expire: float | None) -> None:
        self._directory = os.path.expanduser(directory)  # noqa: PTH111 - diskcache takes str
        self._size_limit = size_limit
        self._expire = expire
        self._opened: Any = None
        self._lock = Lock()

    def get(self, key: bytes) -> bytes | None:
        """Return what is stored under a key, whole and unchanged; None where nothing is."""
        value = self._with(lambda cache: cache.get(key))
        if not isinstance(value, bytes):
            return None
        digest, data = value[:_DIGEST], value[_DIGEST:]
        return data if hashlib.sha256(data).digest() == digest else None

    def set(self, key: bytes, data: bytes) -> None:
        """Store a value, unless there is no room for it; the oldest ones make way."""
        if len(data) < self._size_limit:
            self._with(lambda cache: cache.set(key, hashlib.sha256(data).digest() + data, expire=self._expire))

    def clear(self) -> None:
        """Remove everything."""
        self._with(lambda cache: cache.clear())

    def _with(self, work: Callable[[Any], Any]) -> Any:
        """Do something with the cache, whose connection to SQLite lives only so long: worker threads come and go."""
        try:
            cache = self._open()
            try:
                return work(cache)
            finally:
                cache.close()
        except (OSError, sqlite3.Error, diskcache.Timeout, ValueError, TypeError) as error:
            _LOG.warning("the cache in %s cannot be used: %s: %s", self._directory, type(error).__name__, error)
            return None

    def _open(self) -> Any:
        with self._lock:
            if self._opened is None:
                with suppress(FileExistsError):
                    os.makedirs(self._directory, mode=0o700)  # noqa: PTH103 - what is said is nobody else's business
                self._opened = diskcache.Cache(
                    self._directory,
                    disk=PlainDisk,
                    size_limit=self._size_limit,
                    disk_min_file_size=32 * 1024,
                )
            return self._opened
