"""The loop of a run: read a row, call the provider, retry, deliver the result."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from time import monotonic
from typing import TYPE_CHECKING, Any

from tako.errors import (
    AuthenticationError,
    NotFoundError,
    PermissionDeniedError,
    PluginError,
    ProviderError,
    RateLimitError,
    TakoError,
)
from tako.request import as_request
from tako.types import ChatRequest, ChatResponse
from tako_map.limits.pace import Pace, now
from tako_map.results import AnswerError, Result

if TYPE_CHECKING:
    from tako_map.input.rows import Row
    from tako_map.limits.budget import Budget, Estimate
    from tako_map.results import AnswerReader

LONGEST_PAUSE = 600.0
"""Seconds. If a vendor asks for a longer pause, the run ends; you can continue it later."""
FIRST_WAIT, LONGEST_WAIT = 0.25, 20.0
REFUSALS = (PermissionDeniedError, NotFoundError)
"""Errors that, before any success, every other row would have too."""

Chat = Callable[[ChatRequest], Awaitable[ChatResponse]]
Deliver = Callable[[Result], Awaitable[None] | None]


class WorkerLostError(Exception):
    """The worker that had the call is lost. The call is made again, and doesn't count as an attempt."""


class Driver:
    """Calls ``chat`` for each row. ``stopped`` says why it ended before the rows did.

    It reads a row when the row's call may start, and the next one after the result has been delivered.
    """

    def __init__(
        self,
        chat: Chat,
        deliver: Deliver,
        *,
        pace: Pace,
        budget: Budget,
        attempts: int = 8,
        answer_reader: AnswerReader | None = None,
    ) -> None:
        self._chat = chat
        self._deliver = deliver
        self._pace = pace
        self._budget = budget
        self._attempts = attempts
        self._answer_reader = answer_reader
        self._has_succeeded = False
        self._reading = asyncio.Lock()
        self.stopped: BaseException | str | None = None

    async def run(self, rows: Iterator[Row] | AsyncIterator[Row]) -> None:
        """Return after the last result has been delivered. Raises what reading or delivering raises."""
        read_row = self._row_reader(rows)
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(self._pace.maximum):
                    group.create_task(self._work(read_row))
        except BaseExceptionGroup as failures:
            raise failures.exceptions[0] from None
        if isinstance(self.stopped, (SystemExit, KeyboardInterrupt)):
            raise self.stopped

    def _row_reader(
        self, rows: Iterator[Row] | AsyncIterator[Row]
    ) -> Callable[[], Awaitable[Row | None]] | Iterator[Row]:
        if isinstance(rows, Iterator):
            return rows

        async def read_row() -> Row | None:
            async with self._reading:
                return await anext(rows, None)

        return read_row

    async def _work(self, read_row: Any) -> None:
        is_iterator = hasattr(read_row, "__next__")
        pace = self._pace
        await pace.enter()
        while self.stopped is None:
            row: Row | None = next(read_row, None) if is_iterator else await read_row()
            if row is None:
                break
            problem = row.problem or _request_problem(row.request)
            result = Result(row.key, row.number, error=problem) if problem is not None else await self._result_of(row)
            if result is None:
                break
            delivery = self._deliver(result)
            if delivery is not None:
                await delivery
            if pace.is_crowded:
                pace.leave()
                await pace.enter()
        pace.leave()

    async def _result_of(self, row: Row) -> Result | None:
        """Call until there is a response or a final error; returns None if the run stops first."""
        began = monotonic()
        attempts = 0
        while True:
            try:
                response = await self._call(row.request)
            except WorkerLostError:
                continue
            except ProviderError as error:
                attempts += 1
                if self._stops_run(error):
                    return None
                if not error.retryable or attempts >= self._attempts:
                    return _failure(row, error, attempts, began)
                await self._wait(error, attempts)
            except (SystemExit, KeyboardInterrupt) as error:  # it ends the run; raised in a task it would end the loop
                self._stop(error)
                return None
            except Exception as error:  # noqa: BLE001 - any error of one row is in that row's result
                return _failure(row, error, attempts + 1, began)
            else:
                if response is None:
                    return None
                self._has_succeeded = True
                self._pace.note_success()
                return self._success(row, response, attempts + 1, monotonic() - began)

    def _success(self, row: Row, response: ChatResponse, attempts: int, seconds: float) -> Result:
        usage, cost = response.usage, response.cost
        data = None
        if self._answer_reader is not None:
            try:
                data = self._answer_reader.read(response)
            except AnswerError as error:
                error.__traceback__ = error.__cause__ = None
                return Result(row.key, row.number, None, error, usage, cost, attempts, seconds)
        return Result(row.key, row.number, response, None, usage, cost, attempts, seconds, data)

    async def _call(self, value: Any) -> ChatResponse | None:
        """Make one call when it may start; returns None if the run stops first."""
        request = as_request(value)
        pace, budget = self._pace, self._budget
        if pace.paused_until:
            await pace.wait_for_pause()
        ticket = estimate = None
        if not budget.is_unlimited:
            estimate = budget.estimate(request)
            ticket = await self._admit(estimate)
        if self.stopped is not None:
            if ticket is not None and estimate is not None:
                budget.withdraw(ticket, estimate)
            return None
        began = now()
        usage = usd = None
        try:
            response = await self._chat(request)
            usage = response.usage
            usd = float(response.cost.total) if response.cost is not None else None
        except ProviderError as error:
            usd = 0.0 if error.status_code is not None else None  # a call without a reply may still be charged
            if pace.note_error(error, began):
                budget.quota.share_pause()
            raise
        finally:
            if ticket is not None and estimate is not None:
                budget.settle(ticket, estimate, usage, usd)
        return response

    async def _admit(self, estimate: Estimate) -> int | None:
        """Wait for the budget, and for pauses that began meanwhile; stops the run if the money is used up."""
        while True:
            ticket = await self._budget.admit(estimate)
            if ticket is None:
                limit = self._budget.max_cost
                self._stop(f"the next row could cost more than is left of {limit} USD ({self._budget.spent:.6f} spent)")
                return None
            if self._pace.paused_until <= now():
                return ticket
            self._budget.withdraw(ticket, estimate)
            await self._pace.wait_for_pause()

    def _stops_run(self, error: ProviderError) -> bool:
        """Stop the run if every other row would have the same error; returns whether it does."""
        is_refused = isinstance(error, AuthenticationError) or (isinstance(error, REFUSALS) and not self._has_succeeded)
        is_long_pause = isinstance(error, RateLimitError) and (error.retry_after or 0.0) > LONGEST_PAUSE
        if is_refused or is_long_pause:
            self._stop(error)
        return is_refused or is_long_pause

    def _stop(self, reason: BaseException | str) -> None:
        self.stopped = self.stopped or reason

    async def _wait(self, error: ProviderError, attempts: int) -> None:
        """Let other calls start until it's time to retry."""
        self._pace.leave()
        if not error.retry_after:
            wait = min(LONGEST_WAIT, FIRST_WAIT * 2 ** (attempts - 1))
            await asyncio.sleep(wait * random.uniform(0.5, 1.0))  # noqa: S311 - not for secrets
        await self._pace.enter()


def _request_problem(request: Any) -> TakoError | None:
    """Return the error of a value that can't be a request."""
    if request.__class__ is ChatRequest:
        return None  # the provider checks it
    try:
        as_request(request)
    except TakoError as error:
        return error
    return None


def _failure(row: Row, error: Exception, attempts: int, began: float) -> Result:
    if not isinstance(error, TakoError):
        cause = error
        error = PluginError(f"the provider's plugin failed: {type(cause).__name__}: {cause}")
        error.__cause__ = cause
    error.__traceback__ = None  # its frames would keep the request in memory as long as the result
    return Result(row.key, row.number, error=error, attempts=attempts, seconds=monotonic() - began)
