"""Counts and endings: the words that vendors have for them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tako.errors import ConfigurationError, kind_of
from tako.json_values import as_object
from tako.kit.finish_words import FINISH_REASONS
from tako.types import FinishReason, Usage
from tako_http_generic.pointers import Path

WORDS: Mapping[str, FinishReason] = {
    **FINISH_REASONS,
    "error_toxic": FinishReason.CONTENT_FILTER,
    "error_limit": FinishReason.LENGTH,
}
"""The words of all wires that tako knows, and Cohere's, in lower case."""

SOURCES: Mapping[str, tuple[str, ...]] = {
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
"""Where vendors keep their counts; the first that is there is taken."""
APART: Mapping[str, tuple[str, ...]] = {
    "/input_tokens": ("/cache_read_input_tokens", "/cache_creation_input_tokens"),
    "/inputTokens": ("/cacheReadInputTokens", "/cacheWriteInputTokens"),
    "/candidatesTokenCount": ("/thoughtsTokenCount",),
}
"""Counts that leave others out (Anthropic, Bedrock, Gemini), and those others, which are added."""


class Counter:
    """Reads usage. ``fields`` maps tako's names to pointers, or to lists of pointers whose values are added up."""

    def __init__(self, fields: Mapping[str, str | list[str]], owner: str) -> None:
        unknown = next((name for name in fields if name not in SOURCES), None)
        if unknown is not None:
            raise ConfigurationError(f"{owner}: usage_fields has {unknown!r} (known: {', '.join(SOURCES)})")
        self._given = {
            name: [
                Path(text, f"{owner}: usage_fields.{name}")
                for text in (given if isinstance(given, (list, tuple)) else [given])
            ]
            for name, given in fields.items()
        }

    def usage(self, counts: Any) -> Usage:
        """Count as tako does; whatever is no number of tokens is 0."""
        if as_object(counts) is None:
            return Usage()
        return Usage(*(self._count(name, counts) for name in SOURCES))

    def _count(self, name: str, counts: Any) -> int:
        if name in self._given:
            return sum(_number(path.get(counts)) for path in self._given[name])
        there = [(path, value) for path in _SOURCES[name] if _is_number(value := path.get(counts))]
        if not there:
            return 0
        path, value = next((found for found in there if found[1]), there[0])
        return _number(value) + sum(_number(other.get(counts)) for other in _APART.get(path.text, ()))


def read_words(given: Mapping[str, Any], owner: str) -> dict[str, FinishReason]:
    """Check a map of finish reasons; raises ConfigurationError on one that tako does not have."""
    if not isinstance(given, Mapping):
        raise ConfigurationError(f"{owner}: finish_reasons is {kind_of(given)}, not a dict")
    read: dict[str, FinishReason] = {}
    for word, reason in given.items():
        try:
            read[word] = FinishReason(reason)
        except ValueError:
            known = ", ".join(FinishReason)
            raise ConfigurationError(f"{owner}: finish_reasons.{word} is {reason!r}, not one of {known}") from None
    return read


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _number(value: Any) -> int:
    return int(value) if _is_number(value) and 0 < value < 1 << 62 else 0


_SOURCES = {name: [Path(text, name) for text in texts] for name, texts in SOURCES.items()}
_APART = {total: [Path(text, total) for text in texts] for total, texts in APART.items()}
