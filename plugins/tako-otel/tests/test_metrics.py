"""Measurements by the GenAI semantic conventions, and what the plugin costs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

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


USAGE_PREFIX = "gen_ai.client.inference.usage."
SPREAD = "gen_ai.client.inference.operation."


def counted(telemetry: Any) -> dict[str, int]:
    """The counters of tokens, by the end of their names."""
    return {
        name.removeprefix(USAGE_PREFIX): sum(point.value for point in points)
        for name, points in telemetry.measurements.items()
        if name.startswith(USAGE_PREFIX)
    }


def test_a_call_is_measured_in_seconds_and_tokens(telemetry: Any, acme: Any) -> None:
    acme(chat=answer).blocking.chat("hi")
    measured = telemetry.measurements
    (duration,) = measured["gen_ai.client.inference.duration"]
    labels = {**LABELS, "gen_ai.response.model": "acme-1-2026"}
    assert dict(duration.attributes) == labels
    assert duration.explicit_bounds == (
        0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92
    )  # fmt: skip
    (used,) = measured[f"{USAGE_PREFIX}input_tokens"]
    assert (used.value, dict(used.attributes)) == (100, {**labels, "gen_ai.token.modality": "unknown"})
    (spread,) = measured[f"{SPREAD}output_tokens"]
    assert (spread.sum, dict(spread.attributes)) == (20, labels)
    assert spread.explicit_bounds[:4] + spread.explicit_bounds[-1:] == (1, 4, 16, 64, 67108864)


def test_a_stream_is_measured_chunk_by_chunk_as_well(telemetry: Any, acme: Any) -> None:
    acme(stream=chunks).blocking.stream("hi").response()
    measured = telemetry.measurements
    for name in ("time_to_first_chunk", "time_per_output_chunk", "duration"):
        assert measured[f"gen_ai.client.inference.{name}"][0].count == 1
    assert (counted(telemetry)["input_tokens"], counted(telemetry)["output_tokens"]) == (100, 20)


def test_a_call_without_usage_counts_as_zero_tokens(telemetry: Any, acme: Any) -> None:
    async def silent(request: ChatRequest) -> ChatResponse:
        return ChatResponse(Message.assistant("ok"))

    acme(chat=silent).blocking.chat("hi")
    assert set(counted(telemetry).values()) == {0}
    assert "gen_ai.usage.input_tokens" not in telemetry.span.attributes


def test_a_failed_call_is_measured_with_its_error(telemetry: Any, acme: Any) -> None:
    async def fail(request: ChatRequest) -> ChatResponse:
        raise ServerError("down", status_code=500)

    with pytest.raises(ServerError):
        acme(chat=fail).blocking.chat("hi")
    measured = telemetry.measurements
    for name in ("gen_ai.client.inference.duration", f"{SPREAD}input_tokens"):
        assert dict(measured[name][0].attributes) == {**LABELS, "error.type": "ServerError"}
    assert "error.type" not in measured[f"{USAGE_PREFIX}input_tokens"][0].attributes


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


def test_the_installed_plugin_is_on_and_idle_until_the_application_has_opentelemetry() -> None:
    environment = {**os.environ, "TAKO_DISABLE_PLUGINS": "cache,prices,record"}
    result = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, env=environment, check=True
    )
    assert json.loads(result.stdout) == [[], ["chat m"]]
