"""Dask: each key is done once although workers come and go, runs share a budget, and workers get no secrets."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from typing import TYPE_CHECKING, Any

import dask
import distributed
import pytest
import tako_map

from tako import ConfigurationError, PluginError, get_provider
from tako.cli import main
from tako.testing.server import Received, Reply, reply, serve

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

PROCESSES = {"distributed.worker.multiprocessing-method": "forkserver"}
"""Workers that don't have to import everything, each for itself."""
pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("toy"), pytest.mark.filterwarnings("default")]


@pytest.fixture(scope="module")
def cluster(toy_folder: Path) -> Generator[Any, None, None]:
    """Four worker processes; a killed one is replaced."""
    with pytest.MonkeyPatch.context() as patch, dask.config.set(PROCESSES):
        patch.syspath_prepend(str(toy_folder))
        with distributed.LocalCluster(
            n_workers=4, threads_per_worker=1, dashboard_address=None, silence_logs=50
        ) as cluster:
            yield cluster


def budgets(cluster: Any) -> dict[str, str]:
    """Return the actors with the budgets, and their states."""
    tasks = cluster.scheduler.tasks
    return {str(key): tasks[key].state for key in list(tasks) if str(key).startswith("tako-map-budget-")}


async def gather(run: tako_map.Run) -> list[Any]:
    keys: list[Any] = []
    async for result in run:
        assert result.error is None, result.error
        keys.append(result.key)
    return keys


@pytest.mark.usefixtures("newer_toy")
async def test_the_error_names_the_plugin_that_workers_do_not_have(cluster: Any) -> None:
    run = tako_map.run(["a"], "toy:m", engine="dask", address=cluster.scheduler_address)
    with pytest.raises(PluginError, match=r"no worker can be used: .*tako-toy is 1\.0, not 2\.0"):
        await gather(run)


async def test_workers_read_their_keys_themselves_and_a_key_in_the_options_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"options\.api_key holds a key itself, and keys don't travel"):
        await gather(tako_map.run(["a"], "toy:m", options={"api_key": "sk-1"}, engine="dask"))
    with pytest.raises(ConfigurationError, match="pass the id"):
        await gather(tako_map.run(["a"], get_provider("toy"), engine="dask"))


async def test_two_runs_on_a_cluster_share_one_budget_which_ends_with_the_last_of_them(cluster: Any) -> None:
    times: list[float] = []
    snapshots: list[dict[str, str]] = []

    def answer(_: Received) -> Reply:
        times.append(time.monotonic())
        if len(times) % 20 == 0:
            snapshots.append(budgets(cluster))
        return reply(json={"text": "ok"})

    with serve(answer) as server:
        common: Any = {"options": {"url": server.url}, "engine": "dask", "address": cluster.scheduler_address}
        runs = [tako_map.run(range_of(name, 80), "toy:m", rpm=6000, **common) for name in "ab"]
        began = time.monotonic()
        keys = await asyncio.gather(*map(gather, runs))
    assert [sorted(run_keys) for run_keys in keys] == [sorted(f"{name}{i}" for i in range(80)) for name in "ab"]
    assert times[-1] - began > 159 / 98  # with a budget each, they would take half the time
    assert snapshots[0] == {"tako-map-budget-toy:m-0": "memory"}
    assert all(snapshot == snapshots[0] for snapshot in snapshots)
    async with asyncio.timeout(60):
        while budgets(cluster):  # noqa: ASYNC110 - the scheduler has no event for it
            await asyncio.sleep(0.01)


async def test_each_key_comes_once_although_the_worker_with_the_budget_is_killed_and_another_one_added(
    cluster: Any,
) -> None:
    count, served = 400, {}
    snapshots: list[dict[str, str]] = []

    def answer(request: Received) -> Reply:
        text = str(request.json["messages"][-1]["content"])
        served[text] = served.get(text, 0) + 1
        return reply(json={"text": text}, delay=0.05)

    with serve(answer) as server:
        common: Any = {"options": {"url": server.url}, "engine": "dask", "address": cluster.scheduler_address}
        keys: list[str] = []
        async for result in tako_map.run(range_of("k", count), "toy:m", rpm=60_000, **common):
            assert result.text == result.key, result.error
            keys.append(result.key)
            if len(keys) in (count // 3, count):
                snapshots.append(budgets(cluster))
            if len(keys) == count // 3:
                kill_host(cluster, *snapshots[0])
                cluster.scale(5)
    assert sorted(keys) == sorted(f"k{i}" for i in range(count))
    assert sum(served.values()) - count <= 64  # the calls of the lost worker
    assert snapshots == [
        {"tako-map-budget-toy:m-0": "memory"},
        {"tako-map-budget-toy:m-0": "erred", "tako-map-budget-toy:m-1": "memory"},
    ]


async def test_the_command_has_one_fingerprint_and_one_bad_row_on_any_engine(
    cluster: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, out = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    rows = ['{"id": 1, "text": "a"}', '{"id": 2, "text": ' + "[" * 200_000, '{"id": 3, "text": "b"}']
    path.write_text("\n".join(rows))
    dask_engine = ["--engine", "dask", "--address", cluster.scheduler_address]
    with serve(reply(json={"text": "ok"})) as server:
        command = ["map", "-m", "toy", "--option", f"url={server.url}", str(path), "-o", str(out), "--prompt"]

        async def run(*more: str) -> int:
            return await asyncio.to_thread(main, [*command, *more])

        assert await run("{text}", *dask_engine) == 1
        assert len(server.requests) == 2
        assert "row 2: its JSON is nested too deeply" in capsys.readouterr().err
        assert await run("{text}") == 1  # the bad row is still there
        assert await run("{text}", *dask_engine) == 1
        assert await run("Topic: {text}", *dask_engine) == 2
        assert "prompt was '{text}', now 'Topic: {text}'" in capsys.readouterr().err
        assert len(server.requests) == 2


def range_of(name: str, count: int) -> list[tuple[str, str]]:
    return [(f"{name}{i}", f"{name}{i}") for i in range(count)]


def kill_host(cluster: Any, key: str) -> None:
    """Kill the worker process that an actor is in."""
    (host,) = cluster.scheduler.tasks[key].who_has
    (nanny,) = [worker for worker in cluster.workers.values() if worker.worker_address == host.address]
    os.kill(nanny.pid, signal.SIGKILL)
