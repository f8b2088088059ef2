"""What Azure's content filter says of a streamed reply (https://learn.microsoft.com/azure/ai-foundry/openai/concepts/content-filter)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from tako.kit.body import decode_any
from tako.kit.completions import CompletionsDecoder
from tako.loose import as_array, as_object

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tako.kit.sse import Event
    from tako.types import Chunk, End


class AzureDecoder(CompletionsDecoder):
    """The dialect's decoder; it keeps the filter's results, which come in chunks beside the text, for ``End.raw``.

    They stand there as in the body of a whole reply: ``raw["prompt_filter_results"]`` and
    ``raw["choices"][0]["content_filter_results"]``, the last ones that came.
    """

    _prompt = b""
    _completion = b""

    def _chunks(self, events: list[Event]) -> Iterator[Chunk]:
        for event in events:
            data = event.data
            if b'"prompt_filter_results"' in data:
                self._prompt = data
            if b'"content_filter_results"' in data and b'"choices":[]' not in data and b'_results":{}' not in data:
                self._completion = data  # kept as it is: to decode each would cost as much as the dialect does
        return super()._chunks(events)

    def _end(self) -> End:
        prompt = _decoded(self._prompt).get("prompt_filter_results")
        choices = as_array(_decoded(self._completion).get("choices")) or [None]
        completion = (as_object(choices[0]) or {}).get("content_filter_results")
        raw: dict[str, Any] = {}
        if prompt:
            raw["prompt_filter_results"] = prompt
        if completion:
            raw["choices"] = [{"content_filter_results": completion}]
        return replace(super()._end(), raw=raw or None)


def _decoded(data: bytes) -> dict[str, Any]:
    return as_object(decode_any(data)) or {} if data else {}
