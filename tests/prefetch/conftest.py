"""Watches the sockets of every test here: whatever connects, connects to loopback."""

from __future__ import annotations

import sys
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

_connected: list[Any] = []
_watching = False


def _hook(event: str, args: tuple[Any, ...]) -> None:
    if _watching and event == "socket.connect":
        _connected.append(args[1])


sys.addaudithook(_hook)  # sees every connect of the process, whoever makes it; cannot be taken out again


@pytest.fixture(autouse=True)
def connected() -> Iterator[list[Any]]:
    """Return the addresses that sockets were connected to during the test, as the interpreter saw them."""
    global _watching  # noqa: PLW0603 - the hook is the process's own
    _connected.clear()
    _watching = True
    yield _connected
    _watching = False
    assert all(ip_address(address[0]).is_loopback for address in _connected), _connected
