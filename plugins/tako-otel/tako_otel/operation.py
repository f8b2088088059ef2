"""One call as OpenTelemetry sees it. Imported when the first call is made in a process that has OpenTelemetry."""

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
from tako_otel import before
from tako_otel.content import input_messages, output_messages, system_instructions, tool_definitions
from tako_otel.measurements import Measurements, record

if TYPE_CHECKING:
    from collections.abc import Generator
    from types import TracebackType

    from opentelemetry._logs import LoggerProvider
    from opentelemetry.util.types import AttributeValue

    from tako.provider import Provider
    from tako.types import ChatRequest, ChatResponse, Chunk, End

SCOPE = "tako_otel"
CAPTURE = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
CAPTURING = ("true", "1", "span_only", "span_and_event")
"""Values of that variable, in any case, that ask for content on spans."""
_PROVIDER = context.create_key("tako-provider")


class Telemetry:
    """Where spans, measurements and events go, whether content goes with them, and by which names."""

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
        self.old_names = before.wanted() if old_names is None else old_names
        """Whether the names of version 1.41 come as well."""
        self.logger_provider = logger_provider
        self.tracer = trace.get_tracer(SCOPE, tracer_provider=tracer_provider, schema_url=names.SCHEMA_URL)
        meter = metrics.get_meter(SCOPE, meter_provider=meter_provider, schema_url=names.SCHEMA_URL)
        self.measurements = Measurements(meter, old_names=self.old_names)

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
        self._usage = Usage()
        self._begun = False
        self._finished = False
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
        failed: dict[str, str] = {}
        if error is not None and not self._left(error):
            failed = self._failed(error)
        if not self._finished:
            self._span.set_attribute(names.FINISH_REASONS, (names.ERROR,))
        measurements = self._telemetry.measurements
        record(measurements.duration, perf_counter() - self._start, {**self._labels, **failed}, self._within)
        measurements.tokens(self._usage, self._labels, failed, self._within)
        self._span.end()

    def _left(self, error: BaseException) -> bool:
        """Whether the caller left a stream early, which isn't a failure. Threads leave by cancelling the next read."""
        return isinstance(error, GeneratorExit) or (self._begun and isinstance(error, CancelledError))

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
        self._begun = True
        self._latest = perf_counter()
        waited = self._latest - self._start
        record(self._telemetry.measurements.first_chunk, waited, self._labels, self._within)
        self._span.set_attribute(names.TIME_TO_FIRST_CHUNK, waited)

    def went_on(self) -> None:
        """Note that another chunk is there."""
        since, self._latest = self._latest, perf_counter()
        record(self._telemetry.measurements.next_chunk, self._latest - since, self._labels, self._within)

    def ended(self, end: End) -> None:
        """Note the last chunk of a stream."""
        self._complete(end)
        if self.kept is not None and self._span.is_recording():
            from tako.fold import fold

            whole = fold(self.kept, self._provider.id, self._provider.model)
            self._span.set_attribute(names.OUTPUT_MESSAGES, output_messages(whole, old_names=self._telemetry.old_names))

    def answered(self, response: ChatResponse) -> None:
        """Note a whole reply."""
        self._complete(response)
        if self._telemetry.captures and self._span.is_recording():
            text = output_messages(response, old_names=self._telemetry.old_names)
            self._span.set_attribute(names.OUTPUT_MESSAGES, text)

    def _complete(self, reply: ChatResponse | End) -> None:
        self._usage, self._finished = reply.usage, True
        self._span.set_attribute(names.FINISH_REASONS, (reply.finish_reason.value,))
        if reply.id:
            self._span.set_attribute(names.RESPONSE_ID, reply.id)
        if reply.model:
            self._labels[names.RESPONSE_MODEL] = reply.model
            self._span.set_attribute(names.RESPONSE_MODEL, reply.model)
        self._span.set_attributes(names.usage_attributes(reply.usage))
        if self._telemetry.old_names and reply.usage.cache_write_tokens:
            self._span.set_attribute(before.CACHE_WRITE_TOKENS, reply.usage.cache_write_tokens)

    def _failed(self, error: BaseException) -> dict[str, str]:
        """Note an error by its class, status and code, and return its label. Its text may quote what was said."""
        self._span.set_attribute(names.ERROR_TYPE, type(error).__name__)
        facts = (error.status_code, error.code) if isinstance(error, ProviderError) else ()
        content, old_names = self._telemetry.captures, self._telemetry.old_names
        text = str(error) if content else " ".join(str(fact) for fact in facts if fact)
        self._span.set_status(trace.StatusCode.ERROR, text or None)
        if isinstance(error, Exception):
            from tako_otel.events import tell_exception

            where = self._telemetry.logger_provider
            tell_exception(error, self._within, where, content=content, old_names=old_names)
        partial = getattr(error, "partial", None)  # of a stream that broke
        self._usage = partial.usage if partial is not None else self._usage
        return {names.ERROR_TYPE: type(error).__name__}


chosen = Telemetry()
"""What ``tako_otel.configure`` has made."""
