"""One call as OpenTelemetry sees it. Imported when the first call is made in a process that has OpenTelemetry."""

from __future__ import annotations

import os
from contextlib import contextmanager
from time import perf_counter
from typing import TYPE_CHECKING, Self

from opentelemetry import context, metrics, trace

from tako.errors import ProviderError
from tako_otel import attributes as names
from tako_otel.content import input_messages, output_messages, tool_definitions

if TYPE_CHECKING:
    from collections.abc import Generator
    from types import TracebackType

    from opentelemetry.util.types import AttributeValue

    from tako.provider import Provider
    from tako.types import ChatRequest, ChatResponse, Chunk, End

SCOPE = "tako_otel"
CAPTURE = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
CAPTURING = ("true", "1", "span_only", "span_and_event")
"""Values of that variable, in any case, that ask for content on spans."""
SECONDS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
TOKENS = tuple(4**power for power in range(14))
"""Boundaries of buckets, as the conventions have them."""
_PROVIDER = context.create_key("tako-provider")


class Telemetry:
    """Where spans and measurements go, and whether content goes with them."""

    def __init__(
        self,
        tracer_provider: trace.TracerProvider | None = None,
        meter_provider: metrics.MeterProvider | None = None,
        capture_content: bool | None = None,
    ) -> None:
        self._capture = capture_content
        self.tracer = trace.get_tracer(SCOPE, tracer_provider=tracer_provider)
        meter = metrics.get_meter(SCOPE, meter_provider=meter_provider)
        self.duration = meter.create_histogram(
            "gen_ai.client.operation.duration",
            "s",
            "GenAI operation duration.",
            explicit_bucket_boundaries_advisory=SECONDS,
        )
        self.first_chunk = meter.create_histogram(
            "gen_ai.client.operation.time_to_first_chunk",
            "s",
            "Time to receive the first chunk of a stream.",
            explicit_bucket_boundaries_advisory=SECONDS,
        )
        self.tokens = meter.create_histogram(
            "gen_ai.client.token.usage",
            "{token}",
            "Number of input and output tokens used.",
            explicit_bucket_boundaries_advisory=TOKENS,
        )

    @property
    def captures(self) -> bool:
        """Whether content is put on spans."""
        if self._capture is not None:
            return self._capture
        return os.environ.get(CAPTURE, "").strip().lower() in CAPTURING

    def covers(self, provider: Provider) -> bool:
        """Tell a call that is a stream's way to its answer, where a provider cannot stream: it has its span already."""
        return context.get_value(_PROVIDER) is provider

    def operation(self, provider: Provider, request: ChatRequest, *, stream: bool) -> Operation:
        """Return one call, which begins when it is entered."""
        return Operation(self, provider, request, stream=stream)


class Operation:
    """A context manager: the span of one call and, at its end, its measurements.

    It attaches nothing to the context; ``current`` does, for as long as no generator is left.
    """

    def __init__(self, telemetry: Telemetry, provider: Provider, request: ChatRequest, *, stream: bool) -> None:
        self._telemetry = telemetry
        self._provider = provider
        self._request = request
        self._stream = stream
        self._labels: dict[str, AttributeValue] = {}
        self.kept: list[Chunk] | None = [] if stream and telemetry.captures else None
        """The chunks, where content is captured."""

    def __enter__(self) -> Self:
        self._labels = names.provider_attributes(self._provider, self._request)
        self._span = self._telemetry.tracer.start_span(
            f"{names.CHAT} {self._request.model or self._provider.model}",
            kind=trace.SpanKind.CLIENT,
            attributes={**self._labels, **names.request_attributes(self._request, stream=self._stream)},
        )
        self._within = trace.set_span_in_context(self._span)
        if self._telemetry.captures and self._span.is_recording():
            self._span.set_attribute(names.INPUT_MESSAGES, input_messages(self._request))
            if self._request.tools:
                self._span.set_attribute(names.TOOL_DEFINITIONS, tool_definitions(self._request))
        self._start = perf_counter()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, frames: TracebackType | None
    ) -> None:
        if error is not None and not isinstance(error, GeneratorExit):  # who leaves a stream early has what they want
            self._failed(error)
        self._telemetry.duration.record(perf_counter() - self._start, self._labels, self._within)
        self._span.end()

    @contextmanager
    def current(self) -> Generator[None, None, None]:
        """Make the span the parent of what happens within; no generator may yield meanwhile."""
        inside = context.set_value(_PROVIDER, self._provider, self._within) if self._stream else self._within
        token = context.attach(inside)
        try:
            yield
        finally:
            context.detach(token)

    def began(self) -> None:
        """Note that the first chunk is there."""
        waited = perf_counter() - self._start
        self._telemetry.first_chunk.record(waited, self._labels, self._within)
        self._span.set_attribute(names.TIME_TO_FIRST_CHUNK, waited)

    def ended(self, end: End) -> None:
        """Note the last chunk of a stream."""
        self._complete(end)
        if self.kept is not None and self._span.is_recording():
            from tako.fold import fold

            whole = fold(self.kept, self._provider.id, self._provider.model)
            self._span.set_attribute(names.OUTPUT_MESSAGES, output_messages(whole))

    def answered(self, response: ChatResponse) -> None:
        """Note a whole reply."""
        self._complete(response)
        if self._telemetry.captures and self._span.is_recording():
            self._span.set_attribute(names.OUTPUT_MESSAGES, output_messages(response))

    def _complete(self, reply: ChatResponse | End) -> None:
        usage = reply.usage
        self._span.set_attribute(names.FINISH_REASONS, (reply.finish_reason.value,))
        if reply.id:
            self._span.set_attribute(names.RESPONSE_ID, reply.id)
        if reply.model:
            self._labels[names.RESPONSE_MODEL] = reply.model
            self._span.set_attribute(names.RESPONSE_MODEL, reply.model)
        self._span.set_attributes(names.usage_attributes(usage))
        for kind, count in (("input", usage.input_tokens), ("output", usage.output_tokens)):
            if usage.total:
                self._telemetry.tokens.record(count, {**self._labels, names.TOKEN_TYPE: kind}, self._within)

    def _failed(self, error: BaseException) -> None:
        """Note an error by its class, and by status and code. Its text may quote what was said."""
        self._labels[names.ERROR_TYPE] = type(error).__name__
        self._span.set_attribute(names.ERROR_TYPE, type(error).__name__)
        facts = (error.status_code, error.code) if isinstance(error, ProviderError) else ()
        text = str(error) if self._telemetry.captures else " ".join(str(fact) for fact in facts if fact)
        self._span.set_status(trace.StatusCode.ERROR, text or None)


chosen = Telemetry()
"""What ``tako_otel.configure`` has made."""
