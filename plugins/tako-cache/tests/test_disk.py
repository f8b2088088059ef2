"""The disk: bounded, distrusted, and never in the way."""

from __future__ import annotations

import os
import pickle
import sqlite3
import time
from typing import TYPE_CHECKING, Any

import pytest
import tako_cache
from tako_cache.store import Store

import tako
from tako import ChatResponse, Message
from tako.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

RESPONSE = ChatResponse(Message.assistant("Paris."))


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[Path]:
    cache = tako_cache.Cache(tmp_path / "replies")
    tako.register(cache)
    yield tmp_path / "replies"
    tako.unregister(cache)


def change(directory: Path, statement: str, *values: Any) -> None:
    connection = sqlite3.connect(directory / "cache.db")
    with connection:
        connection.execute(statement, values)
    connection.close()


class Harmful:
    """Unpickling it makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("damage", [b"", b"\x00" * 40, b"garbage"])
def test_a_damaged_entry_is_a_miss(damage: bytes, directory: Path, acme: Any) -> None:
    provider = acme(response=RESPONSE)
    provider.blocking.chat("hi")
    change(directory, "UPDATE Cache SET value = ?", damage)
    assert provider.blocking.chat("hi") == RESPONSE
    assert provider.blocking.chat("hi") == RESPONSE
    assert provider.asked == 2  # the second time it was whole again


def test_one_changed_byte_is_a_miss(directory: Path, acme: Any) -> None:
    provider = acme(response=RESPONSE)
    provider.blocking.chat("hi")
    change(directory, "UPDATE Cache SET value = CAST(replace(CAST(value AS TEXT), 'Paris', 'Paros') AS BLOB)")
    assert provider.blocking.chat("hi") == RESPONSE
    assert provider.asked == 2


def test_a_pickled_entry_is_never_loaded(directory: Path, acme: Any, tmp_path: Path) -> None:
    provider = acme(response=RESPONSE)
    provider.blocking.chat("hi")
    change(directory, "UPDATE Cache SET mode = 4, value = ?", pickle.dumps(Harmful(tmp_path / "harm")))
    assert provider.blocking.chat("hi") == RESPONSE
    assert provider.asked == 2
    assert not (tmp_path / "harm").exists()


def test_a_broken_database_is_no_error(directory: Path, acme: Any, caplog: pytest.LogCaptureFixture) -> None:
    directory.mkdir()
    (directory / "cache.db").write_bytes(b"this is no database" * 100)
    provider = acme(response=RESPONSE)
    assert provider.blocking.chat("hi") == RESPONSE
    assert "cannot be used" in caplog.text


def test_no_secret_and_no_pickle_is_on_the_disk_and_nobody_else_may_read_it(directory: Path, acme: Any) -> None:
    provider = acme(response=RESPONSE, api_key="acme-key-0123456789")
    provider.blocking.chat("a prompt that is nobody's business")
    written = b"".join(path.read_bytes() for path in directory.rglob("*") if path.is_file())
    assert b"Paris." in written
    assert b"acme-key" not in written
    assert b"nobody's business" not in written  # requests are digests
    assert directory.stat().st_mode & 0o077 == 0


def test_the_size_stays_under_its_limit(tmp_path: Path) -> None:
    store = Store(str(tmp_path), tako_cache.MIB, None)
    for number in range(30):
        store.set(number.to_bytes(32), os.urandom(100_000))
    size = sum(path.stat().st_size for path in tmp_path.rglob("*.val"))
    assert size < tako_cache.MIB + 100_000
    assert store.get((29).to_bytes(32)) is not None
    assert store.get((0).to_bytes(32)) is None
    store.set(b"x" * 32, b"x" * 2 * tako_cache.MIB)  # more than all of it
    assert store.get(b"x" * 32) is None
    assert store.get((29).to_bytes(32)) is not None


def test_replies_expire(tmp_path: Path) -> None:
    lasting, passing = Store(str(tmp_path), tako_cache.MIB, 3600), Store(str(tmp_path), tako_cache.MIB, 0.001)
    lasting.set(b"lasting", b"value")
    passing.set(b"passing", b"value")
    time.sleep(0.01)
    assert [lasting.get(b"lasting"), passing.get(b"lasting")] == [b"value"] * 2
    assert [lasting.get(b"passing"), passing.get(b"passing")] == [None] * 2


def test_options_that_cannot_be_right_are_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="above 0"):
        tako_cache.Cache(tmp_path, size_limit=0)
    monkeypatch.setenv("TAKO_CACHE_DIR", str(tmp_path))
    monkeypatch.setenv("TAKO_CACHE_SIZE_LIMIT", "much")
    with pytest.raises(ConfigurationError, match="are numbers"):
        tako_cache.from_environment()
