"""A cost is right or None: what was billed, or the standard prices where nothing else was at work."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from tako import Capabilities, ChatRequest, Message, Tool, Usage
from tako.kit.billing import bill
from tako.kit.models import ModelTable
from tako.kit.token_counts import merge_counts
from tako.testing.server import reply, serve, sse
from tako.types import Cost

if TYPE_CHECKING:
    from collections.abc import Callable

    from tako import Provider

    At = Callable[..., Provider]

KNOWN = Capabilities(
    usd_per_input_mtok=3,
    usd_per_output_mtok=15,
    usd_per_cached_mtok=0.3,
    usd_per_cache_write_mtok=3.75,
    usd_per_cache_write_1h_mtok=6,
)
USAGE = Usage(1_000_000, 1_000_000)
STANDARD = Cost(Decimal(3), Decimal(15))
ASK = ChatRequest([Message.user("hi")])


def cost(raw: Any, request: ChatRequest = ASK, usage: Usage = USAGE) -> Cost | None:
    return bill(KNOWN, usage, raw, request)


@pytest.mark.parametrize(
    "raw",
    [
        None,
        [],
        {"service_tier": "default"},
        {"service_tier": None, "usage": {"service_tier": "standard", "speed": "standard"}},
        {"serviceTier": {"type": "default"}, "performanceConfig": {"latency": "standard"}},
        {"usageMetadata": {"trafficType": "TRAFFIC_TYPE_UNSPECIFIED"}},
        {"usage": {"server_tool_use": {"web_search_requests": 0, "web_fetch_requests": 2}}},
        {"usage": {"inference_geo": "global", "iterations": [{"type": "message"}]}},
        {"tool_usage": {"web_search": {"num_requests": 0}}},
        {"output": [{"type": "message"}, {"type": "function_call"}]},
        {"candidates": [{"groundingMetadata": {}}]},
        {"usageMetadata": {"promptTokensDetails": [{"modality": "IMAGE", "tokenCount": 258}]}},
        {"usage": {"prompt_tokens_details": {"audio_tokens": 0}, "completion_tokens_details": {"audio_tokens": 0}}},
    ],
)
def test_a_usual_reply_has_the_standard_price(raw: Any) -> None:
    assert cost(raw) == STANDARD


@pytest.mark.parametrize(
    "raw",
    [
        *[{"service_tier": tier} for tier in ("flex", "priority", "scale", "fast", "ultrafast", "PRIORITY")],
        {"usage": {"service_tier": "batch"}},
        {"usage": {"service_tier": "priority"}},
        {"usage": {"speed": "fast"}},
        {"usage": {"inference_geo": "us"}},
        {"serviceTier": {"type": "flex"}},
        {"performanceConfig": {"latency": "optimized"}},
        {"usageMetadata": {"trafficType": "ON_DEMAND_FLEX"}},
        {"usageMetadata": {"serviceTier": "priority"}},
        {"usageMetadata": {"trafficType": "PROVISIONED_THROUGHPUT"}},
        {"usage": {"server_tool_use": {"web_search_requests": 1}}},
        {"usage": {"iterations": [{"type": "message"}, {"type": "advisor_message"}]}},
        {"tool_usage": {"web_search": {"num_requests": 1}}},
        {"output": [{"type": "web_search_call"}, {"type": "message"}]},
        {"candidates": [{"groundingMetadata": {"webSearchQueries": ["a"]}}]},
        {"usageMetadata": {"promptTokensDetails": [{"modality": "AUDIO", "tokenCount": 25}]}},
        {"usageMetadata": {"candidatesTokensDetails": [{"modality": "IMAGE", "tokenCount": 1290}]}},
        {"usage": {"prompt_tokens_details": {"audio_tokens": 5}}},
        {"usage": {"completion_tokens_details": {"audio_tokens": 5}}},
        {"usage": {"cost": 0.1, "is_byok": True}},
    ],
)
def test_what_has_other_prices_has_no_standard_one(raw: Any) -> None:
    assert cost(raw) is None


def test_a_tier_that_was_asked_for_counts_unless_the_reply_names_one() -> None:
    flex = ChatRequest([Message.user("hi")], extra={"service_tier": "flex"})
    assert cost({}, flex) is None
    assert cost({"service_tier": "default"}, flex) == STANDARD
    assert cost({}, ChatRequest([Message.user("hi")], extra={"service_tier": "auto"})) == STANDARD


def test_a_billed_tool_that_was_offered_counts_unless_the_reply_says_what_ran() -> None:
    search = ChatRequest([Message.user("hi")], tools=[Tool.vendor("openai", {"type": "web_search"})])
    assert cost({}, search) is None
    assert cost({"output": [{"type": "message"}]}, search) == STANDARD
    assert cost({}, ChatRequest([Message.user("hi")], extra={"web_search_options": {}})) is None


@pytest.mark.parametrize(
    ("usage", "dollars"),
    [
        ({"cost": 0.00042}, "0.00042"),
        ({"cost": "0.00042"}, "0.00042"),
        ({"cost": 0}, "0"),
        ({"cost": {"input_tokens_cost": 0.1, "total_cost": 0.3}}, "0.3"),
        ({"cost": 0.01, "is_byok": True, "cost_details": {"upstream_inference_cost": 0.2}}, "0.21"),
        ({"cost_in_usd_ticks": 37756000}, "0.0037756"),
        ({"estimated_cost": 1.5e-6}, "0.0000015"),
        ({"cost": 0.5, "service_tier": "priority"}, "0.5"),
    ],
)
def test_what_was_billed_is_the_cost(usage: dict[str, Any], dollars: str) -> None:
    billed = bill(Capabilities(), USAGE, {"usage": usage}, ASK)
    assert billed == Cost(other=Decimal(dollars))
    assert billed is not None
    assert billed.total == Decimal(dollars)


@pytest.mark.parametrize("odd", [True, None, "free", "nan", "inf", -1, [], {}, {"total_cost": None}])
def test_a_bill_that_is_no_amount_is_none(odd: Any) -> None:
    assert cost({"usage": {"cost": odd}}) == STANDARD


def written(**fields: Any) -> Cost | None:
    return cost({"usage": fields}, usage=Usage(100_000, 0, 0, 100_000))


def test_cache_writes_are_priced_by_duration() -> None:
    short, long = "ephemeral_5m_input_tokens", "ephemeral_1h_input_tokens"
    assert written(cache_creation={short: 100_000, long: 0}) == Cost(cache_write=Decimal("0.375"))
    assert written(cache_creation={short: 0, long: 100_000}) == Cost(cache_write=Decimal("0.6"))
    assert written(cache_creation={short: 50_000, long: 50_000}) == Cost(cache_write=Decimal("0.4875"))
    assert written(cacheDetails=[{"ttl": "1h", "inputTokens": 100_000}]) == Cost(cache_write=Decimal("0.6"))
    assert written(cacheDetails=[{"ttl": "5m", "inputTokens": 100_000}]) == Cost(cache_write=Decimal("0.375"))
    assert written(cache_creation={"ephemeral_12h_input_tokens": 100_000}) is None


def test_an_hour_without_a_price_has_no_cost() -> None:
    known = Capabilities(usd_per_input_mtok=3, usd_per_output_mtok=15, usd_per_cache_write_mtok=3.75)
    raw = {"usage": {"cache_creation": {"ephemeral_1h_input_tokens": 10}}}
    assert bill(known, Usage(10, 0, 0, 10), raw, ASK) is None


LONG = replace(
    KNOWN,
    prices_up_to_tokens=200_000,
    usd_per_long_input_mtok=6,
    usd_per_long_output_mtok=22.5,
    usd_per_long_cached_mtok=0.6,
)


def test_all_tokens_of_a_long_prompt_have_the_prices_of_long_prompts() -> None:
    assert LONG.cost(Usage(200_000, 1_000_000)) == Cost(Decimal("0.6"), Decimal(15))
    assert LONG.cost(Usage(400_000, 1_000_000, 100_000)) == Cost(Decimal("1.8"), Decimal("22.5"), Decimal("0.06"))
    assert LONG.cost(Usage(400_000, 1, 0, 100)) is None, "a price that isn't known"
    assert LONG.cost(Usage(400_000, 1)) is not None
    hour = {"usage": {"cache_creation": {"ephemeral_1h_input_tokens": 100}}}
    known = replace(LONG, usd_per_long_cache_write_mtok=7.5)
    assert bill(known, Usage(400_000, 1, 0, 100), {}, ASK) is not None
    assert bill(known, Usage(400_000, 1, 0, 100), hour, ASK) is None


def test_searches_of_claude_have_their_fee() -> None:
    known = replace(KNOWN, usd_per_web_search=0.01)
    ran = {"usage": {"server_tool_use": {"web_search_requests": 3, "web_fetch_requests": 1}}}
    assert bill(known, USAGE, ran, ASK) == replace(STANDARD, other=Decimal("0.03"))
    other = {"usage": {"server_tool_use": {"web_search_requests": 3, "code_execution_requests": 1}}}
    assert bill(known, USAGE, other, ASK) is None
    search = ChatRequest([Message.user("hi")], tools=[Tool.vendor("anthropic", {"type": "web_search_20250305"})])
    assert bill(known, USAGE, {"type": "message", "usage": {}}, search) == STANDARD, "a stream has no count of none"


def test_current_models_have_the_prices_of_long_prompts() -> None:
    table = ModelTable("tako_openai").find("gpt-5.4")
    cost = table.cost(Usage(300_000, 1_000_000))
    assert cost is not None
    assert cost.input == 2 * 300_000 * Decimal("2.5") / 1_000_000


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("name", ["openai", "azure-openai", "mistral"])
def test_a_gateway_s_bill_is_the_response_s_cost_whatever_the_model(name: str, streamed: bool, at: At) -> None:
    usage = {"prompt_tokens": 10, "completion_tokens": 5, "cost": 0.00042}
    body = {"choices": [{"message": {"content": "ok"}, "finish_reason": "stop"}], "usage": usage}
    last = {"choices": [], "usage": {"prompt_tokens": 0, "completion_tokens": 0}}
    events = sse({"choices": [{"delta": {"content": "ok"}, "finish_reason": "stop"}], "usage": usage}, last)
    request = ChatRequest([Message.user("hi")], model="z-ai/glm-5.3")
    with serve(reply(events) if streamed else reply(json=body)) as server:
        provider = at(name, server.url).blocking
        response = provider.stream(request).response() if streamed else provider.chat(request)
    assert response.cost == Cost(other=Decimal("0.00042"))
    assert (response.usage.input_tokens, response.usage.output_tokens) == (10, 5)


@pytest.mark.parametrize("streamed", [False, True])
def test_a_fast_answer_of_claude_has_no_standard_price(streamed: bool, at: At) -> None:
    usage = {"input_tokens": 10, "output_tokens": 5, "speed": "fast"}
    message = {"type": "message", "role": "assistant", "content": [], "stop_reason": "end_turn", "usage": usage}
    events = sse(
        {"type": "message_start", "message": message},
        {
            "type": "message_delta",
            "delta": {"stop_reason": "end_turn"},
            "usage": {"input_tokens": 0, "output_tokens": 5},
        },
        {"type": "message_stop"},
        done=False,
    )
    with serve(reply(events) if streamed else reply(json=message)) as server:
        provider = at("anthropic", server.url, capabilities=KNOWN).blocking
        response = provider.stream("hi").response() if streamed else provider.chat("hi")
    assert response.usage.input_tokens == 10
    assert response.cost is None


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("name", ["openai", "azure-openai", "mistral"])
def test_counts_that_do_not_fit_are_noted_and_have_no_cost(name: str, streamed: bool, at: At) -> None:
    usage = {"prompt_tokens": 10, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": 161}}
    body = {"choices": [{"message": {"content": "ok"}, "finish_reason": "stop"}], "usage": usage}
    events = sse({"choices": [{"delta": {"content": "ok"}, "finish_reason": "stop"}], "usage": usage})
    with serve(reply(events) if streamed else reply(json=body)) as server:
        provider = at(name, server.url, capabilities=KNOWN).blocking
        response = provider.stream("hi").response() if streamed else provider.chat("hi")
    assert [notice.code for notice in response.notices] == ["odd_usage"]
    assert response.cost is None


def test_zeros_that_come_later_take_nothing_away() -> None:
    first = {"prompt_tokens": 5, "details": {"cached_tokens": 3}, "cost": 0.1}
    assert merge_counts(first, {"prompt_tokens": 0, "details": {"cached_tokens": 0}, "cost": None}) == first
    assert merge_counts(first, {"prompt_tokens": 7, "new": 0}) == {**first, "prompt_tokens": 7, "new": 0}
