"""The cost of a reply: what the server says that it billed, or the standard prices if they apply.

A reply says of itself at which tier it was served and what else the vendor bills for it. If that has prices that aren't
known here, the cost is None rather than the standard one.
"""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from tako.capabilities import MTOK
from tako.json_values import as_array, as_object, count_of, text_of
from tako.types import Cost, VendorTool

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tako.capabilities import Capabilities
    from tako.types import ChatRequest, Usage

    Object = dict[str, Any]

STANDARD = frozenset(("", "default", "standard", "on_demand", "traffic_type_unspecified"))
"""The vendors' words for what the standard prices are for."""
UNDECIDED = STANDARD | {"auto", "standard_only"}
"""Words of a request that leave the tier to the vendor, whose reply names it."""
STANDARD_REGIONS = ("", "global", "not_available")
"""Where Anthropic computes at the standard prices (https://platform.claude.com/docs/en/about-claude/pricing)."""
KNOWN_FEES = ("web_fetch_requests", "web_search_requests")
"""Counts of Anthropic's server tools whose fees are known: none beside the tokens, and that of a search."""
BILLED_TOOLS = ("web_search", "file_search", "code_interpreter", "image_generation", "computer")
"""Beginnings of the types of OpenAI's tools that are billed by call (https://developers.openai.com/api/docs/pricing)."""
COST_FIELDS = ("cost", "cost_in_usd_ticks", "estimated_cost")
"""Fields in which a server says what it billed."""
TICKS = Decimal(10) ** 10
"""xAI's ``cost_in_usd_ticks`` for a dollar."""


def bill(capabilities: Capabilities, usage: Usage, raw: Any, request: ChatRequest) -> Cost | None:
    """Return what a reply costs, None if that isn't known. ``raw`` is its body, or what a stream has of it."""
    body = as_object(raw) or {}
    counts = as_object(body.get("usage")) or as_object(body.get("usageMetadata")) or {}
    billed = _billed(counts)
    if billed is not None:
        return Cost(other=billed)
    cost = capabilities.cost(usage)
    if cost is None or not _is_standard(body, counts, request):
        return None
    return _with_searches(_with_long_writes(cost, usage, counts, capabilities), counts, capabilities)


def _billed(counts: Object) -> Decimal | None:
    """Return the US dollars that a gateway or a vendor says it billed.

    OpenRouter and LiteLLM have a number, Perplexity an object, DeepInfra an estimate that it bills, xAI ticks. Whoever
    brings a key to OpenRouter pays the vendor beside it.
    """
    if counts.keys().isdisjoint(COST_FIELDS):  # most say nothing of it
        return None
    value = counts.get("cost")
    details = as_object(value)
    dollars = _dollars(details.get("total_cost") if details is not None else value)
    if dollars is None:
        ticks = _dollars(counts.get("cost_in_usd_ticks"))
        return ticks / TICKS if ticks is not None else _dollars(counts.get("estimated_cost"))
    if counts.get("is_byok") is True:
        upstream = _dollars((as_object(counts.get("cost_details")) or {}).get("upstream_inference_cost"))
        return None if upstream is None else dollars + upstream
    return dollars


def _dollars(value: Any) -> Decimal | None:
    """Read an amount that is a number or text; anything else is None."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        amount = Decimal(str(value))
    except InvalidOperation:
        return None
    return amount if amount.is_finite() and amount >= 0 else None


def _is_standard(body: Object, counts: Object, request: ChatRequest) -> bool:
    """Whether the standard prices are all that counts."""
    tiers = [text_of(tier).lower() for tier in _tiers(body, counts)]
    requested = [text_of(request.extra.get(name)).lower() for name in ("service_tier", "serviceTier", "speed")]
    return (
        STANDARD.issuperset(tiers)
        and (any(tiers) or UNDECIDED.issuperset(requested))
        and text_of(counts.get("inference_geo")) in STANDARD_REGIONS
        and not counts.get("is_byok")
        and not any(
            text_of(iteration.get("type")) not in ("", "message") for iteration in _objects(counts.get("iterations"))
        )
        and not (_has_fees(body, counts) or _has_other_media(counts))
        and not ("web_search_options" in request.extra or _offers_billed(body, request))
    )


def _tiers(body: Object, counts: Object) -> Iterator[Any]:
    """List the words for how a reply was served: of OpenAI, Anthropic, Bedrock and Google."""
    yield body.get("service_tier")
    yield from (counts.get(name) for name in ("service_tier", "serviceTier", "speed", "trafficType"))
    yield (as_object(body.get("serviceTier")) or {}).get("type")
    yield (as_object(body.get("performanceConfig")) or {}).get("latency")


def _has_fees(body: Object, counts: Object) -> bool:
    """Whether tools ran that are billed by call: Anthropic's, OpenAI's, and Google's searches."""
    used = as_object(counts.get("server_tool_use")) or {}
    metadata = [as_object(candidate.get("groundingMetadata")) or {} for candidate in _objects(body.get("candidates"))]
    return (
        any(count_of(count) for name, count in used.items() if name not in KNOWN_FEES)
        or any(_numbers(body.get("tool_usage")))
        or any(text_of(item.get("type")).startswith(BILLED_TOOLS) for item in _objects(body.get("output")))
        or any(one.get("webSearchQueries") or one.get("groundingChunks") for one in metadata)
    )


def _offers_billed(body: Object, request: ChatRequest) -> bool:
    """Whether tools were offered that are billed by call, and the reply doesn't say what they did.

    Anthropic's messages count what ran, and have no count if nothing did.
    """
    counts = as_object(body.get("usage")) or {}
    if "tool_usage" in body or "output" in body or "server_tool_use" in counts or body.get("type") == "message":
        return False
    offered = [tool.block for tool in request.tools if isinstance(tool, VendorTool)]
    return any(text_of(block.get("type")).startswith(BILLED_TOOLS) for block in offered)


def _has_other_media(counts: Object) -> bool:
    """Whether tokens have prices of their own: those of sounds, and of images that were made."""
    details = [as_object(value) or {} for name, value in counts.items() if name.endswith("_details")]
    output_details = (
        as_object(counts.get("completion_tokens_details")) or as_object(counts.get("output_tokens_details")) or {}
    )
    if any(count_of(details_of_kind.get("audio_tokens")) for details_of_kind in details) or count_of(
        output_details.get("image_tokens")
    ):
        return True
    for name, value in counts.items():
        if name.endswith("TokensDetails"):
            standard_modalities = ("TEXT",) if name.startswith("candidates") else ("TEXT", "IMAGE", "VIDEO", "DOCUMENT")
            if any(
                count_of(entry.get("tokenCount")) and entry.get("modality") not in standard_modalities
                for entry in _objects(value)
            ):
                return True
    return False


def _with_searches(cost: Cost | None, counts: Object, capabilities: Capabilities) -> Cost | None:
    """Add the fees of searches that the vendor ran, None if they have no price."""
    searches = count_of((as_object(counts.get("server_tool_use")) or {}).get("web_search_requests"))
    if cost is None or not searches:
        return cost
    fee = capabilities.usd_per_web_search
    return None if fee is None else replace(cost, other=cost.other + searches * Decimal(str(fee)))


def _with_long_writes(cost: Cost, usage: Usage, counts: Object, capabilities: Capabilities) -> Cost | None:
    """Price what was written to the cache for an hour, None if a duration has no price."""
    written = as_object(counts.get("cache_creation")) or {}  # Anthropic's
    tokens = {name: count for name, value in written.items() if (count := count_of(value))}
    for entry in _objects(counts.get("cacheDetails")):  # Bedrock's
        tokens[f"ephemeral_{text_of(entry.get('ttl'))}_input_tokens"] = count_of(entry.get("inputTokens"))
    hour_tokens = tokens.pop("ephemeral_1h_input_tokens", 0)
    if tokens.keys() - {"ephemeral_5m_input_tokens"}:
        return None
    if not hour_tokens:
        return cost
    short, long = capabilities.usd_per_cache_write_mtok, capabilities.usd_per_cache_write_1h_mtok
    if short is None or long is None or capabilities.is_long(usage):
        return None
    return replace(cost, cache_write=cost.cache_write + hour_tokens * (Decimal(str(long)) - Decimal(str(short))) / MTOK)


def _objects(value: Any) -> list[Object]:
    return [item for item in map(as_object, as_array(value) or ()) if item is not None]


def _numbers(value: Any) -> Iterator[int]:
    """List the counts in an object, however deep."""
    inner: Mapping[str, Any] = as_object(value) or {}
    for item in inner.values():
        yield from _numbers(item) if isinstance(item, dict) else (count_of(item),)
