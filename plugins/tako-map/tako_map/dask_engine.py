"""Dask: one actor in each worker process of a cluster that is there, or of a LocalCluster, and one for each budget."""

from __future__ import annotations

import asyncio
import os
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

import distributed as _distributed

from tako.errors import PluginError
from tako_map.driver import WorkerLostError
from tako_map.quota import Ask, Grant, Quota
from tako_map.session import Spec, Worker

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

distributed: Any = _distributed  # its types are partly unknown
LOST = (OSError, RuntimeError, KeyError, distributed.KilledWorker)
"""How Dask says that an actor is gone."""
PATIENCE = 30.0
"""Seconds for making an actor (where its worker is gone by then, another one is tried), and for closing anything."""
LOOK = 0.1
"""Seconds between two looks at whether an actor is still there."""
TRIES = 50


@asynccontextmanager
async def cluster(address: str | None, workers: int | None) -> AsyncGenerator[DaskCluster, None]:
    """Connect to a scheduler (``tcp://host:8786``), or start worker processes here."""
    if address is not None:
        async with _open(distributed.Client(address, asynchronous=True)) as client:
            yield DaskCluster(client)
        return
    local = distributed.LocalCluster(
        n_workers=workers or os.cpu_count() or 1,
        threads_per_worker=1,
        processes=True,
        dashboard_address=None,
        asynchronous=True,
    )
    async with _open(local), _open(distributed.Client(local, asynchronous=True)) as client:
        yield DaskCluster(client)


@asynccontextmanager
async def _open(part: Any) -> AsyncGenerator[Any, None]:
    """Start a part of Dask and close it: on a busy machine Dask may wait for ever for a worker that has gone."""
    await part
    try:
        yield part
    finally:
        with suppress(TimeoutError):
            await asyncio.wait_for(part.close(), PATIENCE)


class DaskCluster:
    """The workers of a Dask scheduler, by their addresses."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._budget: DaskBudget | None = None

    async def workers(self) -> set[str]:
        """List the workers that the scheduler has."""
        return set((await self._client.scheduler.identity())["workers"])

    async def open(self, worker: str, spec: Spec) -> tuple[DaskSession, list[str]]:
        """Make the actor. Raises what importing or making it there raises."""
        try:
            made = self._client.submit(
                Worker, spec, actor=True, workers=[worker], allow_other_workers=False, pure=False
            )
            actor = await made
            return DaskSession(made, actor), await actor.lacks()
        except (OSError, distributed.KilledWorker) as error:
            raise WorkerLostError from error

    async def ask(self, budget: str, workers: set[str], ask: Ask) -> Grant:
        """Ask the actor that holds a budget."""
        if self._budget is None:
            self._budget = DaskBudget(self._client, budget)
        return await self._budget.ask(workers, ask)


class DaskBudget:
    """The actor that all runs with one budget ask: it has a key that they share, and goes when the last run does.

    One that was lost with its worker has a successor by the next number. Who has seen it lost keeps hold of its key, so
    that those who come later see the same and arrive at the same successor.
    """

    def __init__(self, client: Any, name: str) -> None:
        self._client = client
        self._name = name
        self._made: list[Any] = []
        self._actor: Any = None
        self._making = asyncio.Lock()

    async def ask(self, workers: set[str], ask: Ask) -> Grant:
        """Ask it; where it is gone, the next one."""
        for _ in range(TRIES):
            try:
                actor = self._actor or await self._find(workers)
                return await self._answer(actor.ask(ask))
            except LOST:
                await self._check()
        raise PluginError(f"no Dask worker holds the budget {self._name!r}")

    async def _find(self, workers: set[str]) -> Any:
        """Make the actor, or find it that another run has made."""
        async with self._making:
            if self._actor is None:
                key = f"tako-map-budget-{self._name}-{len(self._made)}"
                on = {"workers": list(workers), "allow_other_workers": False}
                self._made.append(self._client.submit(Quota, key=key, actor=True, **on))
                with self._client.as_current():  # or it would lean on the client of another run in this process
                    self._actor = await asyncio.wait_for(self._made[-1], PATIENCE)  # TimeoutError is an OSError
            return self._actor

    async def _answer(self, question: Any) -> Grant:
        """Wait for the answer, but not for a dead worker's, for which Dask would look half a minute."""
        waiting = asyncio.ensure_future(question)
        try:
            while not waiting.done():
                await asyncio.wait([waiting], timeout=LOOK)
                if not waiting.done() and self._lost():
                    raise OSError("the actor's worker is gone")
            grant: Grant = waiting.result()
        finally:
            waiting.cancel()
        return grant

    async def _check(self) -> None:
        """See whether the actor is lost, or only out of reach for now."""
        await asyncio.sleep(LOOK)
        if self._lost():
            self._actor = None

    def _lost(self) -> bool:
        return self._made[-1].status not in ("finished", "pending")


class DaskSession:
    """An actor; it lives as long as its future is held."""

    def __init__(self, made: Any, actor: Any) -> None:
        self._made = made
        self._actor = actor

    async def chat(self, request: bytes) -> bytes:
        """Make one call in the worker."""
        try:
            answer: bytes = await self._actor.chat(request)
        except LOST as error:
            raise WorkerLostError from error
        return answer

    async def close(self) -> None:
        """Close the provider and let go of the actor."""
        with suppress(OSError, RuntimeError):  # TimeoutError is an OSError
            await asyncio.wait_for(self._actor.close(), PATIENCE)
        self._made.release()
