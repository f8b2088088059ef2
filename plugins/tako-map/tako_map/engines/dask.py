"""Dask: an actor in each worker process of a running cluster, or of a LocalCluster, and one for each budget."""

from __future__ import annotations

import asyncio
import os
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

import distributed as _distributed

from tako.errors import PluginError
from tako_map.driver import WorkerLostError
from tako_map.engines.worker import Spec, Worker
from tako_map.limits.quota import Lease, LeaseRequest, Quota

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

distributed: Any = _distributed  # its types are partly unknown
LOST = (OSError, RuntimeError, KeyError, distributed.KilledWorker)
"""What Dask raises if an actor is lost."""
PATIENCE = 30.0
"""Seconds for making an actor (if its worker is lost by then, another one is tried), and for closing."""
POLL = 0.1
"""Seconds between two checks of whether an actor still exists."""
TRIES = 50


@asynccontextmanager
async def open_cluster(address: str | None, workers: int | None) -> AsyncGenerator[DaskCluster, None]:
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
    """Start a part of Dask, and close it with a limit: Dask may wait for a lost worker for ever."""
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
        self._quota: DaskQuota | None = None

    async def workers(self) -> set[str]:
        """List the workers that the scheduler has."""
        return set((await self._client.scheduler.identity())["workers"])

    async def open(self, worker: str, spec: Spec) -> tuple[DaskSession, list[str]]:
        """Make the actor. Raises what importing or making it there raises."""
        try:
            future = self._client.submit(
                Worker, spec, actor=True, workers=[worker], allow_other_workers=False, pure=False
            )
            actor = await future
            return DaskSession(future, actor), await actor.problems()
        except (OSError, distributed.KilledWorker) as error:
            raise WorkerLostError from error

    async def get_lease(self, budget: str, workers: set[str], request: LeaseRequest) -> Lease:
        """Get a lease from the actor with a budget's quota."""
        if self._quota is None:
            self._quota = DaskQuota(self._client, budget)
        return await self._quota.get_lease(workers, request)


class DaskQuota:
    """The actor with the quota of all runs with one budget. They share its key, and it ends with the last of them.

    If it's lost with its worker, its successor has the next number. A run keeps the keys of lost actors, so that runs
    that start later see the same keys and find the same successor.
    """

    def __init__(self, client: Any, name: str) -> None:
        self._client = client
        self._name = name
        self._futures: list[Any] = []
        self._actor: Any = None
        self._making = asyncio.Lock()

    async def get_lease(self, workers: set[str], request: LeaseRequest) -> Lease:
        """Get a lease; if the actor is lost, from its successor."""
        for _ in range(TRIES):
            try:
                actor = self._actor or await self._find(workers)
                return await self._wait(actor.lease(request))
            except LOST:
                await self._check()
        raise PluginError(f"no Dask worker has the budget {self._name!r}")

    async def _find(self, workers: set[str]) -> Any:
        """Make the actor, or find the one that another run has made."""
        async with self._making:
            if self._actor is None:
                key = f"tako-map-budget-{self._name}-{len(self._futures)}"
                location = {"workers": list(workers), "allow_other_workers": False}
                self._futures.append(self._client.submit(Quota, key=key, actor=True, **location))
                with self._client.as_current():  # or it would use the client of another run in this process
                    self._actor = await asyncio.wait_for(self._futures[-1], PATIENCE)  # TimeoutError is an OSError
            return self._actor

    async def _wait(self, call: Any) -> Lease:
        """Wait for a lease, but not for a lost worker's: Dask would try for half a minute."""
        waiting = asyncio.ensure_future(call)
        try:
            while not waiting.done():
                await asyncio.wait([waiting], timeout=POLL)
                if not waiting.done() and self._is_lost():
                    raise OSError("the actor's worker is gone")
            lease: Lease = waiting.result()
        finally:
            waiting.cancel()
        return lease

    async def _check(self) -> None:
        """Check whether the actor is lost, or only unreachable for now."""
        await asyncio.sleep(POLL)
        if self._is_lost():
            self._actor = None

    def _is_lost(self) -> bool:
        return self._futures[-1].status not in ("finished", "pending")


class DaskSession:
    """An actor, which lives as long as its future."""

    def __init__(self, future: Any, actor: Any) -> None:
        self._future = future
        self._actor = actor

    async def chat(self, request: bytes) -> bytes:
        """Make one call in the worker."""
        try:
            response: bytes = await self._actor.chat(request)
        except LOST as error:
            raise WorkerLostError from error
        return response

    async def close(self) -> None:
        """Close the provider and end the actor."""
        with suppress(OSError, RuntimeError):  # TimeoutError is an OSError
            await asyncio.wait_for(self._actor.close(), PATIENCE)
        self._future.release()
