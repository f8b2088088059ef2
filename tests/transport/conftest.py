"""Nothing of what is tried here may be worth a warning in the logs."""

from __future__ import annotations

import logging
import signal
import ssl
from typing import TYPE_CHECKING, Any

import pytest
import trustme

from tako.kit.wire import AROUND

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator
    from pathlib import Path


@pytest.fixture(autouse=True)
def _quiet(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Nothing here may be worth a warning in the logs, as unclosed sessions are."""
    yield
    assert [
        record.getMessage()
        for record in caplog.records
        if record.levelno >= logging.WARNING and record.name != "stamina"
    ] == []


@pytest.fixture(autouse=True)
def _nothing_around() -> Iterator[None]:
    """Take away what other tests left around transports: a blocking call would have an event loop because of it."""
    left = [*AROUND]
    AROUND.clear()
    yield
    AROUND[:] = left


@pytest.fixture
def authority(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> trustme.CA:
    """An authority that this process trusts."""
    ca = trustme.CA()
    ca.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    return ca


@pytest.fixture
def trusted_tls(authority: trustme.CA) -> ssl.SSLContext:
    """What a server on localhost needs that this process trusts."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    return context


@pytest.fixture
def raising() -> Generator[Callable[[BaseException], None]]:
    """Make SIGUSR1 raise an exception in the main thread."""
    before = signal.getsignal(signal.SIGUSR1)

    def set_error(error: BaseException) -> None:
        def handle(number: int, frame: Any) -> None:
            raise error

        signal.signal(signal.SIGUSR1, handle)

    yield set_error
    signal.signal(signal.SIGUSR1, before)
