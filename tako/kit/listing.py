"""Lists of models and token counts, as vendors' APIs return them."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import msgspec

from tako.errors import ProviderError, ResponseError
from tako.json_values import as_array, as_object, text_of
from tako.kit.body import decode_json
from tako.kit.encoding import encode
from tako.kit.exchange import refuse_if_strict
from tako.listing import ModelInfo, TokenCount

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tako.kit.exchange import Exchange
    from tako.kit.http import HttpProvider

MOST_PAGES = 100
"""Pages of a list of models; more is a server that never ends."""
_OBJECT = msgspec.json.Decoder(dict[str, Any])
CONTEXT_FIELDS = (
    "max_input_tokens",
    "inputTokenLimit",
    "loaded_context_length",
    "max_model_len",
    "context_length",
    "context_window",
    "max_context_length",
)
"""Fields that hold how long a model's context is."""
OUTPUT_FIELDS = ("max_tokens", "outputTokenLimit", "max_output_tokens", "max_completion_tokens")
RETIREMENT_FIELDS = ("retires_at", "shutdown_date", "deprecation", "endOfLifeTime")
CREATION_FIELDS = ("created", "created_at", "createdAt", "modified_at")
NAME_FIELDS = ("display_name", "displayName", "modelName", "name")


async def fetch_json(provider: HttpProvider, url: str, body: Any = None, **options: Any) -> dict[str, Any]:
    """Send a request, with GET if there is no body, and return the JSON object of the reply.

    Raises a ProviderError that names provider and model. It isn't retried.
    """
    try:
        method = "GET" if body is None else "POST"
        _, data = await provider.fetch(url, b"" if body is None else encode(body), method=method, **options)
        return decode_json(data, _OBJECT)
    except ProviderError as error:
        error.provider = error.provider or provider.name
        error.model = error.model or provider.model
        raise


async def fetch_token_count(provider: HttpProvider, exchange: Exchange, url: str, body: Any, field: str) -> TokenCount:
    """Ask how many tokens an encoded request has; ``field`` is the reply's field with the count."""
    request = exchange.context.request
    refuse_if_strict(request, exchange.notices, provider)
    reply = await fetch_json(provider, url, body, **provider.call(request, exchange.headers))
    count = reply.get(field)
    if not isinstance(count, int) or isinstance(count, bool):
        raise ResponseError(f"the reply has no {field}", provider=provider.name, model=provider.model)
    return TokenCount(count, reply)


async def fetch_models(provider: HttpProvider, url: str, field: str, prefix: str) -> list[ModelInfo]:
    """List models as Google's APIs do, page by page."""
    models: list[ModelInfo] = []
    token, pages = "", 0
    while pages < MOST_PAGES:
        page = await fetch_json(provider, f"{url}?pageSize=1000{token}")
        models += decode_models(page.get(field, []), "name", prefix, provider=provider)
        pages += 1
        next_token = text_of(page.get("nextPageToken"))
        if not next_token:
            break
        token = f"&pageToken={quote(next_token, safe='')}"
    return models


def decode_models(
    entries: Any, id: str = "id", prefix: str = "", *, provider: HttpProvider | None = None
) -> list[ModelInfo]:
    """Read a vendor's entries, in its order. ``id`` is the field of the id; ``prefix`` is taken off it.

    Raises ResponseError, which names the provider, if there is no list, or if none of its entries has the id.
    """
    array = as_array(entries)
    listed = [fields for entry in array or () if (fields := as_object(entry)) and text_of(fields.get(id))]
    if array is None or (array and not listed):
        problem = "reply has no list of models" if array is None else f"list of models has no entry with a field {id!r}"
        raise ResponseError(
            f"the {problem}", provider=provider.name if provider else None, model=provider.model if provider else None
        )
    return [_model(entry, text_of(entry[id]).removeprefix(prefix)) for entry in listed]


def _model(entry: dict[str, Any], id: str) -> ModelInfo:
    name = next((text for field in NAME_FIELDS if (text := text_of(entry.get(field))) and not text.endswith(id)), "")
    return ModelInfo(
        id,
        name,
        _day(entry, CREATION_FIELDS),
        _day({**entry, **(as_object(entry.get("modelLifecycle")) or {})}, RETIREMENT_FIELDS),
        _size(entry, CONTEXT_FIELDS),
        _size(entry, OUTPUT_FIELDS),
        entry,
    )


def _size(entry: dict[str, Any], fields: Iterable[str]) -> int | None:
    sizes = [entry.get(field) for field in fields]
    return next((size for size in sizes if isinstance(size, int) and not isinstance(size, bool) and size > 0), None)


def _day(entry: dict[str, Any], fields: Iterable[str]) -> date | None:
    """Read a day: seconds since 1970, or a date of ISO 8601."""
    for value in map(entry.get, fields):
        try:
            if isinstance(value, (int, float)) and not isinstance(value, bool) and value > 0:
                return datetime.fromtimestamp(value, UTC).date()
            if isinstance(value, str) and value:
                return date.fromisoformat(value[:10])
        except (ValueError, OverflowError, OSError):
            continue
    return None
