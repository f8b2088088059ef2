"""Measurements by the GenAI semantic conventions, and what the plugin costs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.semconv._incubating.metrics import gen_ai_metrics

from tako import ChatRequest, ChatResponse, Delta, End, Message, Usage
from tako.errors import ServerError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from tako.types import Chunk

LABELS = {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "acme", "gen_ai.request.model": "acme-1"}


async def answer(request: ChatRequest) -> ChatResponse:
    return ChatResponse(Message.assistant("ok"), usage=Usage(100, 20), model="acme-1-2026")


async def chunks(request: ChatRequest) -> AsyncGenerator[Chunk, None]:
    yield Delta("ok")
    yield End(usage=Usage(100, 20), model="acme-1-2026")


def test_a_call_is_measured_in_seconds_and_tokens(told: Any, acme: Any) -> None:
    acme(chat=answer).blocking.chat("hi")
    measured = told.measurements
    assert set(measured) == {gen_ai_metrics.GEN_AI_CLIENT_OPERATION_DURATION, gen_ai_metrics.GEN_AI_CLIENT_TOKEN_USAGE}
    (duration,) = measured["gen_ai.client.operation.duration"]
    assert dict(duration.attributes) == {**LABELS, "gen_ai.response.model": "acme-1-2026"}
    assert duration.explicit_bounds == (
        0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92
    )  # fmt: skip
    tokens = {point.attributes["gen_ai.token.type"]: point for point in measured["gen_ai.client.token.usage"]}
    assert {kind: point.sum for kind, point in tokens.items()} == {"input": 100, "output": 20}
    assert tokens["input"].explicit_bounds[:4] + tokens["input"].explicit_bounds[-1:] == (1, 4, 16, 64, 67108864)


def test_a_stream_is_measured_to_its_first_chunk_as_well(told: Any, acme: Any) -> None:
    acme(stream=chunks).blocking.stream("hi").response()
    measured = told.measurements
    assert measured[gen_ai_metrics.GEN_AI_CLIENT_OPERATION_TIME_TO_FIRST_CHUNK][0].count == 1
    assert measured["gen_ai.client.operation.duration"][0].count == 1
    assert [point.sum for point in measured["gen_ai.client.token.usage"]] == [100, 20]


def test_a_call_without_usage_claims_no_tokens(told: Any, acme: Any) -> None:
    async def silent(request: ChatRequest) -> ChatResponse:
        return ChatResponse(Message.assistant("ok"))

    acme(chat=silent).blocking.chat("hi")
    assert set(told.measurements) == {"gen_ai.client.operation.duration"}
    assert "gen_ai.usage.input_tokens" not in told.span.attributes


def test_a_failed_call_is_measured_with_its_error(told: Any, acme: Any) -> None:
    async def fail(request: ChatRequest) -> ChatResponse:
        raise ServerError("down", status_code=500)

    with pytest.raises(ServerError):
        acme(chat=fail).blocking.chat("hi")
    (duration,) = told.measurements["gen_ai.client.operation.duration"]
    assert dict(duration.attributes) == {**LABELS, "error.type": "ServerError"}


PROGRAM = """
import json, sys, types
import tako
from tako.hooks import hookimpl

class Echo(tako.Provider):
    name = "echo"

@hookimpl
def tako_chat():
    async def chat(request):
        return tako.ChatResponse(tako.Message.assistant("ok"))
    return chat

provider = Echo("m")
provider.blocking.chat("hi")
idle = sorted(name for name in sys.modules if name.startswith("opentelemetry"))
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
exporter = InMemorySpanExporter()
tracers = TracerProvider()
tracers.add_span_processor(SimpleSpanProcessor(exporter))
trace.set_tracer_provider(tracers)
provider.blocking.chat("hi")
print(json.dumps([idle, [span.name for span in exporter.get_finished_spans()]]))
"""


def test_installed_is_switched_on_and_idle_until_the_application_has_opentelemetry() -> None:
    environment = {**os.environ, "TAKO_DISABLE_PLUGINS": "cache,prices,record"}
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, env=environment, check=True)
    assert json.loads(done.stdout) == [[], ["chat m"]]
