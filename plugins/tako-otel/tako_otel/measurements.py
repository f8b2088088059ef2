"""Metrics of calls, in seconds and tokens, with the names and buckets of the conventions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tako_otel import legacy
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
COUNTER_PREFIX = "gen_ai.client.inference.usage."
"""The prefix of the names of token counters."""
HISTOGRAM_PREFIX = "gen_ai.client.inference.operation."
"""The prefix of the names of token histograms."""
COUNTERS = {
    "input_tokens": "input_tokens",
    "output_tokens": "output_tokens",
    "cache_read.input_tokens": "cached_tokens",
    "cache_write.input_tokens": "cache_write_tokens",
    "reasoning.output_tokens": "reasoning_tokens",
}
"""The suffixes of those names, and the fields of Usage."""
SECONDS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
TOKENS = tuple(4**power for power in range(14))
"""Boundaries of buckets. Those of seconds are in the conventions; those of tokens were in version 1.41."""


class Measurements:
    """The instruments. With ``old_names``, those of version 1.41 are added."""

    def __init__(self, meter: Meter, *, old_names: bool) -> None:
        self._meter = meter
        self._old_names = old_names
        self.duration = self._seconds("Duration of a call.", DURATION, legacy.DURATION)
        self.first_chunk = self._seconds("Time to the first chunk of a stream.", FIRST_CHUNK, legacy.FIRST_CHUNK)
        self.next_chunk = self._seconds("Time between two chunks of a stream.", NEXT_CHUNK, legacy.NEXT_CHUNK)
        self._counters = {
            field: meter.create_counter(COUNTER_PREFIX + end, "{token}", "Tokens used.")
            for end, field in COUNTERS.items()
        }
        self._histograms = {end: self._tokens(HISTOGRAM_PREFIX + end) for end in ("input_tokens", "output_tokens")}
        self._old_tokens = self._tokens(legacy.TOKENS) if old_names else None

    def record_tokens(
        self, usage: Usage, labels: Mapping[str, AttributeValue], error: Mapping[str, str], context: Context
    ) -> None:
        """Record the tokens of a call. A call that failed or reported none counts as 0, as the conventions require."""
        counter_labels = {**labels, TOKEN_MODALITY: UNKNOWN}
        for field, counter in self._counters.items():
            counter.add(getattr(usage, field), counter_labels, context)
        for field, histogram in self._histograms.items():
            histogram.record(getattr(usage, field), {**labels, **error}, context)
        if self._old_tokens is not None and usage.total:
            for kind, count in (("input", usage.input_tokens), ("output", usage.output_tokens)):
                self._old_tokens.record(count, {**labels, legacy.TOKEN_TYPE: kind}, context)

    def _seconds(self, text: str, name: str, old: str) -> list[Histogram]:
        return [
            self._meter.create_histogram(histogram_name, "s", text, explicit_bucket_boundaries_advisory=SECONDS)
            for histogram_name in (name, *([old] if self._old_names else []))
        ]

    def _tokens(self, name: str) -> Histogram:
        text = "Tokens used by a call."
        return self._meter.create_histogram(name, "{token}", text, explicit_bucket_boundaries_advisory=TOKENS)


def record_seconds(
    histograms: Sequence[Histogram], seconds: float, labels: Mapping[str, AttributeValue], context: Context
) -> None:
    """Record seconds in each histogram."""
    for histogram in histograms:
        histogram.record(seconds, labels, context)
