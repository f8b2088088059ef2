"""The chunks that make up nearly all of a stream: the block that is open goes on, and nothing else is new.

All that stands before a chunk's ``choices`` (id, model, tier) is the same as in the chunk before, byte by byte, so it
isn't parsed again; a decoder that knows no more than the usual fields reads the rest. It raises a
msgspec.ValidationError for any other chunk, which is then read as a whole.
"""

from __future__ import annotations

import re
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
LAST = ("obfuscation", "p", "created", "id", "model", "object")
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


class Said(Struct, **_STRICT):
    """A piece of a thinking chunk's text (Mistral)."""

    text: str
    type: Literal["text"]


class Thinking(Struct, **_STRICT):
    """A thinking chunk that goes on."""

    thinking: tuple[Said]
    type: Literal["thinking"]


def _decoder(name: str, kind: Any, *, plain: bool = False) -> Decode:
    """Return what reads chunks whose delta has this field, as ``text``, and no other that says anything.

    ``plain``: the chunk may have no facts either.
    """
    nothing = ("tool_calls", "refusal", "function_call", "reasoning_content", "reasoning", "reasoning_details")
    others: dict[str, Any] = dict.fromkeys(nothing) | {"role": str | None, "content": Blank, "channel": str | None}
    if name in REASONING and not plain:
        others["reasoning_details"] = list[Any] | None
    del others[name]
    delta = defstruct(
        "Delta",
        [("text", kind), *((other, kind, None) for other, kind in others.items())],
        rename={"text": name},
        **_STRICT,
    )
    unset = ("logprobs", "native_finish_reason", "stop_reason", "token_ids")
    choice = defstruct(
        "Choice",
        [
            ("delta", delta),
            ("index", Literal[0], 0),
            ("finish_reason", Blank, None),
            ("content_filter_results", None if plain else Raw, None if plain else NOTHING),
            *((name, None, None) for name in unset),
        ],
        **_STRICT,
    )
    chunk = defstruct(
        "Chunk",
        [
            ("choices", tuple[choice]),  # type: ignore[valid-type]  # made above
            ("usage", None if plain else dict[str, Any] | None, None),
            *((name, Any, None) for name in LAST),
            *((name, None if plain else Any, None) for name in FACTS),
        ],
        **_STRICT,
    )
    return msgspec.json.Decoder(chunk).decode


DECODE_TEXT = msgspec.json.Decoder(str).decode
PLAIN = {name: _decoder(name, str, plain=True) for name in ("content", *REASONING)}
USUAL = {
    "content": _decoder("content", str),
    "thinking": _decoder("content", tuple[Thinking]),
    "tool_calls": _decoder("tool_calls", tuple[Fragment]),
    **{name: _decoder(name, str) for name in REASONING},
}
"""What reads the usual chunk, by what goes on: a field of the delta, or a thinking chunk of its content."""


class Expected:
    """What is expected of the next chunk: that it goes on with the block that is open.

    ``head`` is what stands before its choices, ``skip`` the length of that; ``read`` reads the rest. ``field`` is what
    its delta has; ``plain`` tells that it's text or reasoning, and ``read`` refuses chunks that say anything more.

    ``start`` is what stands before the text of such a chunk, ``end`` what follows it: a chunk between them differs in
    its text alone. Most servers send nothing else, so that nothing has to be parsed.
    """

    def __init__(self, field: str = "", chunk: bytes = b"") -> None:
        at = chunk.find(_CHOICES) if field in USUAL else 0
        self.head = chunk[:at] if at > 0 else NO_HEAD
        self.skip = at
        self.field = field
        self.read: Decode = USUAL.get(field, USUAL["content"])
        self.plain = False
        self.start, self.end = NO_HEAD, b""
        self.text_at = slice(0)
        if field in PLAIN and at > 0:
            with suppress(msgspec.DecodeError, UnicodeError, RecursionError):
                text = PLAIN[field](b"{" + chunk[at:]).choices[0].delta.text
                self.read, self.plain = PLAIN[field], True
                self._expect_text(text, chunk)

    def _expect_text(self, text: str | None, chunk: bytes) -> None:
        """Note what stands around the text, if that is sure: its field stands there once, and no escape is in it."""
        start = re.search(rb'"%b": ?(?=")' % self.field.encode(), chunk)
        written = b'"%b"' % (text or "").encode()
        if start is not None and chunk.count(start[0]) == 1 and chunk.startswith(written, start.end()):
            self.start, self.end = chunk[: start.end()], chunk[start.end() + len(written) :]
            self.text_at = slice(len(self.start), -len(self.end))

    def text_of(self, data: bytes) -> str:
        """Return the text of a chunk that differs from the one before in nothing else; "" if it's another one."""
        if data.startswith(self.start) and data.endswith(self.end):
            try:
                return DECODE_TEXT(data[self.text_at])
            except (msgspec.DecodeError, UnicodeError):
                return ""
        return ""
