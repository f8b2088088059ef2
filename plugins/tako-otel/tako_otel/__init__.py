"""OpenTelemetry spans and metrics for every tako provider, by the GenAI semantic conventions.

Installed is switched on: once the application has imported OpenTelemetry, each call is a span and a few measurements,
through whatever the application has set up. Until then a call costs one look at ``sys.modules``.
"""

from __future__ import annotations

import sys
from contextlib import aclosing
from typing import TYPE_CHECKING

from tako.hooks import hookimpl

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


def configure(
    *,
    tracer_provider: TracerProvider | None = None,
    meter_provider: MeterProvider | None = None,
    logger_provider: LoggerProvider | None = None,
    capture_content: bool | None = None,
    old_names: bool | None = None,
) -> None:
    """Say where spans, measurements and events go, from the next call on; by default to what is set globally.

    ``capture_content`` puts what is said on the spans: messages, replies, tools, images. None leaves that to
    ``OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT``. ``old_names`` adds the names of version 1.41 of the
    conventions; None leaves that to ``OTEL_SEMCONV_STABILITY_OPT_IN=gen_ai/dup``. Without arguments everything is as it
    was.
    """
    from tako_otel import operation

    operation.chosen = operation.Telemetry(
        tracer_provider, meter_provider, logger_provider, capture_content=capture_content, old_names=old_names
    )


def _telemetry() -> Telemetry | None:
    """Return what to tell, or None where nobody in this process listens."""
    if "opentelemetry.trace" not in sys.modules and "opentelemetry.metrics" not in sys.modules:
        return None
    from tako_otel import operation

    return operation.chosen


@hookimpl(wrapper=True)
def tako_chat(provider: Provider) -> Around[Chat]:
    """Make a span of every call, retries included."""
    inner = yield
    if not callable(inner):
        return inner

    async def chat(request: ChatRequest) -> ChatResponse:
        telemetry = _telemetry()
        if telemetry is None or telemetry.covers(provider):
            return await inner(request)
        with telemetry.operation(provider, request, stream=False) as operation:
            with operation.current():
                response = await inner(request)
            operation.answered(response)
            return response

    return chat


@hookimpl(wrapper=True)
def tako_stream(provider: Provider) -> Around[Stream]:
    """Make a span of every stream, from the first chunk that is asked for until it ends or is left."""
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
            with operation.current():  # around the request alone: a context must not stay attached across a yield
                chunk = await anext(chunks, None)
            if chunk is None:
                return
            operation.began()
            kept = operation.kept
            if kept is not None:
                kept.append(chunk)
            if chunk.kind == "end":
                operation.ended(chunk)
            yield chunk
            async for chunk in chunks:
                operation.went_on()
                if kept is not None:
                    kept.append(chunk)
                if chunk.kind == "end":
                    operation.ended(chunk)
                yield chunk
