"""The chunks that make up nearly all of a stream: the block that is open goes on, and nothing else is new.

All that stands before a chunk's ``choices`` (id, model, tier) is the same as in the chunk before, byte by byte, so it
isn't parsed again; a decoder that knows no more than the usual fields reads the rest. It raises a
msgspec.ValidationError for any other chunk, which is then read as a whole.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any, Literal

import msgspec
from msgspec import Raw, Struct, defstruct

from tako.kit.completions.blocks import REASONING

NOTHING = Raw(b"null")
NO_RESULTS = (NOTHING, Raw(b"{}"))
NO_HEAD = b"\0"
"""The head of no chunk."""
AFTER_CHOICES = ("obfuscation", "p", "created", "id", "model", "object")
FACTS = ("service_tier", "system_fingerprint", "provider")
"""What may follow the choices: padding, or what stands before them elsewhere."""
_CHOICES = b'"choices"'
_STRICT: dict[str, Any] = {"gc": False, "forbid_unknown_fields": True}
Decode = Callable[[bytes], Any]
Blank = Literal[""] | None


class Arguments(Struct, **_STRICT):
    """A piece of a function's arguments."""

    arguments: str = ""


class Fragment(Struct, **_STRICT):
    """A piece of a call that has begun. What repeats the call's id or name, or has no index, is looked at closely."""

    index: int
    function: Arguments
    id: Blank = None
    type: Literal["function"] | None = None


class TextPiece(Struct, **_STRICT):
    """A piece of a thinking chunk's text (Mistral)."""

    text: str
    type: Literal["text"]


class Thinking(Struct, **_STRICT):
    """A thinking chunk that goes on."""

    thinking: tuple[TextPiece]
    type: Literal["thinking"]


def _decoder(name: str, kind: Any, *, is_text_only: bool = False) -> Decode:
    """Return what reads chunks whose delta has this field, as ``text``, and no other that says anything.

    ``is_text_only``: the chunk may have no facts either.
    """
    empty_fields = ("tool_calls", "refusal", "function_call", "reasoning_content", "reasoning", "reasoning_details")
    other_fields: dict[str, Any] = dict.fromkeys(empty_fields) | {
        "role": str | None,
        "content": Blank,
        "channel": str | None,
    }
    if name in REASONING and not is_text_only:
        other_fields["reasoning_details"] = list[Any] | None
    del other_fields[name]
    delta = defstruct(
        "Delta",
        [("text", kind), *((other_field, kind, None) for other_field, kind in other_fields.items())],
        rename={"text": name},
        **_STRICT,
    )
    unset_fields = ("logprobs", "native_finish_reason", "stop_reason", "token_ids")
    choice = defstruct(
        "Choice",
        [
            ("delta", delta),
            ("index", Literal[0], 0),
            ("finish_reason", Blank, None),
            ("content_filter_results", None if is_text_only else Raw, None if is_text_only else NOTHING),
            *((name, None, None) for name in unset_fields),
        ],
        **_STRICT,
    )
    chunk = defstruct(
        "Chunk",
        [
            ("choices", tuple[choice]),  # type: ignore[valid-type]  # made above
            ("usage", None if is_text_only else dict[str, Any] | None, None),
            *((name, Any, None) for name in AFTER_CHOICES),
            *((name, None if is_text_only else Any, None) for name in FACTS),
        ],
        **_STRICT,
    )
    return msgspec.json.Decoder(chunk).decode


TEXT_ONLY = {name: _decoder(name, str, is_text_only=True) for name in ("content", *REASONING)}
EXPECTED = {
    "content": _decoder("content", str),
    "thinking": _decoder("content", tuple[Thinking]),
    "tool_calls": _decoder("tool_calls", tuple[Fragment]),
    **{name: _decoder(name, str) for name in REASONING},
}
"""What reads the usual chunk, by what goes on: a field of the delta, or a thinking chunk of its content."""


class ExpectedChunk:
    """What is expected of the next chunk: that it goes on with the block that is open.

    ``head`` is the text before its choices, ``skip`` the length of that text; ``decode`` reads the rest. ``field`` is
    the field of its delta. ``is_text_only``: it's text or reasoning, and ``decode`` refuses chunks with more fields.
    ``text`` is then that of the chunk before.
    """

    def __init__(self, field: str = "", chunk: bytes = b"") -> None:
        start_of_choices = chunk.find(_CHOICES) if field in EXPECTED else 0
        self.head = chunk[:start_of_choices] if start_of_choices > 0 else NO_HEAD
        self.skip = start_of_choices
        self.field = field
        self.decode: Decode = EXPECTED.get(field, EXPECTED["content"])
        self.is_text_only = False
        self.text = ""
        if field in TEXT_ONLY and start_of_choices > 0:
            with suppress(msgspec.DecodeError, UnicodeError, RecursionError):
                self.text = TEXT_ONLY[field](b"{" + chunk[start_of_choices:]).choices[0].delta.text
                self.decode, self.is_text_only = TEXT_ONLY[field], True
