"""What a call is taken for, in tokens and in money, and how much of both is left."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from tako.parts import FilePart, TextPart, media_kind

if TYPE_CHECKING:
    from tako.capabilities import Capabilities
    from tako.types import ChatRequest, Usage
    from tako_map.quota import Leases

IMAGE_TOKENS = 1500
OUTPUT_TOKENS = 1024
"""What an answer is taken for that no ``max_tokens`` limits, until longer ones have been seen."""


class Estimate(Struct, frozen=True):
    """What a call is taken for until its usage is known: tokens as they are likely, US dollars as they are at most."""

    tokens: float
    usd: float


class Budget:
    """The budgets of one run: a place in the minute, and money that is reserved before a call and settled after it."""

    def __init__(
        self,
        leases: Leases,
        *,
        max_cost: float | None = None,
        spent: float = 0.0,
        prices: Capabilities | None = None,
    ) -> None:
        self.leases = leases
        self.spent = spent
        self.max_cost = max_cost
        self._prices = prices
        self._gate = asyncio.Lock()  # one at a time, in their order
        self._settled = asyncio.Event()
        self._reserved: dict[int, float] = {}
        self._number = 0
        self._seen = 0
        self._likely_output = 256.0  # where nothing limits it, until some have been seen
        self._longest_output = OUTPUT_TOKENS
        self._dearest = 1.0  # how far a call has been above its estimate

    @property
    def idle(self) -> bool:
        """Whether there is nothing to hold."""
        return not self.leases.held and self.max_cost is None

    def estimate(self, request: ChatRequest) -> Estimate:
        """Take a request for so many tokens and so much money."""
        size, most = prompt_tokens(request), request.max_tokens
        likely = min(most or self._likely_output, self._likely_output) if self._seen else most or self._likely_output
        dearest = (self.price(size, most or self._longest_output) or 0.0) * self._dearest
        return Estimate(size + likely, dearest)

    def price(self, input_tokens: int, output_tokens: int) -> float | None:
        """Price tokens as they cost at most, cached ones too; None where the prices are not known."""
        known = self._prices
        if known is None or known.usd_per_input_mtok is None or known.usd_per_output_mtok is None:
            return None
        dearer = max(known.usd_per_input_mtok, known.usd_per_cache_write_mtok or 0.0)
        return (input_tokens * dearer + output_tokens * known.usd_per_output_mtok) / 1e6

    async def admit(self, estimate: Estimate) -> int | None:
        """Wait for money and for a place in the minute; returns a ticket, or None where the money is gone."""
        if self.max_cost is not None and not await self._affordable(estimate.usd):
            return None
        self._number += 1
        ticket = self._number
        self._reserved[ticket] = estimate.usd
        if self.leases.held:
            await self.leases.turn(estimate.tokens)
        return ticket

    async def _affordable(self, usd: float) -> bool:
        """Wait until there is money, or until there will not be any."""
        limit = self.max_cost or 0.0
        async with self._gate:
            while self.spent + sum(self._reserved.values()) + usd > limit:
                if not self._reserved:
                    return False
                self._settled.clear()
                await self._settled.wait()
        return True

    def withdraw(self, ticket: int, estimate: Estimate) -> None:
        """Give back what a call had that was not made."""
        self._reserved.pop(ticket)
        self.leases.correct(-estimate.tokens)
        self._settled.set()

    def settle(self, ticket: int, estimate: Estimate, usage: Usage | None, usd: float | None) -> None:
        """Put the truth in the place of the estimate; ``usd=None``: not known, so the estimate stands."""
        reserved = self._reserved.pop(ticket)
        if usd is None and usage is not None and usage.total:
            usd = self.price(usage.input_tokens, usage.output_tokens)
        self.spent += reserved if usd is None else usd
        if usage is not None and usage.total:
            self.leases.correct(usage.total - estimate.tokens)
            self._seen += 1
            self._likely_output += (usage.output_tokens - self._likely_output) * max(0.05, 1 / self._seen)
            self._longest_output = max(self._longest_output, usage.output_tokens * 3 // 2)
        if usd and estimate.usd:
            self._dearest = max(self._dearest, self._dearest * usd / estimate.usd)
        self._settled.set()


def media_tokens(part: Any) -> int:
    """Estimate the tokens of an image or a file: a page of a PDF is an image, and has some 50 KB."""
    size = len(part.data_b64) * 3 // 4 if isinstance(part, FilePart) else 0
    return size // 3 if media_kind(part) == "text" else IMAGE_TOKENS * (1 + size // 50_000)


def prompt_tokens(request: ChatRequest) -> int:
    """Estimate the tokens of a prompt, rather too many: three bytes each (English has about four)."""
    tokens = 16
    for message in request.messages:
        for part in message.parts:
            if isinstance(part, TextPart):
                tokens += 8 + len(part.text.encode("utf-8", "replace")) // 3
            elif media_kind(part):
                tokens += media_tokens(part)
            else:
                tokens += len(repr(part)) // 3
    for rest in (*request.tools, request.response_format):
        tokens += len(repr(rest)) // 3 if rest is not None else 0
    return tokens
