"""OpenTelemetry spans and metrics for every tako provider, by the GenAI semantic conventions.

It's on as soon as it's installed: once the application has imported OpenTelemetry, each call is a span and a few
measurements, with the providers that the application has set up. Until then a call costs one look at ``sys.modules``.
"""

from __future__ import annotations

import sys
from contextlib import aclosing
from typing import TYPE_CHECKING

from tako.hooks import hookimpl, is_counting

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from opentelemetry._logs import LoggerProvider
    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import TracerProvider

    from tako.hookspecs import Around, Chat, Stream
    from tako.provider import Provider
    from tako.types import ChatRequest, ChatResponse, Chunk
    from tako_otel.operation import Operation, Telemetry

tako_hooks = 1
needs_event_loop = False


def configure(
    *,
    tracer_provider: TracerProvider | None = None,
    meter_provider: MeterProvider | None = None,
    logger_provider: LoggerProvider | None = None,
    capture_content: bool | None = None,
    old_names: bool | None = None,
) -> None:
    """Choose where spans, measurements and events of later calls go; by default to the global providers.

    ``capture_content`` adds content to the spans: messages, replies, tools, images. With None,
    ``OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT`` decides. ``old_names`` adds the names of version 1.41 of the
    conventions. With None, ``OTEL_SEMCONV_STABILITY_OPT_IN=gen_ai/dup`` decides. Without arguments, all defaults apply
    again.
    """
    from tako_otel import operation

    operation.configured = operation.Telemetry(
        tracer_provider, meter_provider, logger_provider, capture_content=capture_content, old_names=old_names
    )


def _telemetry() -> Telemetry | None:
    """Return the telemetry, or None if this process doesn't use OpenTelemetry."""
    if "opentelemetry.trace" not in sys.modules and "opentelemetry.metrics" not in sys.modules:
        return None
    from tako_otel import operation

    return operation.configured


@hookimpl(wrapper=True)
def tako_chat(provider: Provider) -> Around[Chat]:
    """Make a span of every call, retries included."""
    inner = yield
    if not callable(inner):
        return inner

    async def chat(request: ChatRequest) -> ChatResponse:
        telemetry = _telemetry()
        if telemetry is None or telemetry.has_span(provider) or is_counting():
            return await inner(request)
        with telemetry.operation(provider, request, stream=False) as operation:
            with operation.current():
                response = await inner(request)
            operation.record_response(response)
            return response

    return chat


@hookimpl(wrapper=True)
def tako_stream(provider: Provider) -> Around[Stream]:
    """Make a span of every stream, from the request for its first chunk until it ends or is left."""
    inner = yield
    if not callable(inner):
        return inner

    def stream(request: ChatRequest) -> AsyncGenerator[Chunk, None]:
        telemetry = _telemetry()
        if telemetry is None:
            return inner(request)
        return _observed(inner, request, telemetry.operation(provider, request, stream=True))

    return stream


async def _observed(inner: Stream, request: ChatRequest, operation: Operation) -> AsyncGenerator[Chunk, None]:
    with operation:
        async with aclosing(inner(request)) as chunks:
            with (
                operation.current()
            ):  # only around the request, because a context must not stay attached across a yield
                chunk = await anext(chunks, None)
            if chunk is None:
                return
            operation.record_first_chunk()
            kept_chunks = operation.chunks
            if kept_chunks is not None:
                kept_chunks.append(chunk)
            if chunk.kind == "end":
                operation.record_end(chunk)
            yield chunk
            async for chunk in chunks:
                operation.record_next_chunk()
                if kept_chunks is not None:
                    kept_chunks.append(chunk)
                if chunk.kind == "end":
                    operation.record_end(chunk)
                yield chunk
