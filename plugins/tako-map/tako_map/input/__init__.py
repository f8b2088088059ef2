"""Rows in: from a file or an iterable to requests.

``source`` reads files, with ``lines``, ``json_rows``, ``csv_rows`` and ``parquet_rows``; ``prompt`` makes a row's
request; ``keyset`` remembers the keys that are done; ``rows`` has what all of them pass on.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, Iterable, Mapping
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeGuard, cast

from tako.errors import ConfigurationError, TakoError, kind_of
from tako.types import ChatRequest, Message
from tako_map.input.rows import Row
from tako_map.input.source import Source

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Iterator

    from tako_map.input.prompt import Prompt

Requests = (
    str
    | PathLike[str]
    | Iterable[ChatRequest | str | list[Message] | tuple[Any, Any] | Mapping[str, Any]]
    | AsyncIterable[ChatRequest | str | list[Message] | tuple[Any, Any] | Mapping[str, Any]]
)
PAIR = 2


def open_rows(requests: Requests, prompt: Prompt, key: str | None) -> Iterator[Row] | AsyncIterator[Row]:
    """Return the rows of a file, or of an iterable. Raises ConfigurationError."""
    if isinstance(requests, (str, PathLike)):
        path = Path(cast("str", requests))
        prompt.folder = path.parent
        return Source(path, prompt, key=key)
    if isinstance(requests, AsyncIterable):
        return _async_rows(requests, prompt, key)
    if not hasattr(requests, "__iter__"):
        raise ConfigurationError(f"requests are a file or an iterable of requests, not {kind_of(requests)}")
    items: Iterable[Any] = requests
    return (_row(number, item, prompt, key) for number, item in enumerate(items, 1))


async def _async_rows(requests: AsyncIterable[Any], prompt: Prompt, key: str | None) -> AsyncGenerator[Row, None]:
    number = 0
    async for item in requests:
        number += 1
        yield _row(number, item, prompt, key)


def _row(number: int, item: Any, prompt: Prompt, key_column: str | None) -> Row:
    """Return the row of an item: a request, what fills the prompt, or a pair of a key and either."""
    key, request = item if _is_pair(item) else (number, item)
    if not _is_pair(item) and key_column is not None and _is_mapping(item):
        key = item.get(key_column, number)
    if not _is_mapping(request) and (prompt.template is None or not isinstance(request, str)):
        return Row(number, key, request)
    try:
        return Row(number, key, prompt.request(request))
    except TakoError as error:
        return Row(number, key, problem=error)


def _is_pair(item: Any) -> TypeGuard[tuple[Any, Any]]:
    return isinstance(item, tuple) and len(item) == PAIR  # pyright: ignore[reportUnknownArgumentType] - a tuple of anything


def _is_mapping(item: Any) -> TypeGuard[Mapping[str, Any]]:
    return isinstance(item, Mapping)
