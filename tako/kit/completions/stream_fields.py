"""The fields of a stream other than its text, reasoning and calls."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from tako.json_values import as_array, as_object
from tako.kit.body import decode_any
from tako.kit.completions.decode import READ_FIELDS, is_not_text
from tako.kit.deltas import merge_pieces

if TYPE_CHECKING:
    from tako.kit.completions.blocks import Block
    from tako.kit.sse import Event

NOT_RAW = ("id", "model", "object", "choices", "error", "obfuscation", "p")
"""Fields of chunks that say nothing which ``End.raw`` has to have: the last two are padding."""
GROWING_FIELDS = ("logprobs", "token_ids")
"""Fields of choices that go on with each chunk."""
NOT_RAW_OF_CHOICE = ("index", "delta", "message", "finish_reason", "error", "text", *GROWING_FIELDS)
"""Fields of choices that are read for themselves; Together says the text of a delta again."""
PIECE_FIELDS = ("channel", "token_id", "padding")
"""Fields of deltas that describe the piece and not the message (Groq, Together, vLLM, Copilot)."""


class StreamFields:
    """The fields of chunks as a whole reply has them: those of the message, and facts for ``End.raw``."""

    def __init__(self) -> None:
        self.content_filter_json: Any = None
        """What Azure's filter found last, as JSON that isn't read yet."""
        self._last_event: Event | None = None
        self._reply: Block = {}
        self._choice: Block = {}
        self._growing: dict[str, list[Any]] = {}
        self._pieces: dict[str, list[Any]] = {}

    def add_event(self, event: Event) -> None:
        """Add the chunk of an event; once, however often it's given."""
        if event is not self._last_event:
            self._last_event = event
            self.add(as_object(decode_any(event.data)) or {})

    def add(self, chunk: Block) -> None:
        """Add a chunk. Facts hold as they came last, log probabilities and fields of the message grow."""
        _update(self._reply, chunk, NOT_RAW)
        for choice in map(as_object, as_array(chunk.get("choices")) or []):
            if choice is None or choice.get("index"):
                continue
            _update(self._choice, choice, NOT_RAW_OF_CHOICE)
            self.content_filter_json = None if choice.get("content_filter_results") else self.content_filter_json
            for name in GROWING_FIELDS:
                if choice.get(name):
                    self._growing.setdefault(name, []).append(choice[name])
            delta = choice.get("delta")
            for name, value in (as_object(choice.get("message") if delta is None else delta) or {}).items():
                if name in PIECE_FIELDS:
                    _update(self._choice, {name: value}, ())
                elif name not in READ_FIELDS or is_not_text(name, value):
                    self.add_piece(name, value)

    def add_piece(self, name: str, value: Any) -> None:
        """Add a piece of a field of the message."""
        if value is not None:
            self._pieces.setdefault(name, []).append(value)

    def fields(self) -> Block:
        """Return the fields of the message that are not read for themselves."""
        return {name: merge_pieces(pieces, name) for name, pieces in self._pieces.items()}

    def raw(self, fields: Block) -> Block | None:
        """Return the facts as the body of a whole reply has them, or None if there are none."""
        facts = {**self._choice, **{name: merge_pieces(pieces, name) for name, pieces in self._growing.items()}}
        if self.content_filter_json is not None:
            facts["content_filter_results"] = msgspec.json.decode(self.content_filter_json)
        if fields:
            facts["message"] = fields
        return {**self._reply, **({"choices": [facts]} if facts else {})} or None


def _update(facts: Block, fields: Block, excluded: tuple[str, ...]) -> None:
    facts.update(
        {name: value for name, value in fields.items() if name not in excluded and value not in (None, "", [], {})}
    )
