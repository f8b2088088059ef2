"""Ray: named actors on a cluster that is there, or on one that is started here, and one for each budget."""

from __future__ import annotations

import asyncio
import os
from contextlib import asynccontextmanager, suppress
from threading import Lock
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import ray as _ray  # type: ignore[import-not-found,unused-ignore]  # an extra; not there where types are checked

from tako.errors import PluginError
from tako_map.driver import WorkerLostError
from tako_map.quota import Ask, Grant, Quota
from tako_map.session import Spec, Worker

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

ray: Any = _ray
CALLS = 1000
"""Calls that one actor may have at once; the driver's pace stays below it."""
NAMESPACE = "tako-map"
TRIES = 50
CPUS = 0.1
"""The part of a CPU that an actor asks for: calls wait most of the time, and several runs are to find room."""
_users = 0  # runs in this process that use the Ray which the first of them has started
_entering = Lock()


@asynccontextmanager
async def cluster(address: str | None, workers: int | None) -> AsyncGenerator[RayCluster, None]:
    """Connect to a cluster (``auto``, ``ray://host:10001``), or start one here."""
    ours = await asyncio.to_thread(_enter, address, workers)
    made = RayCluster(workers)
    try:
        yield made
    finally:
        made.budget = None  # which ends the actor, or leaves it to the other runs
        if ours:
            await asyncio.to_thread(_leave)


def _enter(address: str | None, workers: int | None) -> bool:
    """Start or join Ray where nobody has; returns whether it is to be left again."""
    global _users  # noqa: PLW0603 - Ray itself is one for the process
    with _entering:
        if ray.is_initialized() and not _users:
            return False
        if not _users:
            there = {"address": address} if address is not None else {"num_cpus": workers, "include_dashboard": False}
            ray.init(log_to_driver=False, logging_level="error", **there)
        _users += 1
    return True


def _leave() -> None:
    global _users  # noqa: PLW0603 - as above
    with _entering:
        _users -= 1
        if not _users:
            ray.shutdown()


class RayCluster:
    """As many actors as the cluster has CPUs (or ``workers``), each by its name; a lost one gets a successor."""

    def __init__(self, workers: int | None) -> None:
        self._wanted = workers
        self._run = uuid4().hex[:8]
        self._next = 0
        self._names: set[str] = set()
        self._lost: set[str] = set()
        self.budget: Any = None
        self._making = asyncio.Lock()

    async def workers(self) -> set[str]:
        """Name the actors that there should be; the lost ones are replaced."""
        cpus = await asyncio.to_thread(ray.cluster_resources)
        wanted = self._wanted or int(cpus.get("CPU", os.cpu_count() or 1))
        self._names -= self._lost
        self._lost.clear()
        while len(self._names) < wanted:
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
            return session, await actor.lacks.remote()
        except ray.exceptions.RayActorError as error:
            self._lost.add(worker)
            raise WorkerLostError from error

    async def ask(self, budget: str, workers: set[str], ask: Ask) -> Grant:
        """Ask the actor that holds a budget: by its name, so that other runs find it, and made where there is none.

        Ray starts it again when it dies, and ends it with the run that has made it; the others then make the next.
        """
        actor: Any = None
        for _ in range(TRIES):
            try:
                async with self._making:  # the first handle is the one that the actor lives by
                    if self.budget is None:
                        self.budget = await asyncio.to_thread(_budget_actor, budget)
                    actor = self.budget
                grant: Grant = await actor.ask.remote(ask)
            except (ray.exceptions.RayActorError, ValueError):  # the latter where it dies while it is looked for
                self.budget = None if self.budget is actor else self.budget
                await asyncio.sleep(0.1)
            else:
                return grant
        raise PluginError(f"no Ray actor holds the budget {budget!r}")


def _budget_actor(name: str) -> Any:
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
            answer: bytes = await self._actor.chat.remote(request)
        except ray.exceptions.RayActorError as error:
            self._lost.add(self._name)
            raise WorkerLostError from error
        return answer

    async def close(self) -> None:
        """Close the provider and end the actor."""
        with suppress(ray.exceptions.RayError):
            await self._actor.close.remote()
        ray.kill(self._actor)
