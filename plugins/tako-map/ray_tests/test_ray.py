"""Ray: each key once although an actor is killed, and one budget for all actors.

Run apart, since Ray is large: `uv run --isolated --group ray pytest plugins/tako-map/ray_tests`.
"""

# ruff: noqa: INP001, D103, PLR2004 - a folder of tests
from __future__ import annotations

import os
import signal
import time
from collections import deque
from pathlib import Path

import pytest
import tako_map

from tako.testing.server import Received, Reply, reply, serve

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("toy"), pytest.mark.filterwarnings("default")]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def test_two_actors_of_which_one_is_killed_deliver_each_key_once_within_the_budget() -> None:
    count, allowed, window = 400, 250, 5.0  # seconds in the vendor's minute
    past: deque[float] = deque()
    served: list[str] = []
    refused: list[str] = []
    killed: list[int] = []

    def answer(request: Received) -> Reply:
        now, text = time.monotonic(), str(request.json["messages"][-1]["content"])
        while past and now - past[0] > window:
            past.popleft()
        if len(past) >= allowed:
            refused.append(text)
            return reply(status=429, headers={"retry-after": f"{window - (now - past[0]):.3f}"})
        past.append(now)
        served.append(text)
        return reply(json={"text": text}, delay=0.05)

    with serve(answer) as server:
        run = tako_map.run(
            [(f"k{i}", f"k{i}") for i in range(count)],
            "toy:m",
            options={"url": server.url},
            engine="ray",
            workers=2,
            rpm=allowed / window * 60,
        )
        keys: list[str] = []
        async for result in run:
            assert result.text == result.key, result.error
            if not keys:
                began, first = time.monotonic(), len(served)
            keys.append(result.key)
            if len(keys) == count // 3:
                killed.append(_worker_pid())
                os.kill(killed[0], signal.SIGKILL)
        seconds = time.monotonic() - began
    assert killed
    assert sorted(keys) == sorted(f"k{i}" for i in range(count))
    assert len(served) - count <= 64
    assert len(refused) < 0.01 * len(served)
    # Dask holds 0.9 here; Ray was measured at 0.76 to 0.80 with a kill in a run this short
    assert (len(served) - first) / seconds >= 0.7 * allowed / window, (len(served), seconds)


def _worker_pid() -> int:
    """Find the process of an actor of ours, by the name that Ray gives it (on Linux)."""
    for status in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = status.read_bytes()
        except OSError:
            continue
        if line.startswith(b"ray::Worker"):
            return int(status.parent.name)
    raise AssertionError("no actor of ours runs")
