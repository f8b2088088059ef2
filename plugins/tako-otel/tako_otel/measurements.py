"""Seconds and tokens of calls, by the names and buckets of the conventions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tako_otel import before
from tako_otel.attributes import TOKEN_MODALITY, UNKNOWN

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from opentelemetry.context import Context
    from opentelemetry.metrics import Histogram, Meter
    from opentelemetry.util.types import AttributeValue

    from tako.types import Usage

DURATION = "gen_ai.client.inference.duration"
FIRST_CHUNK = "gen_ai.client.inference.time_to_first_chunk"
NEXT_CHUNK = "gen_ai.client.inference.time_per_output_chunk"
USED = "gen_ai.client.inference.usage."
"""What the names of counters of tokens begin with."""
SPREAD = "gen_ai.client.inference.operation."
"""What the names of histograms of tokens begin with."""
COUNTERS = {
    "input_tokens": "input_tokens",
    "output_tokens": "output_tokens",
    "cache_read.input_tokens": "cached_tokens",
    "cache_write.input_tokens": "cache_write_tokens",
    "reasoning.output_tokens": "reasoning_tokens",
}
"""The ends of those names, and the fields of Usage."""
SECONDS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
TOKENS = tuple(4**power for power in range(14))
"""Boundaries of buckets: the conventions name those of seconds; those of tokens are what 1.41 had."""


class Measurements:
    """The instruments; with ``old_names`` also those of version 1.41."""

    def __init__(self, meter: Meter, *, old_names: bool) -> None:
        self._meter = meter
        self._old_names = old_names
        self.duration = self._seconds("Duration of a call.", DURATION, before.DURATION)
        self.first_chunk = self._seconds("Time to the first chunk of a stream.", FIRST_CHUNK, before.FIRST_CHUNK)
        self.next_chunk = self._seconds("Time between two chunks of a stream.", NEXT_CHUNK, before.NEXT_CHUNK)
        self._counters = {
            field: meter.create_counter(USED + end, "{token}", "Tokens used.") for end, field in COUNTERS.items()
        }
        self._spread = {end: self._tokens(SPREAD + end) for end in ("input_tokens", "output_tokens")}
        self._old_tokens = self._tokens(before.TOKENS) if old_names else None

    def tokens(
        self, usage: Usage, labels: Mapping[str, AttributeValue], error: Mapping[str, str], context: Context
    ) -> None:
        """Note what a call has used. One that failed or counted nothing has used 0, as the conventions want it."""
        counted = {**labels, TOKEN_MODALITY: UNKNOWN}
        for field, counter in self._counters.items():
            counter.add(getattr(usage, field), counted, context)
        for field, histogram in self._spread.items():
            histogram.record(getattr(usage, field), {**labels, **error}, context)
        if self._old_tokens is not None and usage.total:
            for kind, count in (("input", usage.input_tokens), ("output", usage.output_tokens)):
                self._old_tokens.record(count, {**labels, before.TOKEN_TYPE: kind}, context)

    def _seconds(self, text: str, name: str, old: str) -> list[Histogram]:
        return [
            self._meter.create_histogram(each, "s", text, explicit_bucket_boundaries_advisory=SECONDS)
            for each in (name, *([old] if self._old_names else []))
        ]

    def _tokens(self, name: str) -> Histogram:
        text = "Tokens used by a call."
        return self._meter.create_histogram(name, "{token}", text, explicit_bucket_boundaries_advisory=TOKENS)


def record(
    histograms: Sequence[Histogram], seconds: float, labels: Mapping[str, AttributeValue], context: Context
) -> None:
    """Note seconds under each name."""
    for histogram in histograms:
        histogram.record(seconds, labels, context)
