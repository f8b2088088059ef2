"""Ray: each key once although an actor is killed, and one budget for all runs of a cluster.

Run apart, since Ray is large: `uv run --isolated --group dev --group ray pytest plugins/tako-map/ray_tests`.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import ray
import tako_map
from ray.util import list_named_actors

from tako.cli import main
from tako.testing.server import Received, Reply, reply, serve

if TYPE_CHECKING:
    from collections.abc import Generator

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("toy", "cluster"), pytest.mark.filterwarnings("default")]


@pytest.fixture(scope="module")
def cluster(toy_folder: Path) -> Generator[None, None, None]:
    """Ray that counts two CPUs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(toy_folder))
        ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="error")
        yield
        ray.shutdown()


def budgets() -> list[str]:
    """Return the named actors with the budgets."""
    return [actor["name"] for actor in list_named_actors(all_namespaces=True) if actor["namespace"] == "tako-map"]


async def test_two_runs_share_one_budget_and_each_key_comes_once_although_actors_are_killed() -> None:
    count, served = 150, {}
    names: list[list[str]] = []

    def answer(request: Received) -> Reply:
        text = str(request.json["messages"][-1]["content"])
        served[text] = served.get(text, 0) + 1
        return reply(json={"text": text}, delay=0.05)

    async def gather(run: tako_map.Run) -> list[str]:
        keys: list[str] = []
        async for result in run:
            assert result.text == result.key, result.error
            keys.append(result.key)
            if len(keys) == count // 3 and not names:
                names.append(budgets())
                for name in ("Worker", "Quota"):
                    os.kill(actor_pid(name), signal.SIGKILL)
        return keys

    with serve(answer) as server:
        common: Any = {"options": {"url": server.url}, "engine": "ray", "workers": 1, "rpm": 3000}
        rows = [[(f"{name}{i}", f"{name}{i}") for i in range(count)] for name in "ab"]
        keys = await asyncio.gather(*(gather(tako_map.run(run_rows, "toy:m", **common)) for run_rows in rows))
    for run_keys, run_rows in zip(keys, rows, strict=True):
        assert sorted(run_keys) == sorted(key for key, _ in run_rows)
    assert names == [["budget toy:m"]]  # one for both; the tests of the pace show what it does
    assert sum(served.values()) - 2 * count <= 2 * 64  # the calls of the lost actors
    async with asyncio.timeout(60):
        while budgets():  # noqa: ASYNC110 - Ray has no event for it
            await asyncio.sleep(0.05)


def actor_pid(name: str) -> int:
    """Find the process of an actor by the title that Ray gives it (on Linux), and changes now and then."""
    deadline = time.monotonic() + 60.0
    while time.monotonic() < deadline:
        for line in Path("/proc").glob("[0-9]*/cmdline"):
            with suppress(OSError):
                if line.read_bytes().startswith(b"ray::" + name.encode()):
                    return int(line.parent.name)
        time.sleep(0.05)
    raise AssertionError(f"no actor {name} runs")


async def test_the_command_has_one_fingerprint_and_one_bad_row_on_any_engine(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, out = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    path.write_text('{"id": 1, "text": "a"}\n{"id": 2, "text": ' + "[" * 200_000 + '\n{"id": 3, "text": "b"}')
    with serve(reply(json={"text": "ok"})) as server:
        command = ["map", "-m", "toy", "--option", f"url={server.url}", str(path), "-o", str(out), "--prompt"]

        async def run(*more: str) -> int:
            return await asyncio.to_thread(main, [*command, *more])

        assert await run("{text}", "--engine", "ray", "--workers", "1") == 1
        assert len(server.requests) == 2
        assert "row 2: its JSON is nested too deeply" in capsys.readouterr().err
        assert await run("{text}") == 1  # the bad row is still there
        assert await run("Topic: {text}", "--engine", "ray", "--workers", "1") == 2
        assert "prompt was '{text}', now 'Topic: {text}'" in capsys.readouterr().err
        assert len(server.requests) == 2
