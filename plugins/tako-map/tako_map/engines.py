"""Where calls are made: in this process, or in workers that an engine has started.

The process that drives a run keeps the rows and the results; a worker makes calls, one for each that it is sent, and
knows nothing else. So a worker may come and go at any time. The budgets of a minute stand on the cluster, in an actor
that all runs with the same budget ask, each for many calls at once; see ``quota``.
"""

from __future__ import annotations

import asyncio
import copy
import pickle
import warnings
from contextlib import asynccontextmanager, suppress
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from tako.errors import ConfigurationError, PluginError
from tako.hooks import PLUGINS, get_provider
from tako.options import find_secret
from tako.provider import Provider
from tako.types import ChatResponse
from tako_map.driver import Chat, WorkerLostError
from tako_map.pace import now
from tako_map.quota import Ask, Asker, Grant, Quota
from tako_map.session import Spec, installed

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from tako.types import ChatRequest
    from tako_map.settings import Settings

LOOK = 0.5
"""Seconds between two looks at which workers there are."""
PATIENCE = 300.0
"""Seconds to wait for the first worker, or for another one where all are gone."""


class Session(Protocol):
    """A provider in a worker. ``chat`` takes a pickled request and returns a pickled response or error."""

    async def chat(self, request: bytes) -> bytes:
        """Make one call. Raises WorkerLostError."""
        ...

    async def close(self) -> None:
        """Let go of it; raises nothing."""
        ...


class Cluster(Protocol):
    """What an engine says of its workers."""

    async def workers(self) -> set[str]:
        """List the workers that are there now."""
        ...

    async def open(self, worker: str, spec: Spec) -> tuple[Session, list[str]]:
        """Start a session on a worker; returns it, and what the worker lacks."""
        ...

    async def ask(self, budget: str, workers: set[str], ask: Ask) -> Grant:
        """Ask the actor that holds a budget; where there is none, it is made on one of these workers."""
        ...


class Engine(NamedTuple):
    """What an engine does for a run: calls, and places in the minute (``shared`` with other runs, or the run's own)."""

    chat: Chat
    ask: Asker
    shared: bool


@asynccontextmanager
async def open_engine(settings: Settings) -> AsyncGenerator[Engine, None]:
    """Open "local", "dask" or "ray". Raises ConfigurationError or PluginError where it cannot be used."""
    engine, provider, options = settings.engine, settings.provider, dict(settings.options)
    if engine == "local":
        async with _local(provider, options) as chat:
            yield Engine(chat, _own_quota(), shared=False)
        return
    if engine not in ("dask", "ray"):
        raise ConfigurationError(f"engine {engine!r} isn't local, dask or ray")
    spec = _travelling(provider, options, engine)
    try:
        opened = import_module(f"tako_map.{engine}_engine").cluster(settings.address, settings.workers)
    except ImportError as error:
        raise ConfigurationError(f'engine {engine!r} needs pip install "tako-map[{engine}]" ({error})') from error
    async with opened as cluster:
        fleet = Fleet(cluster, spec, settings.budget or spec.id)
        looking = asyncio.create_task(fleet.look())
        try:
            yield Engine(fleet.chat, fleet.ask, shared=True)
        finally:
            looking.cancel()
            await asyncio.wait([looking])
            await fleet.close()


@asynccontextmanager
async def _local(provider: str | Provider, options: dict[str, Any]) -> AsyncGenerator[Chat, None]:
    """Use a copy of the user's provider, whose own retries are off: the driver counts attempts."""
    if isinstance(provider, Provider):
        if options:
            raise ConfigurationError("options go with a provider's id; a provider object has its own")
        used = copy.copy(provider)
    else:
        used = get_provider(provider, **options)
    used.max_retries = 0
    async with used:
        yield used.chat


def _own_quota() -> Asker:
    quota = Quota(now)

    async def ask(ask: Ask) -> Grant:
        return quota.ask(ask)

    return ask


def _travelling(provider: str | Provider, options: dict[str, Any], engine: str) -> Spec:
    """Say what workers are to make: an id and options, never a key."""
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
    return Spec(provider, options, installed(provider), PLUGINS.settings)


class Fleet:
    """The sessions of a cluster. A call goes to the one with the fewest; those of a lost worker are made again."""

    def __init__(self, cluster: Cluster, spec: Spec, budget: str) -> None:
        self._cluster = cluster
        self._spec = spec
        self._budget = budget
        self._links: dict[str, Link] = {}
        self._opening: dict[str, asyncio.Task[None]] = {}
        self._unfit: dict[str, str] = {}
        self._changed = asyncio.Event()
        self._failure: BaseException | None = None

    async def chat(self, request: ChatRequest) -> ChatResponse:
        """Make one call somewhere. Raises what the provider raises, or WorkerLostError."""
        while not self._links:
            await self._some()
        name, link = min(self._links.items(), key=_calls)
        try:
            return await link.chat(request)
        except WorkerLostError:
            if self._links.get(name) is link:  # or the calls that follow would all go there, where none are under way
                self._links.pop(name).lose()
            raise

    async def ask(self, ask: Ask) -> Grant:
        """Ask for places in the minute. Raises Unusable."""
        while not self._links:
            await self._some()
        try:
            return await self._cluster.ask(self._budget, set(self._links), ask)
        except Exception as error:
            raise Unusable(error) from error

    async def look(self) -> None:
        """See who comes and goes, for ever."""
        try:
            while True:
                there = await self._cluster.workers()
                for gone in self._links.keys() - there:
                    self._links.pop(gone).lose()
                for name in there - self._links.keys() - self._opening.keys() - self._unfit.keys():
                    self._opening[name] = asyncio.create_task(self._open(name))
                self._check(there)
                await asyncio.sleep(LOOK if self._links else LOOK / 10)
        except Exception as error:  # noqa: BLE001 - it is raised again where a call is to be made
            self._failure = error
            self._signal()

    async def close(self) -> None:
        """End all sessions."""
        tasks = list(self._opening.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        for link in self._links.values():
            await link.session.close()

    def _check(self, there: set[str]) -> None:
        """Give up where all workers that are there lack something."""
        if there and there <= self._unfit.keys() and not self._links:
            lacks = "; ".join(f"{name}: {why}" for name, why in sorted(self._unfit.items()))
            raise PluginError(f"no worker can be used: {lacks}")

    async def _open(self, name: str) -> None:
        try:
            session, lacks = await self._cluster.open(name, self._spec)
        except WorkerLostError:
            return
        except Exception as error:  # noqa: BLE001 - whatever a worker cannot do, others may
            lacks, session = [" ".join(f"{type(error).__name__}: {error}".split())], None
        finally:
            self._opening.pop(name, None)
        if session is None or lacks:
            self._unfit[name] = ", ".join(lacks)
            warnings.warn(f"tako map: worker {name} isn't used: {self._unfit[name]}", stacklevel=2)
            if session is not None:
                await session.close()
            return
        self._links[name] = Link(session)
        self._signal()

    async def _some(self) -> None:
        """Wait for a worker."""
        if self._failure is not None:
            raise Unusable(self._failure)
        try:
            await asyncio.wait_for(self._changed.wait(), PATIENCE)
        except TimeoutError:
            raise Unusable(PluginError(f"there has been no worker for {PATIENCE:.0f} seconds")) from None

    def _signal(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()


class Unusable(BaseException):
    """The cluster cannot be used any more; the run ends with ``args[0]``."""


class Link:
    """One session and the calls that it has."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.calls = 0
        self._lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def chat(self, request: ChatRequest) -> ChatResponse:
        """Make one call; ends at once when the worker is lost."""
        self.calls += 1
        call: asyncio.Future[bytes] = asyncio.ensure_future(self.session.chat(pickle.dumps(request)))
        try:
            both: list[asyncio.Future[Any]] = [call, self._lost]
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            if not call.done():
                raise WorkerLostError
            answer: Any = pickle.loads(call.result())  # noqa: S301 - from our own worker
        finally:
            self.calls -= 1
            if not call.done():
                call.cancel()
            else:
                with suppress(asyncio.CancelledError):
                    call.exception()
        if not isinstance(answer, ChatResponse):
            raise answer
        return answer

    def lose(self) -> None:
        """End the calls of a worker that is gone."""
        if not self._lost.done():
            self._lost.set_result(None)


def _calls(item: tuple[str, Link]) -> int:
    return item[1].calls
