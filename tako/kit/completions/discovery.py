"""Capabilities of a model, read from the ``/models`` of servers that speak Chat Completions.

OpenAI itself lists ids and the days on which models are turned off. vLLM, llama.cpp, LM Studio, Groq, Fireworks,
Together, Mistral and OpenRouter say more, each in its own way (https://docs.vllm.ai,
https://github.com/ggml-org/llama.cpp/tree/master/tools/server, https://docs.mistral.ai/api/endpoint/models,
https://openrouter.ai/docs/api-reference/list-available-models).
"""

from __future__ import annotations

from contextlib import suppress
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

import msgspec

from tako.capabilities import MTOK
from tako.errors import ProviderError
from tako.json_values import as_array, as_object, text_of
from tako.kit.body import decode_json

if TYPE_CHECKING:
    from tako.kit.http import HttpProvider

CONTEXT_FIELDS = (
    "loaded_context_length",
    "max_model_len",
    "context_length",
    "context_window",
    "max_context_length",
    "max_input_tokens",
)
"""Fields that hold the context's length, the one that holds now before the one that could."""
PRICE_FIELDS = {
    "prompt": "usd_per_input_mtok",
    "completion": "usd_per_output_mtok",
    "input_cache_read": "usd_per_cached_mtok",
    "input_cache_write": "usd_per_cache_write_mtok",
}
"""OpenRouter's, in dollars per token, as text."""

RETIREMENT_FIELDS = ("shutdown_date", "deprecation", "expiration_date")
"""OpenAI's, Mistral's and OpenRouter's words for the day on which a model is turned off."""
REPLACEMENT_FIELD = "deprecation_replacement_model"
"""Mistral's."""

_ANY: msgspec.json.Decoder[Any] = msgspec.json.Decoder()


async def discover_capabilities(provider: HttpProvider, url: str) -> dict[str, Any]:
    """Ask a server for its models and return the fields of Capabilities that it tells of the provider's own.

    Raises ProviderError.
    """
    try:
        _, body = await provider.fetch(url, b"", method="GET")
        return capabilities_in(decode_json(body, _ANY), provider.model)
    except ProviderError as error:
        error.provider = error.provider or provider.name
        error.model = error.model or provider.model
        raise


def capabilities_in(listing: Any, model: str) -> dict[str, Any]:
    """Read the fields of Capabilities that a listing has for a model; none where it does not list the model."""
    outer = as_object(listing) or {}
    entries = [entry for item in as_array(outer.get("data", listing)) or [] if (entry := as_object(item))]
    matches = [
        entry for entry in entries if entry.get("id") == model or model in (as_array(entry.get("aliases")) or [])
    ]
    entries_of_model = matches or entries[:1] * (len(entries) == 1)  # a server of one model calls it as it likes
    if not entries_of_model:
        return {}
    llamacpp_entries = [
        entry for item in as_array(outer.get("models")) or [] if (entry := as_object(item))
    ]  # llama.cpp's
    abilities = {
        ability
        for entry in (entries_of_model[0], *llamacpp_entries[: len(entries) == 1])
        for ability in _listed_abilities(entry)
    }
    fields = {
        "max_context_tokens": _context(entries_of_model[0]),
        **_abilities(entries_of_model[0], abilities),
        **_prices(entries_of_model[0]),
    }
    fields |= {
        "retires": _retires(entries_of_model[0]),
        "replacement": text_of(entries_of_model[0].get(REPLACEMENT_FIELD)) or None,
    }
    return {name: value for name, value in fields.items() if value is not None}


def _context(entry: dict[str, Any]) -> int | None:
    meta, top_provider = as_object(entry.get("meta")) or {}, as_object(entry.get("top_provider")) or {}
    sizes = [
        meta.get("n_ctx"),
        meta.get("n_ctx_train"),
        top_provider.get("context_length"),
        *map(entry.get, CONTEXT_FIELDS),
    ]
    return next((size for size in sizes if isinstance(size, int) and not isinstance(size, bool) and size > 0), None)


def _retires(entry: dict[str, Any]) -> date | None:
    """Return the day on which a model is turned off."""
    for name in RETIREMENT_FIELDS:
        with suppress(ValueError):
            return date.fromisoformat(text_of(entry.get(name))[:10])
    return None


def _listed_abilities(entry: dict[str, Any]) -> set[str]:
    """Return the abilities that an entry lists as words."""
    return {ability for ability in as_array(entry.get("capabilities")) or [] if isinstance(ability, str)}


def _abilities(entry: dict[str, Any], abilities: set[str]) -> dict[str, Any]:
    """Read flags, lists of inputs and parameters, and words; a list that lacks something says no."""
    flags = {**entry, **(as_object(entry.get("capabilities")) or {})}
    supported: dict[str, Any] = {}
    for name, fields in {
        "supports_tools": ("function_calling", "supports_tools"),
        "supports_vision": ("vision", "supports_image_input"),
    }.items():
        values = [flags[field] for field in fields if isinstance(flags.get(field), bool)]
        supported[name] = values[0] if values else None
    parameters = as_array(entry.get("supported_parameters"))
    if parameters is not None:
        supported["supports_tools"] = "tools" in parameters
        supported["supports_json_mode"] = "response_format" in parameters or "structured_outputs" in parameters
    inputs = as_array((as_object(entry.get("architecture")) or {}).get("input_modalities"))
    if inputs is not None:
        supported["supports_vision"] = "image" in inputs
        modalities = {"supports_documents": "file", "supports_audio": "audio", "supports_video": "video"}
        supported |= {name: modality in inputs for name, modality in modalities.items()}
    if "tool_use" in abilities:
        supported["supports_tools"] = True
    if "multimodal" in abilities or entry.get("type") == "vlm":
        supported["supports_vision"] = True
    return supported


def _prices(entry: dict[str, Any]) -> dict[str, Any]:
    """Read prices per token; where a call costs something beside its tokens there are none."""
    pricing = as_object(entry.get("pricing")) or {}
    prices = {name: _per_mtok(pricing.get(field)) for field, name in PRICE_FIELDS.items()}
    return {} if _per_mtok(pricing.get("request")) else prices


def _per_mtok(price: Any) -> float | None:
    """Return a price per million tokens; negative ones stand for "it depends"."""
    try:
        value = Decimal(price) if isinstance(price, str) else None
    except InvalidOperation:
        return None
    return float(value * MTOK) if value is not None and value.is_finite() and value >= 0 else None
