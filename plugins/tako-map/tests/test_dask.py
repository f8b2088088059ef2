"""Dask: each key once whoever comes and goes, one budget for all workers, and keys that stay where they are."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections import deque
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import distributed
import pytest
import tako_map

from tako import ConfigurationError, PluginError, get_provider
from tako.testing.server import Received, Reply, reply, serve

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("toy"), pytest.mark.filterwarnings("default")]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@asynccontextmanager
async def cluster(workers: int) -> AsyncGenerator[Any, None]:
    made = distributed.LocalCluster(
        n_workers=workers, threads_per_worker=1, dashboard_address=None, asynchronous=True, silence_logs=50
    )
    async with made:
        yield made


def vendor(allowed: int, seconds: float, served: dict[str, int], refused: list[str]) -> Any:
    """A vendor that allows so many requests within any so many seconds."""
    past: deque[float] = deque()

    def answer(request: Received) -> Reply:
        now, text = time.monotonic(), str(request.json["messages"][-1]["content"])
        while past and now - past[0] > seconds:
            past.popleft()
        if len(past) >= allowed:
            refused.append(text)
            return reply(status=429, headers={"retry-after": f"{seconds - (now - past[0]):.3f}"})
        past.append(now)
        served[text] = served.get(text, 0) + 1
        return reply(json={"text": text}, delay=0.05)

    return answer


async def test_each_key_comes_once_although_one_of_four_workers_is_killed_and_one_added() -> None:
    count, allowed, window = 400, 100_000, 60.0  # how a budget holds is the pace's own test: here no clock decides
    served: dict[str, int] = {}
    refused: list[str] = []
    async with cluster(4) as made:
        with serve(vendor(allowed, window, served, refused)) as server:
            run = tako_map.run(
                [(f"k{i}", f"k{i}") for i in range(count)],
                "toy:m",
                options={"url": server.url},
                engine="dask",
                address=made.scheduler_address,
            )
            keys: list[str] = []
            async for result in run:
                assert result.text == result.key, result.error
                keys.append(result.key)
                if len(keys) == count // 3:
                    victim = next(iter(made.workers.values()))
                    os.kill(victim.pid, signal.SIGKILL)
                    made.scale(5)
    assert sorted(keys) == sorted(f"k{i}" for i in range(count))
    calls = sum(served.values())
    assert calls - count <= 64  # what the lost worker had and had not delivered
    assert refused == []


async def test_workers_read_their_keys_themselves_and_a_key_in_the_options_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"options\.api_key holds a key itself, and keys do not travel"):
        async for _ in tako_map.run(["a"], "toy:m", options={"api_key": "sk-1"}, engine="dask"):
            pass
    with pytest.raises(ConfigurationError, match="pass the id"):
        async for _ in tako_map.run(["a"], get_provider("toy"), engine="dask"):
            pass


async def test_workers_that_lack_a_plugin_say_which(toy: Any) -> None:
    async with cluster(1) as made:
        (toy / "tako_toy-1.0.dist-info").rename(toy / "tako_toy-2.0.dist-info")
        metadata = toy / "tako_toy-2.0.dist-info" / "METADATA"
        metadata.write_text(metadata.read_text().replace("Version: 1.0", "Version: 2.0"))
        async with distributed.Client(made, asynchronous=True) as client:
            await client.run(_see_version, "1.0")
        run = tako_map.run(["a"], "toy:m", engine="dask", address=made.scheduler_address)
        with pytest.raises(PluginError, match=r"no worker can be used: .*tako-toy is 1\.0, not 2\.0"):
            await asyncio.wait_for(_all(run), 20)


def _see_version(version: str) -> None:
    from tako_map import session

    real = session.version
    session.version = lambda name: version if name == "tako-toy" else real(name)


async def _all(run: Any) -> None:
    async for _ in run:
        pass
