"""All telemetry of a call, compared with the conventions: names, types, values, shapes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import tako_otel
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from tako_otel import attributes

from tako import ChatRequest, ChatResponse, ContentPart, Delta, End, FinishReason, JsonSchema, Message, Tool, Usage
from tako.errors import RateLimitError, StreamTruncatedError

from . import conventions

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator

    from tako.types import Chunk

USAGE = Usage(input_tokens=100, output_tokens=20, cached_tokens=60, cache_write_tokens=10, reasoning_tokens=5)
REQUEST = ChatRequest(
    [
        Message.system("Be brief."),
        Message.user([ContentPart.text("Look."), ContentPart.image("image/png", "AAAA")]),
        Message.assistant([ContentPart.reasoning("hm"), ContentPart.tool_call("c1", "look", {"at": 1})]),
        Message.tool("c1", "a cat"),
        Message.system("Answer now."),
        Message.user([ContentPart.file_id("f-1", "acme", "audio/wav"), ContentPart.vendor("acme", {"type": "odd"})]),
    ],
    tools=[Tool("look", "Looks.", {"type": "object"})],
    temperature=0.5,
    top_p=1,
    max_tokens=9,
    stop=["END"],
    seed=3,
    reasoning="high",
    response_format=JsonSchema("city", {}),
    extra={"top_k": 4, "frequency_penalty": 1, "presence_penalty": 0.5, "previous_response_id": "resp_1"},
)
"""A request with everything that the conventions have an attribute for."""


async def answer(request: ChatRequest) -> ChatResponse:
    return ChatResponse(Message.assistant("Paris."), FinishReason.STOP, USAGE, model="acme-1-2026", id="reply-1")


async def chunks(request: ChatRequest) -> AsyncGenerator[Chunk, None]:
    yield Delta("Par")
    yield Delta("is.")
    yield End(FinishReason.STOP, USAGE, "acme-1-2026", "reply-1")


async def refuse(request: ChatRequest) -> ChatResponse:
    raise RateLimitError("you said: my secret plan", status_code=429, code="slow_down")


async def cut(request: ChatRequest) -> AsyncGenerator[Chunk, None]:
    yield Delta("Par")
    raise StreamTruncatedError("cut", partial=ChatResponse(Message.assistant("Par"), usage=Usage(7, 1)))


@pytest.fixture
def events(telemetry: Any) -> Iterator[InMemoryLogRecordExporter]:
    """Events in memory."""
    exporter = InMemoryLogRecordExporter()
    loggers = LoggerProvider()
    loggers.add_log_record_processor(SimpleLogRecordProcessor(exporter))
    configure(telemetry, logger_provider=loggers)
    yield exporter
    loggers.shutdown()


def configure(telemetry: Any, **options: Any) -> None:
    tako_otel.configure(tracer_provider=telemetry.tracer_provider, meter_provider=telemetry.meter_provider, **options)


def everything(telemetry: Any, acme: Any) -> None:
    """Make calls of every kind."""
    provider = acme(chat=answer, stream=chunks, base_url="https://api.acme.example/v1")
    provider.blocking.chat(REQUEST)
    provider.blocking.stream(REQUEST).response()
    with pytest.raises(RateLimitError):
        acme(chat=refuse).blocking.chat(REQUEST)
    with pytest.raises(StreamTruncatedError):
        acme(stream=cut).blocking.stream(REQUEST).response()


def test_every_attribute_of_every_span_has_the_name_the_type_and_the_values_of_the_conventions(
    telemetry: Any, acme: Any, events: Any
) -> None:
    configure(telemetry, capture_content=True)
    everything(telemetry, acme)
    names: set[str] = set()
    for span in telemetry.spans:
        span_attributes = dict(span.attributes)
        assert conventions.REQUIRED <= span_attributes.keys() <= conventions.TYPES.keys()
        assert span.instrumentation_scope.schema_url == conventions.SCHEMA_URL
        for name, value in span_attributes.items():
            assert type(value) is conventions.TYPES[name], name
            assert value in conventions.VALUES.get(name, {value})
        names |= span_attributes.keys()
    assert names == conventions.TYPES.keys()


def test_every_metric_has_the_instrument_the_unit_and_the_attributes_of_the_conventions(
    telemetry: Any, acme: Any
) -> None:
    everything(telemetry, acme)
    data: Any = telemetry.reader.get_metrics_data()
    (scope,) = data.resource_metrics[0].scope_metrics
    assert scope.schema_url == conventions.SCHEMA_URL
    assert {metric.name for metric in scope.metrics} == conventions.METRICS.keys()
    for metric in scope.metrics:
        instrument, unit, additional = conventions.METRICS[metric.name]
        kind = "counter" if getattr(metric.data, "is_monotonic", False) else "histogram"
        assert (kind, metric.unit) == (instrument, unit), metric.name
        for point in metric.data.data_points:
            assert conventions.REQUIRED <= point.attributes.keys() <= conventions.LABELS | additional, metric.name
            assert point.attributes.get("gen_ai.token.modality", "unknown") == "unknown"


def test_messages_have_the_shapes_of_the_conventions(telemetry: Any, acme: Any) -> None:
    configure(telemetry, capture_content=True)
    acme(chat=answer).blocking.chat(REQUEST)
    span_attributes = telemetry.span.attributes
    assert json.loads(span_attributes["gen_ai.system_instructions"]) == [{"type": "text", "content": "Be brief."}]
    messages = json.loads(span_attributes["gen_ai.input.messages"]) + json.loads(
        span_attributes["gen_ai.output.messages"]
    )
    assert [message["role"] for message in messages] == ["user", "assistant", "tool", "system", "user", "assistant"]
    assert {message["role"] for message in messages} <= conventions.ROLES
    for part in [part for message in messages for part in message["parts"]]:
        assert conventions.PARTS[part["type"]] <= part.keys()
        assert part.get("modality", "image") in conventions.MODALITIES
    assert messages[4]["parts"][1] == {"type": "generic", "generic_type": "odd"}
    assert all(message.keys() == {"role", "parts"} for message in messages)
    (tool,) = json.loads(span_attributes["gen_ai.tool.definitions"])
    assert (tool["type"], tool["name"]) == ("function", "look")


def test_well_known_providers_have_their_well_known_names() -> None:
    assert (
        set(attributes.PROVIDER_NAMES.values()) | {"openai", "anthropic", "groq", "deepseek"} <= conventions.PROVIDERS
    )
    assert conventions.PROVIDERS - set(attributes.PROVIDER_NAMES.values()) >= {"perplexity", "openai", "anthropic"}


def test_an_exception_is_an_event_in_the_context_of_its_span(telemetry: Any, acme: Any, events: Any) -> None:
    with pytest.raises(RateLimitError):
        acme(chat=refuse).blocking.chat("my secret plan")
    (event,) = events.get_finished_logs()
    record = event.log_record
    assert (record.event_name, record.severity_number.value) == (conventions.EXCEPTION_EVENT, conventions.SEVERITY)
    assert dict(record.attributes) == {"exception.type": "tako.errors.RateLimitError"}
    assert (record.trace_id, record.span_id) == (telemetry.span.context.trace_id, telemetry.span.context.span_id)
    assert event.instrumentation_scope.schema_url == conventions.SCHEMA_URL


def test_the_text_of_an_exception_is_content(
    telemetry: Any, acme: Any, events: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "true")
    with pytest.raises(RateLimitError):
        acme(chat=refuse).blocking.chat("my secret plan")
    span_attributes = events.get_finished_logs()[0].log_record.attributes
    assert span_attributes.keys() == conventions.EXCEPTION
    assert "you said: my secret plan" in span_attributes["exception.message"]


def test_a_reply_that_did_not_end_has_an_error_for_its_finish_reason(telemetry: Any, acme: Any) -> None:
    with pytest.raises(StreamTruncatedError):
        acme(stream=cut).blocking.stream("hi").response()
    assert telemetry.span.attributes["gen_ai.response.finish_reasons"] == ("error",)
    points = telemetry.measurements["gen_ai.client.inference.usage.input_tokens"]
    assert [point.value for point in points] == [7]


@pytest.mark.parametrize("source", ["the environment", "the option"])
def test_the_names_of_version_1_41_are_added_on_request(
    source: str, telemetry: Any, acme: Any, events: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    loggers: Any = tako_otel.operation.configured.logger_provider  # type: ignore[attr-defined]  # imported on use
    if source == "the environment":
        monkeypatch.setenv("OTEL_SEMCONV_STABILITY_OPT_IN", "http, gen_ai/dup")
    configure(
        telemetry,
        logger_provider=loggers,
        capture_content=True,
        old_names=None if source == "the environment" else True,
    )
    everything(telemetry, acme)
    assert telemetry.spans[0].attributes["gen_ai.usage.cache_creation.input_tokens"] == 10
    assert telemetry.spans[0].attributes["gen_ai.usage.cache_write.input_tokens"] == 10
    assert '"finish_reason":"stop"' in telemetry.spans[0].attributes["gen_ai.output.messages"]
    measured = telemetry.measurements
    assert measured.keys() - conventions.METRICS.keys() == {
        "gen_ai.client.operation.duration",
        "gen_ai.client.operation.time_to_first_chunk",
        "gen_ai.client.operation.time_per_output_chunk",
        "gen_ai.client.token.usage",
    }
    kinds = {point.attributes["gen_ai.token.type"] for point in measured["gen_ai.client.token.usage"]}
    assert kinds == {"input", "output"}
    names = [event.log_record.event_name for event in events.get_finished_logs()]
    assert names[:2] == [conventions.EXCEPTION_EVENT, "gen_ai.client.operation.exception"]
