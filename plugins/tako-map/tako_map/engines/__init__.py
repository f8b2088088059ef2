"""Engines: where calls are made, in this process or in the workers of a cluster.

The process that drives a run has the rows and the results. A worker makes calls, one for each request that it gets, and
has no other state, so it may come and go at any time. The quota of a cluster is in an actor that all runs with the same
budget use; see ``tako_map.limits.quota``.

``fleet`` spreads the calls over the workers, ``worker`` runs in each of them, and ``dask`` and ``ray`` start them.
"""

from __future__ import annotations

import asyncio
import copy
from contextlib import asynccontextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple

from tako.errors import ConfigurationError
from tako.hooks import PLUGINS, get_provider
from tako.options import find_secret
from tako.provider import Provider
from tako_map.engines.fleet import Fleet, UnusableError
from tako_map.engines.worker import Spec, distributions
from tako_map.limits.pace import now
from tako_map.limits.quota import GetLease, Lease, LeaseRequest, Quota

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from tako_map.driver import Chat
    from tako_map.runs import Settings

__all__ = ["Engine", "UnusableError", "open_engine"]


class Engine(NamedTuple):
    """What a run uses of an engine: calls, and leases of a quota that other runs may share."""

    chat: Chat
    get_lease: GetLease
    has_shared_quota: bool


@asynccontextmanager
async def open_engine(settings: Settings) -> AsyncGenerator[Engine, None]:
    """Open "local", "dask" or "ray". Raises ConfigurationError or PluginError if it can't be local."""
    engine, provider, options = settings.engine, settings.provider, dict(settings.options)
    if engine == "local":
        async with _local(provider, options) as chat:
            yield Engine(chat, _local_quota(), has_shared_quota=False)
        return
    if engine not in ("dask", "ray"):
        raise ConfigurationError(f"engine {engine!r} isn't local, dask or ray")
    spec = _worker_spec(provider, options, engine)
    try:
        opening = import_module(f"tako_map.engines.{engine}").open_cluster(settings.address, settings.workers)
    except ImportError as error:
        raise ConfigurationError(f'engine {engine!r} needs pip install "tako-map[{engine}]" ({error})') from error
    async with opening as cluster:
        fleet = Fleet(cluster, spec, settings.budget or spec.id)
        watching = asyncio.create_task(fleet.watch())
        try:
            yield Engine(fleet.chat, fleet.get_lease, has_shared_quota=True)
        finally:
            watching.cancel()
            await asyncio.wait([watching])
            await fleet.close()


@asynccontextmanager
async def _local(provider: str | Provider, options: dict[str, Any]) -> AsyncGenerator[Chat, None]:
    """Use a copy of the user's provider without retries of its own: the driver retries, and counts attempts."""
    if isinstance(provider, Provider):
        if options:
            raise ConfigurationError("options go with a provider's id; a provider object has its own")
        local = copy.copy(provider)
    else:
        local = get_provider(provider, **options)
    local.max_retries = 0
    async with local:
        yield local.chat


def _local_quota() -> GetLease:
    quota = Quota(now)

    async def get_lease(request: LeaseRequest) -> Lease:
        return quota.lease(request)

    return get_lease


def _worker_spec(provider: str | Provider, options: dict[str, Any], engine: str) -> Spec:
    """Describe the provider that workers make: an id and options, never a key."""
    if isinstance(provider, Provider):
        raise ConfigurationError(
            f"engine {engine!r} makes providers in its workers: pass the id, as in {provider.id!r}, and options={{…}}"
        )
    secret = find_secret(options, dollar=True)
    if secret is not None:
        raise ConfigurationError(
            f"options{secret} holds a key itself, and keys don't travel to workers: set the vendor's variable in "
            f'their environment, or name one, as in "$ENV:NAME"'
        )
    return Spec(provider, options, distributions(provider), PLUGINS.settings)
