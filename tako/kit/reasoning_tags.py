"""Reasoning that stands in a reply's text, between tags: ``<think>…</think>``.

Servers that run a model without a parser for its reasoning leave it there. With the option ``reasoning_tags`` it
becomes reasoning, whole and streamed. The part remembers its tags and the white space around them, so that the text
goes back as it came.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from tako.errors import ConfigurationError
from tako.fold import closing_delta
from tako.json_values import as_array
from tako.kit.decoders import WrappingDecoder
from tako.parts import Part, ReasoningPart, TextPart
from tako.state import State
from tako.types import Chunk, Delta

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tako.kit.exchange import StreamDecoder
    from tako.state import Origin
    from tako.translator import PartContext
    from tako.types import ChatRequest, ChatResponse

TAGS = "tags"
"""The field of a state that has the tags, with the white space around them."""
NAME = re.compile(r"[\w-]+")
LONGEST_SPACE = 1000
"""Characters of white space that are held back until it's known what follows."""
Tags = tuple[str, str]


def read_tags(value: Any, owner: str) -> Tags | None:
    """Read the option: the name of a tag, or the texts before and after. Raises ConfigurationError."""
    if value is None:
        return None
    if isinstance(value, str) and NAME.fullmatch(value):
        return f"<{value}>", f"</{value}>"
    match value:
        case [str(opening), str(closing_tag)] if closing_tag:
            return opening, closing_tag
        case _:
            pass
    text = 'reasoning_tags is a name as in "think", or two texts as in ("<think>", "</think>")'
    raise ConfigurationError(f"{owner}: {text}, not {value!r}")


class Splitter:
    """Tells reasoning from text, piece by piece.

    A reply begins within reasoning if the first tag is "": a template may have written it into the prompt.
    """

    def __init__(self, tags: Tags, origin: Origin) -> None:
        self._open, self._close = tags
        self._origin = origin
        self._position = "text" if self._open else "before"
        self._opening = ""
        self._closing = ""
        self._buffer = ""
        self._has_reasoning = False  # the reasoning that is open has some text
        self.last_is_reasoning = False
        """Whether no text has come after the last reasoning."""

    def feed(self, text: str) -> Iterator[Delta]:
        """Yield what is decided."""
        self._buffer += text
        while (step := self._step()) is not None:
            yield from step

    def flush(self) -> Iterator[Delta]:
        """Yield the rest, since the text is over."""
        rest, self._buffer = self._buffer, ""
        if self._position == "text":
            yield from self._text(rest)
        elif self._position == "after":
            self._closing += rest
            yield from self._end()
        else:
            body = rest.rstrip()
            self._closing = rest[len(body) :]
            yield from self._reasoning(body)
            yield from self._end()

    def _step(self) -> list[Delta] | None:
        """Go one step on; None if it takes more text to tell how."""
        buffer = self._buffer
        if not buffer:
            return None
        if self._position in ("before", "after"):
            rest = buffer.lstrip()
            if not rest and len(buffer) < LONGEST_SPACE:
                return None
            space, self._buffer = buffer[: len(buffer) - len(rest)], rest
            return self._begin_reasoning(space) if self._position == "before" else self._end_reasoning(space)
        tag = self._open if self._position == "text" else self._close
        at = buffer.find(tag) if tag else -1
        if at < 0:
            return self._hand_over(len(buffer) - _overlap(buffer, tag))
        self._buffer = buffer[at + len(tag) :]
        if self._position == "text":
            self._position, self._opening = "before", tag
            return list(self._text(buffer[:at]))
        body = buffer[:at].rstrip()
        self._position, self._closing = "after", buffer[len(body) : at] + tag
        return list(self._reasoning(body))

    def _hand_over(self, end: int) -> list[Delta] | None:
        """Hand over what can't be part of a tag; of reasoning not the white space that may stand before its end."""
        ready = self._buffer[:end]
        if self._position == "inside" and len(self._buffer) < LONGEST_SPACE:
            ready = ready.rstrip()
        if not ready:
            return None
        self._buffer = self._buffer[len(ready) :]
        return list(self._text(ready) if self._position == "text" else self._reasoning(ready))

    def _begin_reasoning(self, space: str) -> list[Delta]:
        self._opening += space
        self._position = "inside"
        return []

    def _end_reasoning(self, space: str) -> list[Delta]:
        self._closing += space
        return list(self._end())

    def _text(self, text: str) -> Iterator[Delta]:
        if text:
            self.last_is_reasoning = False
            yield Delta(text)

    def _reasoning(self, text: str) -> Iterator[Delta]:
        if text:
            self._has_reasoning = True
            yield Delta(reasoning=text)

    def _end(self) -> Iterator[Delta]:
        state = State(self._origin, {TAGS: [self._opening, self._closing]})
        yield closing_delta(ReasoningPart("", state)) if self._has_reasoning else Delta(part=ReasoningPart("", state))
        self._position, self._opening, self._closing, self._has_reasoning = "text", "", "", False
        self.last_is_reasoning = True


class Tagged(WrappingDecoder):
    """A decoder of a stream whose text has reasoning between tags."""

    def __init__(self, inner: StreamDecoder, tags: Tags, origin: Origin) -> None:
        super().__init__(inner)
        self._splitter = Splitter(tags, origin)
        self._open = False  # a text has begun

    def _convert(self, chunks: Iterator[Chunk]) -> Iterator[Chunk]:
        for chunk in chunks:
            if chunk.kind == "delta" and chunk.text and not chunk.refusal:
                self._open = True
                yield from self._splitter.feed(chunk.text)
                chunk = replace(chunk, text=None)  # noqa: PLW2901 - the rest of it
                if chunk == Delta():
                    continue
            if self._open:
                self._open = False
                yield from self._splitter.flush()
                if chunk.kind == "delta" and chunk.state is not None and self._splitter.last_is_reasoning:
                    chunk = replace(chunk, part=TextPart("", state=chunk.state), state=None)  # noqa: PLW2901 - as above
            yield chunk


def split_reply(response: ChatResponse, tags: Tags, origin: Origin) -> ChatResponse:
    """Return a whole reply whose reasoning between tags is reasoning."""
    splitter = Splitter(tags, origin)
    parts: list[Part] = []
    for part in response.message.parts:
        if isinstance(part, TextPart) and not (part.refusal or part.citations):
            split = list(_join([*splitter.feed(part.text), *splitter.flush()]))
            if part.state is not None:
                last = split.pop() if split and isinstance(split[-1], TextPart) else TextPart("")
                split.append(replace(last, state=part.state))
            parts += split
        else:
            parts.append(part)
    return replace(response, message=replace(response.message, content=parts))


def _join(deltas: Sequence[Delta]) -> Iterator[Part]:
    """Return the parts that the pieces of one text make up."""
    text, reasoning = "", ""
    for delta in deltas:
        text += delta.text or ""
        reasoning += delta.reasoning or ""
        if text and (delta.reasoning is not None or delta.state is not None or delta.part is not None):
            yield TextPart(text)
            text = ""
        if delta.state is not None or delta.part is not None:
            yield delta.part or ReasoningPart(reasoning, delta.state)
            reasoning = ""
    if text:
        yield TextPart(text)


def with_tags(request: ChatRequest, context: PartContext) -> ChatRequest:
    """Return a request in which reasoning that stood between tags stands there again, as it came."""
    changed = {
        i: replace(message, content=_with_tags(message.content, context))
        for i, message in enumerate(request.messages)
        if not isinstance(message.content, str) and any(_tags_of(part, context) for part in message.content)
    }
    if not changed:
        return request
    changed_request = replace(request, messages=[changed.get(i, message) for i, message in enumerate(request.messages)])
    context.outgoing = changed_request
    return changed_request


def _with_tags(parts: Sequence[Part], context: PartContext) -> list[Part]:
    tagged: list[Part] = []
    opening = ""
    for part in parts:
        tags = _tags_of(part, context)
        if tags is not None and isinstance(part, ReasoningPart):
            opening += f"{tags[0]}{part.text}{tags[1]}"
        elif opening and isinstance(part, TextPart):
            tagged.append(replace(part, text=opening + part.text))
            opening = ""
        else:
            tagged += [TextPart(opening), part] if opening else [part]
            opening = ""
    return [*tagged, TextPart(opening)] if opening else tagged


def _tags_of(part: Part, context: PartContext) -> list[Any] | None:
    """Return the tags around a reasoning that the vendor of this request made; None for any other part."""
    if not isinstance(part, ReasoningPart) or part.state is None or TAGS not in part.state.data:
        return None
    return as_array(part.state.data[TAGS]) if part.state.origin.matches(context.origin) else None


def _overlap(text: str, tag: str) -> int:
    """Return how many characters at the end of a text may be the beginning of the tag."""
    return next((n for n in range(min(len(tag) - 1, len(text)), 0, -1) if text.endswith(tag[:n])), 0)
