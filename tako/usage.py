"""The tokens that a reply used, and their price."""

from __future__ import annotations

from decimal import Decimal

from msgspec import Struct

from tako.value import Value


class Usage(Value, Struct, frozen=True):
    """Tokens of a reply.

    Attributes:
        input_tokens: All tokens of the prompt.
        output_tokens: All tokens that were generated, reasoning included.
        cached_tokens: The input tokens that were read from the vendor's cache.
        cache_write_tokens: The input tokens that were written to the vendor's cache.
        reasoning_tokens: The output tokens that were reasoning.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    cache_write_tokens: int = 0
    reasoning_tokens: int = 0

    @property
    def total(self) -> int:
        """Input and output tokens together."""
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
    """The price of a reply, in US dollars.

    Attributes:
        input: For plain input tokens.
        output: For output tokens.
        cached: For input tokens that were read from the cache.
        cache_write: For input tokens that were written to the cache.
        other: A sum that isn't split, such as a gateway's bill, and fees of the vendor's tools.
    """

    input: Decimal = Decimal(0)
    output: Decimal = Decimal(0)
    cached: Decimal = Decimal(0)
    cache_write: Decimal = Decimal(0)
    other: Decimal = Decimal(0)

    @property
    def total(self) -> Decimal:
        """The sum of all fields."""
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
