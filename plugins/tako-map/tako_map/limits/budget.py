"""The tokens and the money that a call may use, by estimate, and how much of both is left."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from tako.parts import FilePart, TextPart, media_kind

if TYPE_CHECKING:
    from tako.capabilities import Capabilities
    from tako.types import ChatRequest, Usage
    from tako_map.limits.quota import QuotaClient

IMAGE_TOKENS = 1500
OUTPUT_TOKENS = 1024
"""The estimate for an answer without ``max_tokens``, until a longer one has arrived."""


class Estimate(Struct, frozen=True):
    """What a call may use, until its usage is known: the likely tokens, and the most US dollars."""

    tokens: float
    usd: float


class Budget:
    """The budgets of one run: a lease of the quota, and money that is reserved before a call and settled after it."""

    def __init__(
        self,
        quota: QuotaClient,
        *,
        max_cost: float | None = None,
        spent: float = 0.0,
        prices: Capabilities | None = None,
    ) -> None:
        self.quota = quota
        self.spent = spent
        self.max_cost = max_cost
        self._prices = prices
        self._queue = asyncio.Lock()  # one call at a time, in their order
        self._has_settled = asyncio.Event()
        self._reserved: dict[int, float] = {}
        self._number = 0
        self._answers = 0
        self._likely_output = 256.0  # without max_tokens, until answers have arrived
        self._longest_output = OUTPUT_TOKENS
        self._excess = 1.0  # the largest ratio of a cost to its estimate

    @property
    def is_unlimited(self) -> bool:
        """Whether no call has to wait for it."""
        return not self.quota.is_limited and self.max_cost is None

    def estimate(self, request: ChatRequest) -> Estimate:
        """Estimate the tokens and the money of a request."""
        prompt, max_tokens = prompt_tokens(request), request.max_tokens
        output = max_tokens or self._likely_output
        if self._answers:
            output = min(output, self._likely_output)
        usd = (self.price(prompt, max_tokens or self._longest_output) or 0.0) * self._excess
        return Estimate(prompt + output, usd)

    def price(self, input_tokens: int, output_tokens: int) -> float | None:
        """Return what tokens cost at most, cached ones too; None if the prices aren't known."""
        prices = self._prices
        if prices is None or prices.usd_per_input_mtok is None or prices.usd_per_output_mtok is None:
            return None
        usd_per_input_mtok = max(prices.usd_per_input_mtok, prices.usd_per_cache_write_mtok or 0.0)
        return (input_tokens * usd_per_input_mtok + output_tokens * prices.usd_per_output_mtok) / 1e6

    async def admit(self, estimate: Estimate) -> int | None:
        """Wait for money and for a lease; returns a ticket, or None if the money is used up."""
        if self.max_cost is not None and not await self._can_afford(estimate.usd):
            return None
        self._number += 1
        ticket = self._number
        self._reserved[ticket] = estimate.usd
        if self.quota.is_limited:
            await self.quota.wait(estimate.tokens)
        return ticket

    async def _can_afford(self, usd: float) -> bool:
        """Wait until there is enough money; returns whether there ever will be."""
        limit = self.max_cost or 0.0
        async with self._queue:
            while self.spent + sum(self._reserved.values()) + usd > limit:
                if not self._reserved:
                    return False
                self._has_settled.clear()
                await self._has_settled.wait()
        return True

    def withdraw(self, ticket: int, estimate: Estimate) -> None:
        """Give back what was reserved for a call that wasn't made."""
        self._reserved.pop(ticket)
        self.quota.correct(-estimate.tokens)
        self._has_settled.set()

    def settle(self, ticket: int, estimate: Estimate, usage: Usage | None, usd: float | None) -> None:
        """Replace the estimate by what a call used. With ``usd=None`` the cost isn't known, so the estimate counts."""
        reserved = self._reserved.pop(ticket)
        if usd is None and usage is not None and usage.total:
            usd = self.price(usage.input_tokens, usage.output_tokens)
        self.spent += reserved if usd is None else usd
        if usage is not None and usage.total:
            self.quota.correct(usage.total - estimate.tokens)
            self._answers += 1
            self._likely_output += (usage.output_tokens - self._likely_output) * max(0.05, 1 / self._answers)
            self._longest_output = max(self._longest_output, usage.output_tokens * 3 // 2)
        if usd and estimate.usd:
            self._excess = max(self._excess, self._excess * usd / estimate.usd)
        self._has_settled.set()


def media_tokens(part: Any) -> int:
    """Estimate the tokens of an image or a file: each page of a PDF counts as an image, and has about 50 KB."""
    size = len(part.data_b64) * 3 // 4 if isinstance(part, FilePart) else 0
    return size // 3 if media_kind(part) == "text" else IMAGE_TOKENS * (1 + size // 50_000)


def prompt_tokens(request: ChatRequest) -> int:
    """Estimate the tokens of a prompt, rather too many: one for three bytes (English has about four)."""
    tokens = 16
    for message in request.messages:
        for part in message.parts:
            if isinstance(part, TextPart):
                tokens += 8 + len(part.text.encode("utf-8", "replace")) // 3
            elif media_kind(part):
                tokens += media_tokens(part)
            else:
                tokens += len(repr(part)) // 3
    for definition in (*request.tools, request.response_format):
        tokens += len(repr(definition)) // 3 if definition is not None else 0
    return tokens
