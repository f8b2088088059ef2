"""A test provider, and OpenTelemetry in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import tako_otel
from msgspec import Struct
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import tako
from tako import Capabilities, Provider, hookimpl
from tako.listing import TokenCount

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterator

    from opentelemetry.sdk.trace import ReadableSpan

    from tako import ChatRequest, ChatResponse
    from tako.types import Chunk


class Acme(Provider):
    """A provider that no convention knows."""

    name = "acme"
    max_retries = 0

    def __init__(self, model: str = "acme-1", *, chat: Any = None, stream: Any = None, base_url: str = "") -> None:
        super().__init__(model)
        self.chat_function = chat
        self.stream_function = stream
        self.base_url = base_url

    async def count(self, request: ChatRequest) -> TokenCount:
        return TokenCount(3)


@hookimpl
def tako_capabilities(provider: Acme) -> Capabilities:
    return Capabilities(supports_streaming=provider.stream_function is not None)


@hookimpl
def tako_chat(provider: Acme) -> Callable[[ChatRequest], Any]:
    async def chat(request: ChatRequest) -> ChatResponse:
        return await provider.chat_function(request)

    return chat


@hookimpl
def tako_stream(provider: Acme) -> Callable[[ChatRequest], AsyncGenerator[Chunk, None]] | None:
    return provider.stream_function


class InMemoryTelemetry(Struct):
    """What OpenTelemetry recorded."""

    tracer_provider: TracerProvider
    meter_provider: MeterProvider
    exporter: InMemorySpanExporter
    reader: InMemoryMetricReader

    @property
    def spans(self) -> list[ReadableSpan]:
        return list(self.exporter.get_finished_spans())

    @property
    def span(self) -> ReadableSpan:
        (span,) = self.spans
        return span

    @property
    def measurements(self) -> dict[str, list[Any]]:
        """The data points of each metric."""
        data: Any = self.reader.get_metrics_data()
        scopes = [scope for resource in (data.resource_metrics if data else []) for scope in resource.scope_metrics]
        return {metric.name: list(metric.data.data_points) for scope in scopes for metric in scope.metrics}


@pytest.fixture
def telemetry() -> Iterator[InMemoryTelemetry]:
    """Switch the plugin on, with spans and measurements in memory."""
    exporter, reader = InMemorySpanExporter(), InMemoryMetricReader()
    tracers, meters = TracerProvider(), MeterProvider([reader])
    tracers.add_span_processor(SimpleSpanProcessor(exporter))
    tako_otel.configure(tracer_provider=tracers, meter_provider=meters)
    tako.register(tako_otel)
    yield InMemoryTelemetry(tracers, meters, exporter, reader)
    tako.unregister(tako_otel)
    tako_otel.configure()
    tracers.shutdown()
    meters.shutdown()


@pytest.fixture
def acme() -> type[Acme]:
    return Acme
