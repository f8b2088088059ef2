"""How many calls at once, how many a minute, and for how much money.

One of each for a run, in the process that drives it, so that they hold across all workers of all machines.
"""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING

from msgspec import Struct

from tako.errors import OverloadedError, RateLimitError
from tako.parts import ImagePart, ImageUrlPart, TextPart

if TYPE_CHECKING:
    from collections.abc import Callable

    from tako.capabilities import Capabilities
    from tako.errors import ProviderError
    from tako.types import ChatRequest, Usage

FIRST = 16
"""Calls at once at the beginning; doubled every round until the vendor first says that it is too much."""
MARGIN = 0.98
"""The part of a budget that is used: clocks and networks differ."""
LATE = 0.05
"""Seconds by which a call may come late without losing its place in the minute."""
IMAGE_TOKENS = 1500
OUTPUT_TOKENS = 1024
"""What an answer is taken for that no ``max_tokens`` limits, until longer ones have been seen."""


class Pace:
    """Concurrency that adapts (additive up, multiplicative down), and pauses that hold for everybody."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.limit = float(min(most, FIRST))
        self.in_flight = 0
        self.paused_until = 0.0
        self._cut = float("-inf")
        self._climbing = True
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def enter(self) -> None:
        """Wait for a place."""
        if self.in_flight < self.limit and not self._waiting:
            self.in_flight += 1
            return
        place = asyncio.get_running_loop().create_future()
        self._waiting.append(place)
        await place  # whoever made room has counted it

    def leave(self) -> None:
        """Give the place back."""
        self.in_flight -= 1
        self._admit()

    @property
    def crowded(self) -> bool:
        """Whether there are more calls than there should be, so that one who is done should leave its place."""
        return self.in_flight > self.limit

    def succeeded(self) -> None:
        """Go up: by one a round, by as many again while nothing has been refused yet."""
        if self.limit < self.most:
            self.limit = min(self.most, self.limit + (1.0 if self._climbing else 1.0 / self.limit))
            self._admit()

    def failed(self, error: ProviderError, began: float) -> None:
        """Go down where the vendor has too much, once for all calls that were under way, and pause where it says so."""
        if not isinstance(error, (RateLimitError, OverloadedError)):
            return
        if began >= self._cut:
            self._cut = monotonic()
            self._climbing = False
            self.limit = max(1.0, self.limit / 2)
        if error.retry_after:
            self.paused_until = max(self.paused_until, monotonic() + error.retry_after)

    async def pause_over(self) -> None:
        """Wait until nobody has to pause any more."""
        while (left := self.paused_until - monotonic()) > 0:  # noqa: ASYNC110 - it is a time, and may move
            await asyncio.sleep(left)

    def _admit(self) -> None:
        while self._waiting and self.in_flight < self.limit:
            place = self._waiting.popleft()
            if not place.done():
                self.in_flight += 1
                place.set_result(None)


class Estimate(Struct, frozen=True):
    """What a call is taken for until its usage is known: tokens as they are likely, US dollars as they are at most."""

    tokens: float
    usd: float


class Budget:
    """Requests and tokens a minute, spread evenly, and money that is reserved before a call and settled after it."""

    def __init__(
        self,
        *,
        rpm: float | None = None,
        tpm: float | None = None,
        max_cost: float | None = None,
        spent: float = 0.0,
        prices: Capabilities | None = None,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self.spent = spent
        self.max_cost = max_cost
        self._per_request = 60.0 / (rpm * MARGIN) if rpm else 0.0
        self._per_token = 60.0 / (tpm * MARGIN) if tpm else 0.0
        self._clock = clock
        self._next_request = self._next_token = clock()
        self._prices = prices
        self._gate = asyncio.Lock()  # one at a time, in their order
        self._settled = asyncio.Event()
        self._reserved: dict[int, float] = {}
        self._number = 0
        self._seen = 0
        self._likely_output = 256.0  # until some have been seen
        self._longest_output = OUTPUT_TOKENS
        self._dearest = 1.0  # how far a call has been above its estimate

    @property
    def idle(self) -> bool:
        """Whether there is nothing to hold."""
        return not (self._per_request or self._per_token or self.max_cost is not None)

    def estimate(self, request: ChatRequest) -> Estimate:
        """Take a request for so many tokens and so much money."""
        size = prompt_tokens(request)
        if self.max_cost is None or self._prices is None:
            return Estimate(size + (request.max_tokens or self._likely_output), 0.0)
        output = request.max_tokens or self._longest_output
        return Estimate(size + self._likely_output, (self.price(size, output) or 0.0) * self._dearest)

    def price(self, input_tokens: int, output_tokens: int) -> float | None:
        """Price tokens as they cost at most, cached ones too; None where the prices are not known."""
        known = self._prices
        if known is None or known.usd_per_input_mtok is None or known.usd_per_output_mtok is None:
            return None
        dearer = max(known.usd_per_input_mtok, known.usd_per_cache_write_mtok or 0.0)
        return (input_tokens * dearer + output_tokens * known.usd_per_output_mtok) / 1e6

    async def admit(self, estimate: Estimate) -> int | None:
        """Wait for a place in the minute and for money; returns a ticket, or None where the money is gone."""
        async with self._gate:
            while (
                self.max_cost is not None and self.spent + sum(self._reserved.values()) + estimate.usd > self.max_cost
            ):
                if not self._reserved:
                    return None
                self._settled.clear()
                await self._settled.wait()
            self._number += 1
            ticket = self._number
            self._reserved[ticket] = estimate.usd
            now = await self._due()
            self._next_request = max(self._next_request, now - max(LATE, self._per_request)) + self._per_request
            self._next_token = max(self._next_token, now - LATE) + estimate.tokens * self._per_token
            return ticket

    async def _due(self) -> float:
        """Wait until there is room in the minute; returns the time. Calls that need less than was taken make room."""
        while (wait := max(self._next_request, self._next_token) - (now := self._clock())) > 0:
            if self._next_request >= self._next_token:
                await asyncio.sleep(wait)
                continue
            self._settled.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._settled.wait(), wait)
        return now

    def settle(self, ticket: int, estimate: Estimate, usage: Usage | None, usd: float | None) -> None:
        """Put the truth in the place of the estimate; ``usd=None``: not known, so the estimate stands."""
        reserved = self._reserved.pop(ticket)
        if usd is None and usage is not None and usage.total:
            usd = self.price(usage.input_tokens, usage.output_tokens)
        self.spent += reserved if usd is None else usd
        if usage is not None and usage.total:
            self._next_token += (usage.total - estimate.tokens) * self._per_token
            self._seen += 1
            self._likely_output += (usage.output_tokens - self._likely_output) * max(0.05, 1 / self._seen)
            self._longest_output = max(self._longest_output, usage.output_tokens * 3 // 2)
        if usd and estimate.usd:
            self._dearest = max(self._dearest, self._dearest * usd / estimate.usd)
        self._settled.set()


def prompt_tokens(request: ChatRequest) -> int:
    """Estimate the tokens of a prompt, rather too many: three bytes each (English has about four)."""
    tokens = 16
    for message in request.messages:
        for part in message.parts:
            if isinstance(part, TextPart):
                tokens += 8 + len(part.text.encode("utf-8", "replace")) // 3
            elif isinstance(part, (ImagePart, ImageUrlPart)):
                tokens += IMAGE_TOKENS
            else:
                tokens += len(repr(part)) // 3
    for rest in (*request.tools, request.response_format):
        tokens += len(repr(rest)) // 3 if rest is not None else 0
    return tokens
