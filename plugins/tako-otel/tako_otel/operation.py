"""The telemetry of one call. Imported at the first call in a process that uses OpenTelemetry."""

from __future__ import annotations

import os
from asyncio import CancelledError
from contextlib import contextmanager
from time import perf_counter
from typing import TYPE_CHECKING, Self

from opentelemetry import context, metrics, trace

from tako.errors import ProviderError
from tako.types import Usage
from tako_otel import attributes as names
from tako_otel import legacy
from tako_otel.content import input_messages, output_messages, system_instructions, tool_definitions
from tako_otel.measurements import Measurements, record_seconds

if TYPE_CHECKING:
    from collections.abc import Generator
    from types import TracebackType

    from opentelemetry._logs import LoggerProvider
    from opentelemetry.util.types import AttributeValue

    from tako.provider import Provider
    from tako.types import ChatRequest, ChatResponse, Chunk, End

SCOPE = "tako_otel"
CAPTURE = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
CAPTURE_VALUES = ("true", "1", "span_only", "span_and_event")
"""Values of that variable, in upper or lower case, that turn on content."""
_PROVIDER = context.create_key("tako-provider")


class Telemetry:
    """Where spans, measurements and events go, whether they have content, and which names they use."""

    def __init__(
        self,
        tracer_provider: trace.TracerProvider | None = None,
        meter_provider: metrics.MeterProvider | None = None,
        logger_provider: LoggerProvider | None = None,
        *,
        capture_content: bool | None = None,
        old_names: bool | None = None,
    ) -> None:
        self._capture = capture_content
        self.old_names = legacy.is_opted_in() if old_names is None else old_names
        """Whether the names of version 1.41 are added."""
        self.logger_provider = logger_provider
        self.tracer = trace.get_tracer(SCOPE, tracer_provider=tracer_provider, schema_url=names.SCHEMA_URL)
        meter = metrics.get_meter(SCOPE, meter_provider=meter_provider, schema_url=names.SCHEMA_URL)
        self.measurements = Measurements(meter, old_names=self.old_names)

    @property
    def captures_content(self) -> bool:
        """Whether spans have content."""
        if self._capture is not None:
            return self._capture
        return os.environ.get(CAPTURE, "").strip().lower() in CAPTURE_VALUES

    def has_span(self, provider: Provider) -> bool:
        """Whether a call is part of a stream that already has a span, because the provider can't stream."""
        return context.get_value(_PROVIDER) is provider

    def operation(self, provider: Provider, request: ChatRequest, *, stream: bool) -> Operation:
        """Return the context manager of one call."""
        return Operation(self, provider, request, stream=stream)


class Operation:
    """A context manager: the span of one call and, at its end, its measurements.

    It doesn't change the current context; ``current`` does.
    """

    def __init__(self, telemetry: Telemetry, provider: Provider, request: ChatRequest, *, stream: bool) -> None:
        self._telemetry = telemetry
        self._provider = provider
        self._request = request
        self._stream = stream
        self._labels: dict[str, AttributeValue] = {}
        self._usage = Usage()
        self._has_chunks = False
        self._is_finished = False
        self.chunks: list[Chunk] | None = [] if stream and telemetry.captures_content else None
        """The chunks so far, if content is captured."""

    def __enter__(self) -> Self:
        self._labels = names.provider_attributes(self._provider, self._request)
        self._span = self._telemetry.tracer.start_span(
            f"{names.CHAT} {self._request.model or self._provider.model}",
            kind=trace.SpanKind.CLIENT,
            attributes={**self._labels, **names.request_attributes(self._request, stream=self._stream)},
        )
        self._context = trace.set_span_in_context(self._span)
        if self._telemetry.captures_content and self._span.is_recording():
            self._span.set_attribute(names.INPUT_MESSAGES, input_messages(self._request))
            instructions = system_instructions(self._request)
            if instructions is not None:
                self._span.set_attribute(names.SYSTEM_INSTRUCTIONS, instructions)
            if self._request.tools:
                self._span.set_attribute(names.TOOL_DEFINITIONS, tool_definitions(self._request))
        self._start = perf_counter()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, frames: TracebackType | None
    ) -> None:
        error_labels: dict[str, str] = {}
        if error is not None and not self._is_left(error):
            error_labels = self._record_error(error)
        if not self._is_finished:
            self._span.set_attribute(names.FINISH_REASONS, (names.ERROR,))
        measurements = self._telemetry.measurements
        record_seconds(
            measurements.duration, perf_counter() - self._start, {**self._labels, **error_labels}, self._context
        )
        measurements.record_tokens(self._usage, self._labels, error_labels, self._context)
        self._span.end()

    def _is_left(self, error: BaseException) -> bool:
        """Whether the caller left a stream early, which isn't a failure. Threads do so by cancelling the next read."""
        return isinstance(error, GeneratorExit) or (self._has_chunks and isinstance(error, CancelledError))

    @contextmanager
    def current(self) -> Generator[None, None, None]:
        """Make the span the parent of spans inside. No generator may yield meanwhile."""
        inner_context = context.set_value(_PROVIDER, self._provider, self._context) if self._stream else self._context
        token = context.attach(inner_context)
        try:
            yield
        finally:
            context.detach(token)

    def record_first_chunk(self) -> None:
        """Record the arrival of the first chunk."""
        self._has_chunks = True
        self._latest_chunk = perf_counter()
        seconds = self._latest_chunk - self._start
        record_seconds(self._telemetry.measurements.first_chunk, seconds, self._labels, self._context)
        self._span.set_attribute(names.TIME_TO_FIRST_CHUNK, seconds)

    def record_next_chunk(self) -> None:
        """Record the arrival of another chunk."""
        previous, self._latest_chunk = self._latest_chunk, perf_counter()
        record_seconds(
            self._telemetry.measurements.next_chunk, self._latest_chunk - previous, self._labels, self._context
        )

    def record_end(self, end: End) -> None:
        """Record the end of a stream."""
        self._record_reply(end)
        if self.chunks is not None and self._span.is_recording():
            from tako.fold import fold

            response = fold(self.chunks, self._provider.id, self._provider.model)
            self._span.set_attribute(
                names.OUTPUT_MESSAGES, output_messages(response, old_names=self._telemetry.old_names)
            )

    def record_response(self, response: ChatResponse) -> None:
        """Record a complete response."""
        self._record_reply(response)
        if self._telemetry.captures_content and self._span.is_recording():
            text = output_messages(response, old_names=self._telemetry.old_names)
            self._span.set_attribute(names.OUTPUT_MESSAGES, text)

    def _record_reply(self, reply: ChatResponse | End) -> None:
        self._usage, self._is_finished = reply.usage, True
        self._span.set_attribute(names.FINISH_REASONS, (reply.finish_reason.value,))
        if reply.id:
            self._span.set_attribute(names.RESPONSE_ID, reply.id)
        if reply.model:
            self._labels[names.RESPONSE_MODEL] = reply.model
            self._span.set_attribute(names.RESPONSE_MODEL, reply.model)
        self._span.set_attributes(names.usage_attributes(reply.usage))
        if self._telemetry.old_names and reply.usage.cache_write_tokens:
            self._span.set_attribute(legacy.CACHE_WRITE_TOKENS, reply.usage.cache_write_tokens)

    def _record_error(self, error: BaseException) -> dict[str, str]:
        """Record an error with its class, status and code, and return its label. Its text counts as content."""
        self._span.set_attribute(names.ERROR_TYPE, type(error).__name__)
        facts = (error.status_code, error.code) if isinstance(error, ProviderError) else ()
        content, old_names = self._telemetry.captures_content, self._telemetry.old_names
        text = str(error) if content else " ".join(str(fact) for fact in facts if fact)
        self._span.set_status(trace.StatusCode.ERROR, text or None)
        if isinstance(error, Exception):
            from tako_otel.events import emit_exception

            logger_provider = self._telemetry.logger_provider
            emit_exception(error, self._context, logger_provider, content=content, old_names=old_names)
        partial = getattr(error, "partial", None)  # the error of a broken stream has it
        self._usage = partial.usage if partial is not None else self._usage
        return {names.ERROR_TYPE: type(error).__name__}


configured = Telemetry()
"""The result of ``tako_otel.configure``."""
