"""A cluster's workers: one session with each, and the calls that each one has."""

from __future__ import annotations

import asyncio
import pickle
import warnings
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Protocol

from tako.errors import PluginError
from tako.types import ChatResponse
from tako_map.driver import WorkerLostError

if TYPE_CHECKING:
    from tako.types import ChatRequest
    from tako_map.engines.worker import Spec
    from tako_map.limits.quota import Lease, LeaseRequest

POLL = 0.5
"""Seconds between two checks of which workers the cluster has."""
PATIENCE = 300.0
"""Seconds to wait for the first worker, or for another one if all are lost."""


class Session(Protocol):
    """A provider in a worker. ``chat`` accepts a pickled request and returns a pickled response or error."""

    async def chat(self, request: bytes) -> bytes:
        """Make one call. Raises WorkerLostError."""
        ...

    async def close(self) -> None:
        """End the session; raises nothing."""
        ...


class Cluster(Protocol):
    """The workers of an engine."""

    async def workers(self) -> set[str]:
        """List the workers that the cluster has now."""
        ...

    async def open(self, worker: str, spec: Spec) -> tuple[Session, list[str]]:
        """Start a session on a worker; returns it, and why the worker can't be used, if so."""
        ...

    async def get_lease(self, budget: str, workers: set[str], request: LeaseRequest) -> Lease:
        """Get a lease from the actor with a budget's quota; if there isn't one, it's made on one of these workers."""
        ...


class Fleet:
    """The sessions of a cluster. A call goes to the one with the fewest; the calls of a lost worker are made again."""

    def __init__(self, cluster: Cluster, spec: Spec, budget: str) -> None:
        self._cluster = cluster
        self._spec = spec
        self._budget = budget
        self._links: dict[str, Link] = {}
        self._opening: dict[str, asyncio.Task[None]] = {}
        self._unusable: dict[str, str] = {}
        self._changed = asyncio.Event()
        self._failure: BaseException | None = None

    async def chat(self, request: ChatRequest) -> ChatResponse:
        """Make one call on some worker. Raises what the provider raises, or WorkerLostError."""
        while not self._links:
            await self._wait_for_worker()
        name, link = min(self._links.items(), key=_call_count)
        try:
            return await link.chat(request)
        except WorkerLostError:
            if self._links.get(name) is link:  # or the next calls would all go there, since it has the fewest
                self._links.pop(name).lose()
            raise

    async def get_lease(self, request: LeaseRequest) -> Lease:
        """Get a lease of the quota. Raises UnusableError."""
        while not self._links:
            await self._wait_for_worker()
        try:
            return await self._cluster.get_lease(self._budget, set(self._links), request)
        except Exception as error:
            raise UnusableError(error) from error

    async def watch(self) -> None:
        """Open sessions on new workers and drop those of lost ones, until cancelled."""
        try:
            while True:
                workers = await self._cluster.workers()
                for name in self._links.keys() - workers:
                    self._links.pop(name).lose()
                for name in workers - self._links.keys() - self._opening.keys() - self._unusable.keys():
                    self._opening[name] = asyncio.create_task(self._open(name))
                self._check(workers)
                await asyncio.sleep(POLL if self._links else POLL / 10)
        except Exception as error:  # noqa: BLE001 - the next call raises it
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

    def _check(self, workers: set[str]) -> None:
        """Raise PluginError if no worker can be used."""
        if workers and workers <= self._unusable.keys() and not self._links:
            problems = "; ".join(f"{name}: {problem}" for name, problem in sorted(self._unusable.items()))
            raise PluginError(f"no worker can be used: {problems}")

    async def _open(self, name: str) -> None:
        try:
            session, problems = await self._cluster.open(name, self._spec)
        except WorkerLostError:
            return
        except Exception as error:  # noqa: BLE001 - other workers may be usable
            problems, session = [" ".join(f"{type(error).__name__}: {error}".split())], None
        finally:
            self._opening.pop(name, None)
        if session is None or problems:
            self._unusable[name] = ", ".join(problems)
            warnings.warn(f"tako map: worker {name} isn't used: {self._unusable[name]}", stacklevel=2)
            if session is not None:
                await session.close()
            return
        self._links[name] = Link(session)
        self._signal()

    async def _wait_for_worker(self) -> None:
        """Wait for a change, which may be a new worker."""
        if self._failure is not None:
            raise UnusableError(self._failure)
        try:
            await asyncio.wait_for(self._changed.wait(), PATIENCE)
        except TimeoutError:
            raise UnusableError(PluginError(f"there has been no worker for {PATIENCE:.0f} seconds")) from None

    def _signal(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()


class UnusableError(BaseException):
    """The cluster can't be used any more; the run ends with ``args[0]``."""


class Link:
    """One session and the calls that it has."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.calls = 0
        self._lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def chat(self, request: ChatRequest) -> ChatResponse:
        """Make one call; ends at once if the worker is lost."""
        self.calls += 1
        call: asyncio.Future[bytes] = asyncio.ensure_future(self.session.chat(pickle.dumps(request)))
        try:
            futures: list[asyncio.Future[Any]] = [call, self._lost]
            await asyncio.wait(futures, return_when=asyncio.FIRST_COMPLETED)
            if not call.done():
                raise WorkerLostError
            response: Any = pickle.loads(call.result())  # noqa: S301 - from our own worker
        finally:
            self.calls -= 1
            if not call.done():
                call.cancel()
            else:
                with suppress(asyncio.CancelledError):
                    call.exception()
        if not isinstance(response, ChatResponse):
            raise response
        return response

    def lose(self) -> None:
        """End the calls of a lost worker."""
        if not self._lost.done():
            self._lost.set_result(None)


def _call_count(item: tuple[str, Link]) -> int:
    return item[1].calls
