"""Usage: the names that vendors have for the numbers of tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tako.errors import ConfigurationError
from tako.json_values import as_object
from tako.types import Usage
from tako_http_generic.pointers import Pointer

if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULT_POINTERS: Mapping[str, tuple[str, ...]] = {
    "input_tokens": ("/prompt_tokens", "/input_tokens", "/prompt_eval_count", "/promptTokenCount", "/inputTokens"),
    "output_tokens": (
        "/completion_tokens",
        "/output_tokens",
        "/eval_count",
        "/candidatesTokenCount",
        "/outputTokens",
    ),
    "cached_tokens": (
        "/prompt_tokens_details/cached_tokens",
        "/input_tokens_details/cached_tokens",
        "/cache_read_input_tokens",
        "/cached_tokens",
        "/num_cached_tokens",
        "/prompt_cache_hit_tokens",
        "/cachedContentTokenCount",
        "/cacheReadInputTokens",
    ),
    "cache_write_tokens": ("/cache_creation_input_tokens", "/cache_write_tokens", "/cacheWriteInputTokens"),
    "reasoning_tokens": (
        "/completion_tokens_details/reasoning_tokens",
        "/output_tokens_details/reasoning_tokens",
        "/output_tokens_details/thinking_tokens",
        "/reasoning_tokens",
        "/thoughtsTokenCount",
    ),
}
"""Where vendors have their counts; the first that exists is used."""
EXCLUDED_COUNTS: Mapping[str, tuple[str, ...]] = {
    "/input_tokens": ("/cache_read_input_tokens", "/cache_creation_input_tokens"),
    "/inputTokens": ("/cacheReadInputTokens", "/cacheWriteInputTokens"),
    "/candidatesTokenCount": ("/thoughtsTokenCount",),
}
"""Counts that don't include others (Anthropic, Bedrock, Gemini), and those others, which are added."""


class UsageReader:
    """Reads usage. ``fields`` maps tako's names to pointers, or to lists of pointers whose values are added up."""

    def __init__(self, fields: Mapping[str, str | list[str]], owner: str) -> None:
        unknown = next((name for name in fields if name not in DEFAULT_POINTERS), None)
        if unknown is not None:
            raise ConfigurationError(f"{owner}: usage_fields has {unknown!r} (known: {', '.join(DEFAULT_POINTERS)})")
        self._pointers = {
            name: [
                Pointer(text, f"{owner}: usage_fields.{name}")
                for text in (texts if isinstance(texts, (list, tuple)) else [texts])
            ]
            for name, texts in fields.items()
        }

    def usage(self, counts: Any) -> Usage:
        """Return the counts as tako has them; a value that isn't a number counts as 0."""
        if as_object(counts) is None:
            return Usage()
        return Usage(*(self._count(name, counts) for name in DEFAULT_POINTERS))

    def _count(self, name: str, counts: Any) -> int:
        if name in self._pointers:
            return sum(_number(pointer.get(counts)) for pointer in self._pointers[name])
        numbers = [(pointer, value) for pointer in _DEFAULT_POINTERS[name] if _is_number(value := pointer.get(counts))]
        if not numbers:
            return 0
        pointer, value = next((number for number in numbers if number[1]), numbers[0])
        return _number(value) + sum(_number(other.get(counts)) for other in _EXCLUDED_COUNTS.get(pointer.text, ()))


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _number(value: Any) -> int:
    return int(value) if _is_number(value) and 0 < value < 1 << 62 else 0


_DEFAULT_POINTERS = {name: [Pointer(text, name) for text in texts] for name, texts in DEFAULT_POINTERS.items()}
_EXCLUDED_COUNTS = {total: [Pointer(text, total) for text in texts] for total, texts in EXCLUDED_COUNTS.items()}
