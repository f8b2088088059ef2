"""The disk: its size is limited, its content is checked, and its failures are only misses."""

from __future__ import annotations

import os
import pickle
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
import tako_cache
from tako_cache.store import Store

import tako
from tako import ChatResponse, Delta, End, Message
from tako.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

RESPONSE = ChatResponse(Message.assistant("Paris."), provider="acme:acme-1")


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[Path]:
    cache = tako_cache.Cache(tmp_path / "replies")
    tako.register(cache)
    yield tmp_path / "replies"
    tako.unregister(cache)


def change(directory: Path, statement: str, *values: Any) -> None:
    with closing(sqlite3.connect(directory / "replies-1.db")) as database, database:
        database.execute(statement, values)


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
    change(directory, "UPDATE replies SET value = ?", damage)
    assert provider.blocking.chat("hi") == RESPONSE
    assert provider.blocking.chat("hi") == RESPONSE
    assert provider.calls == 2  # the second time it was whole again


def test_one_changed_byte_is_a_miss(directory: Path, acme: Any) -> None:
    provider = acme(response=RESPONSE)
    provider.blocking.chat("hi")
    change(directory, "UPDATE replies SET value = CAST(replace(CAST(value AS TEXT), 'Paris', 'Paros') AS BLOB)")
    assert provider.blocking.chat("hi") == RESPONSE
    assert provider.calls == 2


def test_a_pickled_entry_is_never_loaded(directory: Path, acme: Any, tmp_path: Path) -> None:
    provider = acme(response=RESPONSE)
    provider.blocking.chat("hi")
    change(directory, "UPDATE replies SET value = ?", pickle.dumps(Harmful(tmp_path / "harm")))
    assert provider.blocking.chat("hi") == RESPONSE
    assert provider.calls == 2
    assert not (tmp_path / "harm").exists()


@pytest.mark.parametrize("damage", [0, 100, 5000], ids=lambda at: f"from byte {at}")
def test_a_damaged_file_is_one_warning_and_a_miss_and_a_new_one_begins(
    damage: int, directory: Path, acme: Any, caplog: pytest.LogCaptureFixture
) -> None:
    provider = acme(response=RESPONSE, chunks=[Delta("Paris."), End()])
    provider.blocking.chat("hi")
    [file] = directory.iterdir()
    content = file.read_bytes()
    file.write_bytes(content[:damage] + b"x" * (len(content) - damage))
    for _ in range(3):
        assert provider.blocking.chat("hi") == RESPONSE
        assert provider.blocking.stream("hi").response().text == "Paris."
    assert provider.calls == 3  # before the damage, after it, and the stream once
    [warning] = caplog.messages
    assert "is damaged" in warning
    assert sorted(path.name for path in directory.iterdir()) == ["replies-1.damaged", "replies-1.db"]


@pytest.mark.skipif(sys.platform == "win32", reason="a folder in the file's place is another error there")
def test_a_disk_that_fails_is_one_warning_and_misses(
    directory: Path, acme: Any, caplog: pytest.LogCaptureFixture
) -> None:
    (directory / "replies-1.db").mkdir(parents=True)
    provider = acme(response=RESPONSE)
    for _ in range(3):
        assert provider.blocking.chat("hi") == RESPONSE
    assert provider.calls == 3
    [warning] = caplog.messages
    assert "can't be used" in warning


WRITER = """
import sys
from tako_cache.store import Store

store = Store(sys.argv[1], 10**6, None)
for number in range(100):
    store.set(f"{sys.argv[2]} {number}".encode(), b"value")
"""


def test_processes_and_threads_write_at_the_same_time(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    others = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path), name], stderr=subprocess.PIPE, text=True)
        for name in ("first", "second")
    ]
    store = Store(str(tmp_path), 10**6, None)
    with ThreadPoolExecutor(4) as pool:
        for number in range(100):
            pool.submit(store.set, f"thread {number}".encode(), b"value")
    assert [other.communicate() for other in others] == [(None, "")] * 2
    keys = [f"{name} {number}".encode() for name in ("first", "second", "thread") for number in range(100)]
    assert [store.get(key) for key in keys] == [b"value"] * 300
    assert caplog.messages == []


def test_the_file_has_no_secrets_and_no_pickles_and_is_private(directory: Path, acme: Any) -> None:
    provider = acme(response=RESPONSE, api_key="acme-key-0123456789")
    provider.blocking.chat("a prompt that is nobody's business")
    written = b"".join(path.read_bytes() for path in directory.rglob("*") if path.is_file())
    assert b"Paris." in written
    assert b"acme-key" not in written
    assert b"nobody's business" not in written  # requests are digests
    assert [path for path in (directory, *directory.iterdir()) if path.stat().st_mode & 0o077] == []


def test_the_size_stays_under_its_limit(tmp_path: Path) -> None:
    store = Store(str(tmp_path), tako_cache.MIB, None)
    for number in range(30):
        store.set(bytes([number]), os.urandom(100_000))
    answered = [number for number in range(30) if store.get(bytes([number])) is not None]
    assert answered == list(range(20, 30))
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) < 1.2 * tako_cache.MIB
    store.set(b"large", b"x" * 2 * tako_cache.MIB)  # more than all of it
    assert store.get(b"large") is None
    assert store.get(bytes([29])) is not None
    store.set(bytes([29]), b"another value")
    assert store.get(bytes([29])) == b"another value"
    store.clear()
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) < 0.1 * tako_cache.MIB


def test_replies_expire(tmp_path: Path) -> None:
    permanent, passing = Store(str(tmp_path), tako_cache.MIB, 3600), Store(str(tmp_path), tako_cache.MIB, 1e-9)
    permanent.set(b"lasting", b"value")
    passing.set(b"passing", b"value")
    assert [permanent.get(b"lasting"), passing.get(b"lasting")] == [b"value"] * 2
    assert [permanent.get(b"passing"), passing.get(b"passing")] == [None] * 2


def test_invalid_options_are_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="above 0"):
        tako_cache.Cache(tmp_path, size_limit=0)
    monkeypatch.setenv("TAKO_CACHE_DIR", str(tmp_path))
    monkeypatch.setenv("TAKO_CACHE_SIZE_LIMIT", "much")
    with pytest.raises(ConfigurationError, match="must be numbers"):
        tako_cache.from_environment()
