"""What a reply used, and what that cost."""

from __future__ import annotations

from decimal import Decimal

from msgspec import Struct

from tako.value import Value


class Usage(Value, Struct, frozen=True):
    """Tokens: the input counts all of the prompt, the output all that was generated; the others are parts of those."""

    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    cache_write_tokens: int = 0
    reasoning_tokens: int = 0

    @property
    def total(self) -> int:
        """All tokens, in and out."""
        return self.input_tokens + self.output_tokens

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            self.cached_tokens + other.cached_tokens,
            self.cache_write_tokens + other.cache_write_tokens,
            self.reasoning_tokens + other.reasoning_tokens,
        )

    def __radd__(self, other: int) -> Usage:
        """Let ``sum(usages)`` begin at 0."""
        return self if other == 0 else NotImplemented


class Cost(Value, Struct, frozen=True):
    """What a reply cost, in US dollars, by kind of token; ``total`` is the sum.

    ``other`` is what isn't told apart: the sum that a gateway says it billed.
    """

    input: Decimal = Decimal(0)
    output: Decimal = Decimal(0)
    cached: Decimal = Decimal(0)
    cache_write: Decimal = Decimal(0)
    other: Decimal = Decimal(0)

    @property
    def total(self) -> Decimal:
        """All of it."""
        return self.input + self.output + self.cached + self.cache_write + self.other

    def __add__(self, other: Cost) -> Cost:
        return Cost(
            self.input + other.input,
            self.output + other.output,
            self.cached + other.cached,
            self.cache_write + other.cache_write,
            self.other + other.other,
        )

    def __radd__(self, other: int) -> Cost:
        """Let ``sum(costs)`` begin at 0."""
        return self if other == 0 else NotImplemented
