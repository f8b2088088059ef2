"""Whatever a vendor's request can say, tako can: each field reaches the wire, by a field of tako's or by ``extra``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tako import ChatRequest, Message, Tool
from tako.parts import ImageUrlPart, TextPart
from tako.testing.dialects import Script
from tests.schemas.vendors import MAKERS, dialect_of

if TYPE_CHECKING:
    from tako.testing.server import Received

SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"], "additionalProperties": False}
URL = "https://example.com/a.png"
SAFETY = [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE"}]


@pytest.fixture(autouse=True)
def _no_aws(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret-example")


def sent(vendor: str, request: ChatRequest, *, stream: bool) -> Received:
    provider = MAKERS[vendor][1]
    with dialect_of(vendor).serve(Script(text="ok")) as server:
        vendor_provider = provider(server.url)
        if stream:
            vendor_provider.blocking.stream(request).response()
        else:
            vendor_provider.blocking.chat(request)
    return server.requests[0]


def at(body: Any, path: str) -> Any:
    """Follow a path of keys and positions, as in "messages/0/content"."""
    for step in path.split("/"):
        body = body[int(step)] if isinstance(body, list) else body[step]
    return body


def request_with(tool: Tool | None = None, part: Any = None, **fields: Any) -> ChatRequest:
    return ChatRequest([Message.user([part or TextPart("?")])], tools=[tool] if tool else [], **fields)


MARKED = TextPart("?", cache="12h")
LOW = ImageUrlPart(URL, extra={"image_url": {"detail": "low"}})
STRICT = Tool("f", "F", SCHEMA, strict=True)
FIELDS: list[tuple[str, ChatRequest, str, Any]] = [
    # strict tools
    ("openai", request_with(STRICT), "tools/0/function/strict", True),
    ("responses", request_with(STRICT), "tools/0/strict", True),
    ("azure", request_with(STRICT), "tools/0/function/strict", True),
    ("mistral", request_with(STRICT), "tools/0/function/strict", True),
    ("anthropic", request_with(STRICT), "tools/0/strict", True),
    ("bedrock", request_with(STRICT), "toolConfig/tools/0/toolSpec/strict", True),
    # how long caches last
    ("anthropic", request_with(part=TextPart("?", cache="1h")), "messages/0/content/0/cache_control/ttl", "1h"),
    ("anthropic", request_with(Tool("f", cache="1h")), "tools/0/cache_control/ttl", "1h"),
    ("bedrock", request_with(part=TextPart("?", cache="1h")), "messages/0/content/1/cachePoint/ttl", "1h"),
    ("bedrock", request_with(Tool("f", cache="5m")), "toolConfig/tools/1/cachePoint/ttl", "5m"),
    (
        "responses",
        request_with(part=TextPart("?", cache="12h"), model="gpt-5.6-sol"),
        "input/0/content/0/prompt_cache_breakpoint/ttl",
        "12h",
    ),
    ("openai", request_with(extra={"prompt_cache_key": "k"}), "prompt_cache_key", "k"),
    # what tools may have
    ("anthropic", request_with(Tool("f", extra={"defer_loading": True})), "tools/0/defer_loading", True),
    (
        "anthropic",
        request_with(Tool("f", extra={"allowed_callers": ["code_execution_20250825"]})),
        "tools/0/allowed_callers/0",
        "code_execution_20250825",
    ),
    ("anthropic", request_with(Tool("f", extra={"input_examples": [{"a": "b"}]})), "tools/0/input_examples/0/a", "b"),
    ("responses", request_with(Tool("f", extra={"defer_loading": True})), "tools/0/defer_loading", True),
    ("vertex", request_with(Tool("f", extra={"behavior": "x"})), "tools/0/functionDeclarations/0/behavior", "x"),
    ("ollama", request_with(Tool("f", extra={"x": 1})), "tools/0/x", 1),
    # how closely images are looked at
    ("openai", request_with(part=LOW), "messages/0/content/0/image_url/detail", "low"),
    ("azure", request_with(part=LOW), "messages/0/content/0/image_url/detail", "low"),
    ("responses", request_with(part=ImageUrlPart(URL, extra={"detail": "low"})), "input/0/content/0/detail", "low"),
    (
        "vertex",
        request_with(part=ImageUrlPart(URL, extra={"mediaResolution": {"level": "MEDIA_RESOLUTION_LOW"}})),
        "contents/0/parts/0/mediaResolution/level",
        "MEDIA_RESOLUTION_LOW",
    ),
    # the service, and what it refuses
    ("openai", request_with(extra={"service_tier": "flex"}), "service_tier", "flex"),
    ("responses", request_with(extra={"service_tier": "flex"}), "service_tier", "flex"),
    ("azure", request_with(extra={"service_tier": "priority"}), "service_tier", "priority"),
    ("anthropic", request_with(extra={"service_tier": "standard_only"}), "service_tier", "standard_only"),
    ("bedrock", request_with(extra={"serviceTier": {"type": "flex"}}), "serviceTier/type", "flex"),
    (
        "bedrock",
        request_with(extra={"performanceConfig": {"latency": "optimized"}}),
        "performanceConfig/latency",
        "optimized",
    ),
    ("bedrock", request_with(extra={"guardrailConfig": {"trace": "enabled"}}), "guardrailConfig/trace", "enabled"),
    ("vertex", request_with(extra={"safetySettings": SAFETY}), "safetySettings/0/threshold", "BLOCK_NONE"),
    ("mistral", request_with(extra={"safe_prompt": True}), "safe_prompt", True),
    ("ollama", request_with(extra={"options": {"num_ctx": 9}}), "options/num_ctx", 9),
    # objects of the body are merged, and some lists grow
    (
        "vertex",
        request_with(temperature=0.5, extra={"generationConfig": {"topK": 4}}),
        "generationConfig/temperature",
        0.5,
    ),
    ("openai", request_with(STRICT, extra={"tools": [{"type": "x"}]}), "tools/1/type", "x"),
    (
        "responses",
        request_with(extra={"include": ["file_search_call.results"]}),
        "include/1",
        "file_search_call.results",
    ),
    ("vertex", request_with(STRICT, extra={"tools": [{"googleSearch": {}}]}), "tools/1/googleSearch", {}),
]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("vendor", "request_", "path", "value"), FIELDS)
def test_every_field_reaches_the_wire(vendor: str, request_: ChatRequest, path: str, value: Any, stream: bool) -> None:
    assert at(sent(vendor, request_, stream=stream).json, path) == value


@pytest.mark.parametrize("vendor", MAKERS)
def test_a_request_has_headers_and_a_timeout_of_its_own(vendor: str) -> None:
    request = request_with(headers={"x-team": "search"}, timeout=9)
    assert sent(vendor, request, stream=False).headers["x-team"] == "search"


def test_the_beta_features_of_a_request_are_added_to_the_providers() -> None:
    request = request_with(headers={}, extra={"betas": ["context-1m-2025-08-07", "fast-mode-2026-02-01"]})
    assert (
        sent("anthropic", request, stream=True).headers["anthropic-beta"]
        == "context-1m-2025-08-07,fast-mode-2026-02-01"
    )
