"""Runs: requests in, results out, in the order in which they arrive."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from tako.errors import ConfigurationError, TakoError
from tako.hooks import get_provider
from tako.loop_thread import loop_thread
from tako.provider import Provider
from tako_map.driver import Deliver, Driver
from tako_map.engines import UnusableError, open_engine
from tako_map.input import open_rows
from tako_map.input.prompt import Prompt
from tako_map.limits.budget import Budget
from tako_map.limits.pace import Pace
from tako_map.limits.quota import QuotaClient
from tako_map.results import AnswerReader, Result

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator

    from tako.capabilities import Capabilities
    from tako.types import JsonSchema
    from tako_map.input import Requests


class Settings(Struct, frozen=True, kw_only=True):
    """How a run is carried out. ``spent`` (US dollars) and ``unpriced`` (input and output tokens) are of earlier runs.

    Raises ConfigurationError for a number out of range.
    """

    provider: str | Provider
    options: dict[str, Any] = {}
    engine: str = "local"
    address: str | None = None
    workers: int | None = None
    rpm: float | None = None
    tpm: float | None = None
    max_cost: float | None = None
    spent: float = 0.0
    unpriced: tuple[int, int] = (0, 0)
    concurrency: int = 64
    attempts: int = 8
    budget: str | None = None
    answer_reader: AnswerReader | None = None

    def __post_init__(self) -> None:
        """Check the numbers."""
        for name in ("rpm", "tpm", "concurrency", "attempts", "workers"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ConfigurationError(f"{name} is {value}; it must be more than 0")
        if self.max_cost is not None and not self.max_cost >= 0:
            raise ConfigurationError(f"max_cost is {self.max_cost}; it can't be less than 0")


class Run:
    """Results as they arrive, in any order: use ``async for``, or ``for`` without an event loop.

    Calls wait while there are many results that you haven't taken yet. ``stopped`` says afterwards why the run ended
    early, if it did.
    """

    def __init__(self, rows: Any, settings: Settings) -> None:
        self._rows = rows
        self._settings = settings
        self._driver: Driver | None = None
        self.pace = Pace(settings.concurrency)
        self.budget: Budget | None = None

    @property
    def stopped(self) -> BaseException | str | None:
        """Why the run ended before the rows did: an error that every row would have, or a text; else None."""
        return self._driver.stopped if self._driver is not None else None

    async def deliver(self, deliver: Deliver) -> None:
        """Carry out the run, and call a function with each result as soon as there is one."""
        settings = self._settings
        prices = _prices(settings) if settings.max_cost is not None else None
        try:
            async with open_engine(settings) as engine:
                quota = QuotaClient(engine.get_lease, self.pace, rpm=settings.rpm, tpm=settings.tpm)
                self.budget = Budget(quota, max_cost=settings.max_cost, spent=settings.spent, prices=prices)
                self.budget.spent += self.budget.price(*settings.unpriced) or 0.0
                self._driver = Driver(
                    engine.chat,
                    deliver,
                    pace=self.pace,
                    budget=self.budget,
                    attempts=settings.attempts,
                    answer_reader=settings.answer_reader,
                )
                async with quota.open(shared=engine.has_shared_quota):
                    await self._driver.run(self._rows)
        except UnusableError as error:
            raise error.args[0] from None

    async def __aiter__(self) -> AsyncGenerator[Result, None]:
        window = _Window(self._settings.concurrency)
        task = asyncio.create_task(self.deliver(window.put))
        task.add_done_callback(lambda _: window.end())
        try:
            while True:
                async for result in window.take():
                    yield result
                if task.done():
                    break
            await task
        finally:
            task.cancel()
            await asyncio.wait([task])
        if isinstance(self.stopped, TakoError):
            raise self.stopped

    def __iter__(self) -> Generator[Result, None, None]:
        thread = loop_thread()
        results = self.__aiter__()
        try:
            while (result := thread.run(_next(results))) is not None:
                yield result
        finally:
            thread.run_cleanup(results.aclose())


class _Window:
    """Results between the driver and the code that takes them: at most ``size``."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._results: deque[Result] = deque()
        self._has_results = asyncio.Event()
        self._has_room = asyncio.Event()
        self._has_ended = False

    def put(self, result: Result) -> Any:
        self._results.append(result)
        self._has_results.set()
        return self._wait_for_room() if len(self._results) >= self._size else None

    def end(self) -> None:
        self._has_ended = True
        self._has_results.set()

    async def take(self) -> AsyncGenerator[Result, None]:
        while self._results or not self._has_ended:
            if not self._results:
                self._has_results.clear()
                await self._has_results.wait()
            while self._results:
                yield self._results.popleft()
                if len(self._results) < self._size:
                    self._has_room.set()

    async def _wait_for_room(self) -> None:
        while len(self._results) >= self._size:
            self._has_room.clear()
            await self._has_room.wait()


def run(
    requests: Requests,
    provider: str | Provider,
    *,
    prompt: str | None = None,
    system: str | None = None,
    schema: JsonSchema | None = None,
    image_column: str | None = None,
    max_tokens: int | None = None,
    temperature: float | None = None,
    key: str | None = None,
    options: dict[str, Any] | None = None,
    engine: str = "local",
    address: str | None = None,
    workers: int | None = None,
    rpm: float | None = None,
    tpm: float | None = None,
    max_cost: float | None = None,
    budget: str | None = None,
    concurrency: int = 64,
    attempts: int = 8,
) -> Run:
    """Send many requests. Iterate over the returned run for the results, in the order in which they arrive.

    ``requests`` is the path of a JSONL, CSV or Parquet file, or an iterable or async iterable. Its items are requests,
    ``(key, request)`` pairs, or mappings that fill ``prompt``, as the rows of a file do. A row's key is the pair's, or
    the cell in the column that ``key`` names, or in a file's column ``key`` or ``id``. Otherwise it's the row's number,
    from 1: an int for iterables, text for files. A plain iterable runs on the event loop, so make one that waits async.
    ``provider`` is an id, with ``options`` for the provider, or an object. Clusters need the id.

    ``rpm`` and ``tpm`` limit the requests and tokens per minute of all workers together. Runs on one cluster share the
    limits of one name, ``budget`` (by default the provider's id). ``max_cost`` limits this run, in US dollars.
    ``concurrency`` is the most calls at once, and ``attempts`` the most for one row. ``workers`` is the number of
    processes in a cluster that starts here. An answer that doesn't match ``schema`` is an AnswerError.

    Raises ConfigurationError and PluginError; while you iterate, also errors that every row would have, such as a key
    that isn't accepted. An error of one row is in its result.
    """
    settings = Settings(
        provider=provider,
        options=options or {},
        engine=engine,
        address=address,
        workers=workers,
        rpm=rpm,
        tpm=tpm,
        max_cost=max_cost,
        concurrency=concurrency,
        attempts=attempts,
        budget=budget,
        answer_reader=AnswerReader(schema) if schema is not None else None,
    )
    template = Prompt(
        prompt, system=system, schema=schema, image_column=image_column, max_tokens=max_tokens, temperature=temperature
    )
    return Run(open_rows(requests, template, key), settings)


def _prices(settings: Settings) -> Capabilities:
    """Return the capabilities with the prices. Raises ConfigurationError if the prices aren't known."""
    provider = settings.provider
    if not isinstance(provider, Provider):
        provider = get_provider(provider, **settings.options)
    capabilities = provider.capabilities
    if capabilities.usd_per_input_mtok is None or capabilities.usd_per_output_mtok is None:
        raise ConfigurationError(
            f"max_cost: the prices of {provider.id} aren't known; give them as the option capabilities, with "
            "usd_per_input_mtok and usd_per_output_mtok"
        )
    return capabilities


async def _next(results: AsyncGenerator[Result, None]) -> Result | None:
    return await anext(results, None)
