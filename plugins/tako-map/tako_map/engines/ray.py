"""Ray: named actors on a running cluster, or on one that is started here, and one for each budget."""

from __future__ import annotations

import asyncio
import os
from contextlib import asynccontextmanager, suppress
from threading import Lock
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import ray as _ray  # type: ignore[import-not-found,unused-ignore]  # an extra, which isn't installed for type checks

from tako.errors import PluginError
from tako_map.driver import WorkerLostError
from tako_map.engines.worker import Spec, Worker
from tako_map.limits.quota import Lease, LeaseRequest, Quota

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

ray: Any = _ray
CALLS = 1000
"""Calls that one actor may have at once; the driver's pace stays below it."""
NAMESPACE = "tako-map"
TRIES = 50
CPUS = 0.1
"""The part of a CPU that an actor needs: calls wait most of the time, and several runs should fit."""
_users = 0  # the runs in this process that share one Ray, which the first of them started
_entering = Lock()


@asynccontextmanager
async def open_cluster(address: str | None, workers: int | None) -> AsyncGenerator[RayCluster, None]:
    """Connect to a cluster (``auto``, ``ray://host:10001``), or start one here."""
    is_counted = await asyncio.to_thread(_enter, address, workers)
    cluster = RayCluster(workers)
    try:
        yield cluster
    finally:
        cluster.quota = None  # ends the actor, or leaves it to the other runs
        if is_counted:
            await asyncio.to_thread(_leave)


def _enter(address: str | None, workers: int | None) -> bool:
    """Start or join Ray unless the program has; returns whether to leave it at the end."""
    global _users  # noqa: PLW0603 - Ray itself is one for the process
    with _entering:
        if ray.is_initialized() and not _users:
            return False
        if not _users:
            options = {"address": address} if address is not None else {"num_cpus": workers, "include_dashboard": False}
            ray.init(log_to_driver=False, logging_level="error", **options)
        _users += 1
    return True


def _leave() -> None:
    global _users  # noqa: PLW0603 - as above
    with _entering:
        _users -= 1
        if not _users:
            ray.shutdown()


class RayCluster:
    """As many actors as the cluster has CPUs (or ``workers``), by their names. A lost one gets a successor."""

    def __init__(self, workers: int | None) -> None:
        self._count = workers
        self._run = uuid4().hex[:8]
        self._next = 0
        self._names: set[str] = set()
        self._lost: set[str] = set()
        self.quota: Any = None
        self._making = asyncio.Lock()

    async def workers(self) -> set[str]:
        """Return the names of the actors that there should be; lost ones are replaced."""
        cpus = await asyncio.to_thread(ray.cluster_resources)
        count = self._count or int(cpus.get("CPU", os.cpu_count() or 1))
        self._names -= self._lost
        self._lost.clear()
        while len(self._names) < count:
            self._names.add(f"tako-map-{self._run}-{self._next}")
            self._next += 1
        return set(self._names)

    async def open(self, worker: str, spec: Spec) -> tuple[RaySession, list[str]]:
        """Make the actor. Raises what importing or making it there raises."""
        remote = ray.remote(Worker).options(
            name=worker, num_cpus=CPUS, max_restarts=0, max_concurrency=CALLS, scheduling_strategy="SPREAD"
        )
        actor = remote.remote(spec)
        session = RaySession(actor, worker, self._lost)
        try:
            return session, await actor.problems.remote()
        except ray.exceptions.RayActorError as error:
            self._lost.add(worker)
            raise WorkerLostError from error

    async def get_lease(self, budget: str, workers: set[str], request: LeaseRequest) -> Lease:
        """Get a lease from the actor with a budget's quota. Its name tells other runs which one it is.

        Ray restarts it if it dies, and ends it with the run that made it; the other runs then make the next.
        """
        actor: Any = None
        for _ in range(TRIES):
            try:
                async with self._making:  # the actor lives as long as its first handle
                    if self.quota is None:
                        self.quota = await asyncio.to_thread(_quota_actor, budget)
                    actor = self.quota
                lease: Lease = await actor.lease.remote(request)
            except (ray.exceptions.RayActorError, ValueError):  # ValueError if it dies during the search
                self.quota = None if self.quota is actor else self.quota
                await asyncio.sleep(0.1)
            else:
                return lease
        raise PluginError(f"no Ray actor has the budget {budget!r}")


def _quota_actor(name: str) -> Any:
    options = {"name": f"budget {name}", "namespace": NAMESPACE, "get_if_exists": True}
    return ray.remote(Quota).options(num_cpus=0, max_restarts=-1, **options).remote()


class RaySession:
    """A named actor."""

    def __init__(self, actor: Any, name: str, lost: set[str]) -> None:
        self._actor = actor
        self._name = name
        self._lost = lost

    async def chat(self, request: bytes) -> bytes:
        """Make one call in the actor."""
        try:
            response: bytes = await self._actor.chat.remote(request)
        except ray.exceptions.RayActorError as error:
            self._lost.add(self._name)
            raise WorkerLostError from error
        return response

    async def close(self) -> None:
        """Close the provider and end the actor."""
        with suppress(ray.exceptions.RayError):
            await self._actor.close.remote()
        ray.kill(self._actor)
