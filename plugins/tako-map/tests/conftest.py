"""Shared by the tests: inputs, results, and the command in its own process."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

collect_ignore = [] if find_spec("distributed") else ["test_dask.py"]  # the extra `dask`


@pytest.fixture
def rows(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that makes an input: a number of rows with an id and a text."""

    def make(count: int, name: str = "in.jsonl") -> Path:
        path = tmp_path / name
        path.write_text("".join(json.dumps({"id": f"k{i}", "text": f"thing {i}"}) + "\n" for i in range(count)))
        return path

    return make


class Command:
    """`tako map` in its own process."""

    def __init__(self, *arguments: str) -> None:
        command = [sys.executable, "-m", "tako.cli", "map", *arguments]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.communicate()

    def interrupt(self) -> tuple[int, str]:
        self.process.send_signal(signal.SIGINT)
        return self.end()

    def end(self) -> tuple[int, str]:
        _, errors = self.process.communicate(timeout=60)
        return self.process.returncode, errors


@pytest.fixture
def start() -> type[Command]:
    return Command


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture
def wait_until() -> Callable[[Callable[[], bool]], None]:
    """Return a function that waits for a condition."""

    def wait(condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 60.0
        while not condition():
            assert time.monotonic() < deadline, "the condition is still false"
            time.sleep(0.005)

    return wait


@pytest.fixture
def lines() -> Callable[[Path], list[dict[str, Any]]]:
    """Return a function that reads results; every line must be complete."""
    return read
