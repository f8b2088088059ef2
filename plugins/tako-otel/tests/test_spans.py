"""Spans by the GenAI semantic conventions."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
import tako_otel
from opentelemetry import trace
from opentelemetry.trace import SpanKind, StatusCode

from tako import ChatRequest, ChatResponse, Delta, End, FinishReason, JsonSchema, Message, Usage
from tako.errors import RateLimitError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from tako.types import Chunk

USAGE = Usage(input_tokens=100, output_tokens=20, cached_tokens=60, cache_write_tokens=10, reasoning_tokens=5)
ANSWER = ChatResponse(Message.assistant("Paris."), FinishReason.STOP, USAGE, model="acme-1-2026", id="reply-1")


async def answer(request: ChatRequest) -> ChatResponse:
    return ANSWER


async def chunks(request: ChatRequest) -> AsyncGenerator[Chunk, None]:
    yield Delta("Par")
    yield Delta("is.")
    yield End(FinishReason.STOP, USAGE, "acme-1-2026", "reply-1")


def test_a_call_of_any_provider_is_a_span_of_the_conventions(telemetry: Any, acme: Any) -> None:
    acme(chat=answer, base_url="https://api.acme.example/v1").blocking.chat("Which city?")
    span = telemetry.span
    assert (span.name, span.kind, span.status.status_code) == ("chat acme-1", SpanKind.CLIENT, StatusCode.UNSET)
    assert dict(span.attributes) == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "acme",
        "gen_ai.request.model": "acme-1",
        "server.address": "api.acme.example",
        "server.port": 443,
        "gen_ai.response.id": "reply-1",
        "gen_ai.response.model": "acme-1-2026",
        "gen_ai.response.finish_reasons": ("stop",),
        "gen_ai.usage.input_tokens": 100,
        "gen_ai.usage.output_tokens": 20,
        "gen_ai.usage.cache_read.input_tokens": 60,
        "gen_ai.usage.cache_write.input_tokens": 10,
        "gen_ai.usage.reasoning.output_tokens": 5,
    }


def test_the_parameters_of_a_request_are_on_its_span(telemetry: Any, acme: Any) -> None:
    request = ChatRequest(
        [Message.user("hi")],
        model="acme-2",
        temperature=1,
        top_p=0.5,
        max_tokens=7,
        stop=["END"],
        seed=3,
        response_format=JsonSchema("city", {}),
    )
    acme(chat=answer).blocking.chat(request)
    expected = {
        "gen_ai.request.model": "acme-2",
        "gen_ai.request.temperature": 1.0,
        "gen_ai.request.top_p": 0.5,
        "gen_ai.request.max_tokens": 7,
        "gen_ai.request.stop_sequences": ("END",),
        "gen_ai.request.seed": 3,
        "gen_ai.output.type": "json",
    }
    assert telemetry.span.name == "chat acme-2"
    assert dict(telemetry.span.attributes).items() >= expected.items()
    assert isinstance(telemetry.span.attributes["gen_ai.request.temperature"], float)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("openai", "openai"),
        ("anthropic", "anthropic"),
        ("azure-openai", "azure.ai.openai"),
        ("bedrock", "aws.bedrock"),
        ("vertex", "gcp.vertex_ai"),
        ("mistral", "mistral_ai"),
        ("ollama", "ollama"),
    ],
)
def test_vendors_have_the_names_of_the_conventions(
    name: str, expected: str, telemetry: Any, acme: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(acme, "name", name)
    acme(chat=answer).blocking.chat("hi")
    assert telemetry.span.attributes["gen_ai.provider.name"] == expected


def test_the_span_of_a_stream_has_the_attributes_of_its_end(telemetry: Any, acme: Any) -> None:
    stream = acme(stream=chunks, base_url="http://127.0.0.1:8080").blocking.stream("Which city?")
    assert stream.response().text == "Paris."
    attributes = dict(telemetry.span.attributes)
    assert 0 < attributes.pop("gen_ai.response.time_to_first_chunk") < 5
    assert attributes == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "acme",
        "gen_ai.request.model": "acme-1",
        "gen_ai.request.stream": True,
        "server.address": "127.0.0.1",
        "server.port": 8080,
        "gen_ai.response.id": "reply-1",
        "gen_ai.response.model": "acme-1-2026",
        "gen_ai.response.finish_reasons": ("stop",),
        "gen_ai.usage.input_tokens": 100,
        "gen_ai.usage.output_tokens": 20,
        "gen_ai.usage.cache_read.input_tokens": 60,
        "gen_ai.usage.cache_write.input_tokens": 10,
        "gen_ai.usage.reasoning.output_tokens": 5,
    }


def test_a_stream_that_is_left_early_ends_its_span_without_an_error(telemetry: Any, acme: Any) -> None:
    async def main() -> None:
        async with acme(stream=chunks).stream("Which city?") as stream:
            async for _ in stream:
                break
        assert telemetry.span.status.status_code is StatusCode.UNSET
        assert telemetry.span.attributes["gen_ai.response.finish_reasons"] == (
            "error",
        )  # it never said how it finished
        assert "error.type" not in telemetry.span.attributes

    asyncio.run(main())


def test_a_thread_that_leaves_a_stream_while_the_next_chunk_is_awaited_leaves_no_error(
    telemetry: Any, acme: Any
) -> None:
    async def stuck(request: ChatRequest) -> AsyncGenerator[Chunk, None]:
        yield Delta("Par")
        await asyncio.Event().wait()

    provider = acme(stream=stuck)
    with provider.blocking.stream("Which city?") as stream:
        next(stream)
    provider.blocking.close()
    assert telemetry.span.status.status_code is StatusCode.UNSET
    assert "error.type" not in telemetry.span.attributes


def test_a_provider_that_cannot_stream_has_one_span_too(telemetry: Any, acme: Any) -> None:
    assert acme(chat=answer).blocking.stream("Which city?").response().text == "Paris."
    assert telemetry.span.attributes["gen_ai.request.stream"] is True
    assert len(telemetry.measurements["gen_ai.client.inference.duration"]) == 1


def test_errors_are_recorded_by_class_and_code_without_their_text(telemetry: Any, acme: Any) -> None:
    async def refuse(request: ChatRequest) -> ChatResponse:
        raise RateLimitError("you said: my secret plan", status_code=429, code="slow_down")

    with pytest.raises(RateLimitError):
        acme(chat=refuse).blocking.chat("my secret plan")
    assert telemetry.span.attributes["error.type"] == "RateLimitError"
    assert telemetry.span.status.status_code is StatusCode.ERROR
    assert telemetry.span.status.description == "429 slow_down"
    assert "secret" not in telemetry.span.to_json()


def test_a_stream_that_breaks_has_the_error_on_its_span(telemetry: Any, acme: Any) -> None:
    async def cut(request: ChatRequest) -> AsyncGenerator[Chunk, None]:
        yield Delta("Par")
        raise RateLimitError("enough", status_code=429)

    with pytest.raises(RateLimitError):
        acme(stream=cut).blocking.stream("Which city?").response()
    assert telemetry.span.attributes["error.type"] == "RateLimitError"


def test_a_call_that_is_cancelled_ends_its_span(telemetry: Any, acme: Any) -> None:
    async def never(request: ChatRequest) -> ChatResponse:
        started.set()
        await asyncio.Event().wait()
        return ANSWER

    async def main() -> None:
        call = asyncio.create_task(acme(chat=never).chat("hi"))
        await started.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call

    started = asyncio.Event()

    asyncio.run(main())
    assert telemetry.span.attributes["error.type"] == "CancelledError"


def test_spans_nest_and_no_context_leaks_out_of_a_stream(telemetry: Any, acme: Any) -> None:
    tracer = telemetry.tracer_provider.get_tracer("test")

    async def nested_stream(request: ChatRequest) -> AsyncGenerator[Chunk, None]:
        with tracer.start_as_current_span("POST"):
            await asyncio.sleep(0)
        yield Delta("Paris.")
        yield End()

    async def main() -> None:
        with tracer.start_as_current_span("app") as app:
            first, second = (
                acme("one", stream=nested_stream).stream("hi"),
                acme("two", stream=nested_stream).stream("hi"),
            )
            for stream in (first, second, first, second):  # taken in turns
                await anext(stream)
                assert trace.get_current_span() is app
            await first.aclose()
            await second.aclose()

    asyncio.run(main())
    spans = {span.name: span for span in telemetry.spans}
    of = {span.context.span_id: span.name for span in telemetry.spans}
    posts = [of[span.parent.span_id] for span in telemetry.spans if span.name == "POST"]
    assert posts == ["chat one", "chat two"]
    assert {of[spans[name].parent.span_id] for name in ("chat one", "chat two")} == {"app"}


def test_content_is_captured_only_on_request(telemetry: Any, acme: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    provider = acme(chat=answer, stream=chunks)
    provider.blocking.chat("Which city?")
    assert "Which city?" not in telemetry.span.to_json()
    assert "Paris." not in telemetry.span.to_json()
    monkeypatch.setenv("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "true")
    provider.blocking.chat("Which city?")
    provider.blocking.stream("Which city?").response()
    for span in telemetry.spans[1:]:
        assert span.attributes["gen_ai.input.messages"] == (
            '[{"role":"user","parts":[{"type":"text","content":"Which city?"}]}]'
        )
        assert span.attributes["gen_ai.output.messages"] == (
            '[{"role":"assistant","parts":[{"type":"text","content":"Paris."}]}]'
        )


def test_the_option_decides_over_the_environment(telemetry: Any, acme: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "true")
    tako_otel.configure(
        tracer_provider=telemetry.tracer_provider, meter_provider=telemetry.meter_provider, capture_content=False
    )
    acme(chat=answer).blocking.chat("Which city?")
    assert "gen_ai.input.messages" not in telemetry.span.attributes


def test_a_count_of_tokens_is_not_a_chat(telemetry: Any, acme: Any) -> None:
    assert acme(chat=answer).blocking.count_tokens("Which city?").input_tokens == 3
    assert telemetry.spans == []
