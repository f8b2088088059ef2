"""Dask: one actor in each worker process of a cluster that is there, or of a LocalCluster."""

from __future__ import annotations

import os
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

import distributed as _distributed

from tako_map.driver import WorkerLostError
from tako_map.session import Spec, Worker

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

distributed: Any = _distributed  # its types are partly unknown


@asynccontextmanager
async def cluster(address: str | None, workers: int | None) -> AsyncGenerator[DaskCluster, None]:
    """Connect to a scheduler (``tcp://host:8786``), or start worker processes here."""
    if address is not None:
        async with distributed.Client(address, asynchronous=True) as client:
            yield DaskCluster(client)
        return
    local = distributed.LocalCluster(
        n_workers=workers or os.cpu_count() or 1,
        threads_per_worker=1,
        processes=True,
        dashboard_address=None,
        asynchronous=True,
    )
    async with local, distributed.Client(local, asynchronous=True) as client:
        yield DaskCluster(client)


class DaskCluster:
    """The workers of a Dask scheduler, by their addresses."""

    def __init__(self, client: Any) -> None:
        self._client = client

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


class DaskSession:
    """An actor; it lives as long as its future is held."""

    def __init__(self, made: Any, actor: Any) -> None:
        self._made = made
        self._actor = actor

    async def chat(self, request: bytes) -> bytes:
        """Make one call in the worker."""
        try:
            answer: bytes = await self._actor.chat(request)
        except (OSError, RuntimeError, KeyError) as error:  # how Dask says that the actor is gone
            raise WorkerLostError from error
        return answer

    async def close(self) -> None:
        """Close the provider and let go of the actor."""
        with suppress(OSError, RuntimeError):
            await self._actor.close()
        self._made.release()
