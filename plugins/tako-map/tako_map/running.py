"""``run``: requests in, results out, as they come."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator, Mapping
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeGuard, cast

from tako.errors import ConfigurationError, TakoError, kind_of
from tako.hooks import get_provider
from tako.loop_thread import loop_thread
from tako.provider import Provider
from tako.types import ChatRequest, JsonSchema, Message
from tako_map.answers import Answers
from tako_map.budget import Budget
from tako_map.driver import Deliver, Driver
from tako_map.engines import Unusable, open_engine
from tako_map.pace import Pace
from tako_map.prompt import Prompt
from tako_map.quota import Leases
from tako_map.reading import Source
from tako_map.settings import Settings
from tako_map.values import Result, Row

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator

PAIR = 2


class Run:
    """Results as they come, in any order: ``async for`` over it, or ``for`` without an event loop.

    Results that nobody has taken yet hold the calls back. ``stopped`` says afterwards why it ended early, if it did.
    """

    def __init__(self, rows: Any, settings: Settings) -> None:
        self._rows = rows
        self._settings = settings
        self._driver: Driver | None = None
        self.pace = Pace(settings.concurrency)
        self.budget: Budget | None = None

    @property
    def stopped(self) -> BaseException | str | None:
        """Why the run ended before the rows did: an error that is the same for every row, or words; else None."""
        return self._driver.stopped if self._driver is not None else None

    async def deliver(self, deliver: Deliver) -> None:
        """Carry the run out, handing every result to a function as soon as it is there."""
        settings = self._settings
        prices = _prices(settings) if settings.max_cost is not None else None
        try:
            async with open_engine(settings) as engine:
                leases = Leases(engine.ask, self.pace, rpm=settings.rpm, tpm=settings.tpm)
                self.budget = Budget(leases, max_cost=settings.max_cost, spent=settings.spent, prices=prices)
                self.budget.spent += self.budget.price(*settings.unpriced) or 0.0
                self._driver = Driver(
                    engine.chat,
                    deliver,
                    pace=self.pace,
                    budget=self.budget,
                    attempts=settings.attempts,
                    answers=settings.answers,
                )
                async with leases.open(shared=engine.shared):
                    await self._driver.run(self._rows)
        except Unusable as unusable:
            raise unusable.args[0] from None

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
            thread.leave(results.aclose())


class _Window:
    """Results between the driver and whoever takes them, at most so many."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._results: deque[Result] = deque()
        self._some = asyncio.Event()
        self._room = asyncio.Event()
        self._ended = False

    def put(self, result: Result) -> Any:
        self._results.append(result)
        self._some.set()
        return self._wait() if len(self._results) >= self._size else None

    def end(self) -> None:
        self._ended = True
        self._some.set()

    async def take(self) -> AsyncGenerator[Result, None]:
        while self._results or not self._ended:
            if not self._results:
                self._some.clear()
                await self._some.wait()
            while self._results:
                yield self._results.popleft()
                if len(self._results) < self._size:
                    self._room.set()

    async def _wait(self) -> None:
        while len(self._results) >= self._size:
            self._room.clear()
            await self._room.wait()


Requests = (
    str
    | PathLike[str]
    | Iterable[ChatRequest | str | list[Message] | tuple[Any, Any] | Mapping[str, Any]]
    | AsyncIterable[ChatRequest | str | list[Message] | tuple[Any, Any] | Mapping[str, Any]]
)


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
    """Ask many requests; iterate over what comes back for the results, in the order in which they come.

    ``requests`` is the path of a JSONL, CSV or Parquet file, or an iterable or async iterable of requests, of
    ``(key, request)`` pairs, or of mappings that fill ``prompt`` (as do the rows of a file). Without a pair's key, or a
    column ``key`` or ``id`` of a file (or the one that ``key`` names), a row's number, from 1, is its key: an int in
    iterables, text in files. A plain iterable is advanced on the event loop: one that waits should be async.
    ``provider`` is an id, whose ``options`` are the provider's, or an object; clusters need the id.

    ``rpm`` and ``tpm`` are budgets a minute, wherever the workers are; runs on one cluster share those of one name,
    ``budget`` (the provider's id). ``max_cost`` is one of the run, in US dollars; ``concurrency`` is the most calls at
    once, ``attempts`` the most for one row. ``workers`` counts the processes of a cluster that is started here. An
    answer that does not match ``schema`` is an AnswerError.

    Raises ConfigurationError and PluginError; while iterating, also what would be the same for every row (a key that is
    not accepted). What one row meets is in its result.
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
        answers=Answers(schema) if schema is not None else None,
    )
    filled = Prompt(
        prompt, system=system, schema=schema, image_column=image_column, max_tokens=max_tokens, temperature=temperature
    )
    return Run(_rows(requests, filled, key), settings)


def _rows(requests: Any, prompt: Prompt, key: str | None) -> Iterator[Row] | AsyncIterator[Row]:
    if isinstance(requests, (str, PathLike)):
        path = Path(cast("str", requests))
        prompt.folder = path.parent
        return Source(path, prompt, key=key)
    if hasattr(requests, "__aiter__"):
        return _async_rows(requests, prompt, key)
    if not hasattr(requests, "__iter__"):
        raise ConfigurationError(f"requests are a file or an iterable of requests, not {kind_of(requests)}")
    items: Iterable[Any] = requests
    return (_row(number, given, prompt, key) for number, given in enumerate(items, 1))


async def _async_rows(requests: AsyncIterable[Any], prompt: Prompt, key: str | None) -> AsyncGenerator[Row, None]:
    number = 0
    async for given in requests:
        number += 1
        yield _row(number, given, prompt, key)


def _row(number: int, given: Any, prompt: Prompt, key: str | None) -> Row:
    name: Any = number
    if _is_pair(given):
        name, given = given
    elif key is not None and _is_mapping(given):
        name = given.get(key, number)
    if not _is_mapping(given) and (prompt.template is None or not isinstance(given, str)):
        return Row(number, name, given)
    try:
        return Row(number, name, prompt.request(given))
    except TakoError as error:
        return Row(number, name, problem=error)


def _is_pair(given: Any) -> TypeGuard[tuple[Any, Any]]:
    return isinstance(given, tuple) and len(given) == PAIR  # pyright: ignore[reportUnknownArgumentType] - a tuple of anything


def _is_mapping(given: Any) -> TypeGuard[Mapping[str, Any]]:
    return isinstance(given, Mapping)


def _prices(settings: Settings) -> Any:
    """Return the capabilities that have the prices; raises ConfigurationError where they are not known."""
    given = settings.provider
    provider = given if isinstance(given, Provider) else get_provider(given, **settings.options)
    known = provider.capabilities
    if known.usd_per_input_mtok is None or known.usd_per_output_mtok is None:
        raise ConfigurationError(
            f"max_cost: the prices of {provider.id} aren't known; give them as the option capabilities, with "
            "usd_per_input_mtok and usd_per_output_mtok"
        )
    return known


async def _next(results: AsyncGenerator[Result, None]) -> Result | None:
    return await anext(results, None)
