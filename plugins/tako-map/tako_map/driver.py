"""The loop: take a row, ask, try again, hand the result over."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from time import monotonic
from typing import TYPE_CHECKING, Any

from msgspec import Struct

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
from tako_map.pace import Pace, now
from tako_map.values import AnswerError, Result, Row

if TYPE_CHECKING:
    from tako_map.answers import Answers
    from tako_map.budget import Budget, Estimate

LONGEST_PAUSE = 600.0
"""Seconds. A vendor that asks for a longer one ends the run, which can go on later."""
FIRST_WAIT, LONGEST_WAIT = 0.25, 20.0
NOBODY = (PermissionDeniedError, NotFoundError)
"""Errors that, before any success, will be the same for every row."""

Chat = Callable[[ChatRequest], Awaitable[ChatResponse]]
Deliver = Callable[[Result], Awaitable[None] | None]


class WorkerLostError(Exception):
    """The worker is gone that had the call; it is made again, and does not count as an attempt."""


class Driver:
    """Drives rows through ``chat``. ``stopped`` says why it ended before the rows did.

    No row is read before there is a place for its call, and a place is free once its result has been delivered.
    """

    def __init__(
        self,
        chat: Chat,
        deliver: Deliver,
        *,
        pace: Pace,
        budget: Budget,
        attempts: int = 8,
        answers: Answers | None = None,
    ) -> None:
        self._chat = chat
        self._deliver = deliver
        self._pace = pace
        self._budget = budget
        self._attempts = attempts
        self._answers = answers
        self._succeeded = False
        self._reading = asyncio.Lock()
        self.stopped: BaseException | str | None = None

    async def run(self, rows: Iterator[Row] | AsyncIterator[Row]) -> None:
        """Return when every row that could be asked has been delivered. Raises what reading or delivering raises."""
        take = self._taker(rows)
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(self._pace.most):
                    group.create_task(self._work(take))
        except BaseExceptionGroup as failures:
            raise failures.exceptions[0] from None
        if isinstance(self.stopped, (SystemExit, KeyboardInterrupt)):
            raise self.stopped

    def _taker(self, rows: Iterator[Row] | AsyncIterator[Row]) -> Callable[[], Awaitable[Row | None]] | Iterator[Row]:
        if isinstance(rows, Iterator):
            return rows

        async def take() -> Row | None:
            async with self._reading:
                return await anext(rows, None)

        return take

    async def _work(self, take: Any) -> None:
        at_hand = hasattr(take, "__next__")
        pace = self._pace
        await pace.enter()
        while self.stopped is None:
            row: Row | None = next(take, None) if at_hand else await take()
            if row is None:
                break
            problem = row.problem or _problem(row.request)
            result = Result(row.key, row.number, error=problem) if problem is not None else await self._ask(row)
            if result is None:
                break
            handed = self._deliver(result)
            if handed is not None:
                await handed
            if pace.crowded:
                pace.leave()
                await pace.enter()
        pace.leave()

    async def _ask(self, row: Row) -> Result | None:
        """Ask until there is an answer or no hope; None where the run stops first."""
        began = monotonic()
        attempts = 0
        while True:
            try:
                response = await self._call(row.request)
            except WorkerLostError:
                continue
            except ProviderError as error:
                attempts += 1
                if self._hopeless(error):
                    return None
                if not error.retryable or attempts >= self._attempts:
                    return _failed(row, error, attempts, began)
                await self._wait(error, attempts)
            except (SystemExit, KeyboardInterrupt) as error:  # it ends the run, but not from a task: that ends the loop
                self._stop(error)
                return None
            except Exception as error:  # noqa: BLE001 - one row's trouble, whatever it is, is that row's
                return _failed(row, error, attempts + 1, began)
            else:
                if response is None:
                    return None
                self._succeeded = True
                self._pace.succeeded()
                return self._answered(row, response, attempts + 1, monotonic() - began)

    def _answered(self, row: Row, response: ChatResponse, attempts: int, seconds: float) -> Result:
        usage, cost = response.usage, response.cost
        data = None
        if self._answers is not None:
            try:
                data = self._answers.read(response)
            except AnswerError as error:
                error.__traceback__ = error.__cause__ = None
                return Result(row.key, row.number, None, error, usage, cost, attempts, seconds)
        return Result(row.key, row.number, response, None, usage, cost, attempts, seconds, data)

    async def _call(self, given: Any) -> ChatResponse | None:
        """Make one call when its time has come; None where it will not come."""
        request = as_request(given)
        pace, budget = self._pace, self._budget
        if pace.paused_until:
            await pace.pause_over()
        ticket = estimate = None
        if not budget.idle:
            estimate = budget.estimate(request)
            ticket = await self._admitted(estimate)
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
            usd = 0.0 if error.status_code is not None else None  # who got no reply may have to pay for one
            if pace.failed(error, began):
                budget.leases.tell()
            raise
        finally:
            if ticket is not None and estimate is not None:
                budget.settle(ticket, estimate, usage, usd)
        return response

    async def _admitted(self, estimate: Estimate) -> int | None:
        """Wait for the budget, and for pauses that began meanwhile; stops the run where the money is gone."""
        while True:
            ticket = await self._budget.admit(estimate)
            if ticket is None:
                limit = self._budget.max_cost
                self._stop(f"the next row could cost more than is left of {limit} USD ({self._budget.spent:.6f} spent)")
                return None
            if self._pace.paused_until <= now():
                return ticket
            self._budget.withdraw(ticket, estimate)
            await self._pace.pause_over()

    def _hopeless(self, error: ProviderError) -> bool:
        """Stop the run for errors that every other row would have as well."""
        refused = isinstance(error, AuthenticationError) or (isinstance(error, NOBODY) and not self._succeeded)
        later = isinstance(error, RateLimitError) and (error.retry_after or 0.0) > LONGEST_PAUSE
        if refused or later:
            self._stop(error)
        return refused or later

    def _stop(self, reason: BaseException | str) -> None:
        self.stopped = self.stopped or reason

    async def _wait(self, error: ProviderError, attempts: int) -> None:
        """Let others have the place until it is time to try again."""
        self._pace.leave()
        if not error.retry_after:
            wait = min(LONGEST_WAIT, FIRST_WAIT * 2 ** (attempts - 1))
            await asyncio.sleep(wait * random.uniform(0.5, 1.0))  # noqa: S311 - not for secrets
        await self._pace.enter()


class Reason(Struct, frozen=True):
    """Why a row failed, in the output."""

    type: str
    message: str
    status_code: int | None = None
    code: str | None = None
    request_id: str | None = None
    retryable: bool = False


def reason_of(error: BaseException) -> Reason:
    """Describe an error in plain values."""
    name = type(error).__name__
    if not isinstance(error, ProviderError):
        return Reason(name, " ".join(str(error).split()))
    return Reason(name, str(error), error.status_code, error.code, error.request_id, error.retryable)


def _problem(request: Any) -> TakoError | None:
    """Say what is wrong with something that is to be a request."""
    if request.__class__ is ChatRequest:
        return None  # the provider checks it
    try:
        as_request(request)
    except TakoError as error:
        return error
    return None


def _failed(row: Row, error: Exception, attempts: int, began: float) -> Result:
    if not isinstance(error, TakoError):
        cause = error
        error = PluginError(f"the provider's plugin failed: {type(cause).__name__}: {cause}")
        error.__cause__ = cause
    error.__traceback__ = None  # frames would hold the request as long as the result lives
    return Result(row.key, row.number, error=error, attempts=attempts, seconds=monotonic() - began)
