"""Tapes from the environment variable: one for each test, or one for the process."""

from __future__ import annotations

import os
import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tako.kit.wire import AROUND
from tako_record import configured
from tako_record.tape import Tape
from tako_record.transport import TapedTransport

if TYPE_CHECKING:
    from tako.kit.http import HttpProvider
    from tako.kit.wire import Transport


def wrap_transports() -> None:
    """Wrap all transports from now on, innermost, so that a ``cassette`` in code wins."""
    if _wrap not in AROUND:
        AROUND.insert(0, _wrap)


def _wrap(transport: Transport, provider: HttpProvider) -> Transport:
    directory = configured.get("directory") or os.environ.get("TAKO_RECORD_DIR")
    if not directory:
        return transport
    test = os.environ.get("PYTEST_CURRENT_TEST", "").rpartition(" ")[0]  # "tests/test_a.py::test_b (call)"
    name = re.sub(r"[^A-Za-z0-9_.\[\]-]+", "-", test.removesuffix("]").replace("[", "-")).strip("-.") or "tape"
    mode: Any = configured.get("mode") or os.environ.get("TAKO_RECORD_MODE") or "auto"
    return TapedTransport(transport, provider, _tape(Path(directory) / f"{name[-150:]}.jsonl", mode))


@cache  # a tape keeps track of what it played
def _tape(path: Path, mode: Any) -> Tape:
    return Tape(path, mode)
