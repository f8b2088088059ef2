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
from tako.fold import closing
from tako.json_values import as_array
from tako.kit.decoders import Over
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


def read_tags(given: Any, owner: str) -> Tags | None:
    """Read the option: the name of a tag, or the texts before and after. Raises ConfigurationError."""
    if given is None:
        return None
    if isinstance(given, str) and NAME.fullmatch(given):
        return f"<{given}>", f"</{given}>"
    match given:
        case [str(before), str(after)] if after:
            return before, after
        case _:
            pass
    text = 'reasoning_tags is a name as in "think", or two texts as in ("<think>", "</think>")'
    raise ConfigurationError(f"{owner}: {text}, not {given!r}")


class Splitter:
    """Tells reasoning from text, piece by piece.

    A reply begins within reasoning if the first tag is "": a template may have written it into the prompt.
    """

    def __init__(self, tags: Tags, origin: Origin) -> None:
        self._open, self._close = tags
        self._origin = origin
        self._place = "text" if self._open else "before"
        self._before = ""
        self._after = ""
        self._held = ""
        self._said = False  # the reasoning that is open has some text
        self.last_is_reasoning = False
        """Whether no text has come after the last reasoning."""

    def feed(self, text: str) -> Iterator[Delta]:
        """Yield what is decided."""
        self._held += text
        while (step := self._step()) is not None:
            yield from step

    def flush(self) -> Iterator[Delta]:
        """Yield the rest, since the text is over."""
        held, self._held = self._held, ""
        if self._place == "text":
            yield from self._text(held)
        elif self._place == "after":
            self._after += held
            yield from self._end()
        else:
            body = held.rstrip()
            self._after = held[len(body) :]
            yield from self._reasoning(body)
            yield from self._end()

    def _step(self) -> list[Delta] | None:
        """Go one step on; None if it takes more text to tell how."""
        held = self._held
        if not held:
            return None
        if self._place in ("before", "after"):
            rest = held.lstrip()
            if not rest and len(held) < LONGEST_SPACE:
                return None
            space, self._held = held[: len(held) - len(rest)], rest
            return self._begin(space) if self._place == "before" else self._go_on(space)
        tag = self._open if self._place == "text" else self._close
        at = held.find(tag) if tag else -1
        if at < 0:
            return self._until(len(held) - _overlap(held, tag))
        self._held = held[at + len(tag) :]
        if self._place == "text":
            self._place, self._before = "before", tag
            return list(self._text(held[:at]))
        body = held[:at].rstrip()
        self._place, self._after = "after", held[len(body) : at] + tag
        return list(self._reasoning(body))

    def _until(self, end: int) -> list[Delta] | None:
        """Hand over what can't be part of a tag; of reasoning not the white space that may stand before its end."""
        ready = self._held[:end]
        if self._place == "inside" and len(self._held) < LONGEST_SPACE:
            ready = ready.rstrip()
        if not ready:
            return None
        self._held = self._held[len(ready) :]
        return list(self._text(ready) if self._place == "text" else self._reasoning(ready))

    def _begin(self, space: str) -> list[Delta]:
        self._before += space
        self._place = "inside"
        return []

    def _go_on(self, space: str) -> list[Delta]:
        self._after += space
        return list(self._end())

    def _text(self, text: str) -> Iterator[Delta]:
        if text:
            self.last_is_reasoning = False
            yield Delta(text)

    def _reasoning(self, text: str) -> Iterator[Delta]:
        if text:
            self._said = True
            yield Delta(reasoning=text)

    def _end(self) -> Iterator[Delta]:
        state = State(self._origin, {TAGS: [self._before, self._after]})
        yield closing(ReasoningPart("", state)) if self._said else Delta(part=ReasoningPart("", state))
        self._place, self._before, self._after, self._said = "text", "", "", False
        self.last_is_reasoning = True


class Tagged(Over):
    """A decoder of a stream whose text has reasoning between tags."""

    def __init__(self, inner: StreamDecoder, tags: Tags, origin: Origin) -> None:
        super().__init__(inner)
        self._splitter = Splitter(tags, origin)
        self._open = False  # a text has begun

    def _changed(self, chunks: Iterator[Chunk]) -> Iterator[Chunk]:
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
            made = list(_joined([*splitter.feed(part.text), *splitter.flush()]))
            if part.state is not None:
                last = made.pop() if made and isinstance(made[-1], TextPart) else TextPart("")
                made.append(replace(last, state=part.state))
            parts += made
        else:
            parts.append(part)
    return replace(response, message=replace(response.message, content=parts))


def _joined(deltas: Sequence[Delta]) -> Iterator[Part]:
    """Return the parts that the pieces of one text make up."""
    text, thought = "", ""
    for delta in deltas:
        text += delta.text or ""
        thought += delta.reasoning or ""
        if text and (delta.reasoning is not None or delta.state is not None or delta.part is not None):
            yield TextPart(text)
            text = ""
        if delta.state is not None or delta.part is not None:
            yield delta.part or ReasoningPart(thought, delta.state)
            thought = ""
    if text:
        yield TextPart(text)


def with_tags(request: ChatRequest, context: PartContext) -> ChatRequest:
    """Return a request in which reasoning that stood between tags stands there again, as it came."""
    changed = {
        i: replace(message, content=_tagged(message.content, context))
        for i, message in enumerate(request.messages)
        if not isinstance(message.content, str) and any(_tags_of(part, context) for part in message.content)
    }
    if not changed:
        return request
    made = replace(request, messages=[changed.get(i, message) for i, message in enumerate(request.messages)])
    context.outgoing = made
    return made


def _tagged(parts: Sequence[Part], context: PartContext) -> list[Part]:
    made: list[Part] = []
    before = ""
    for part in parts:
        tags = _tags_of(part, context)
        if tags is not None and isinstance(part, ReasoningPart):
            before += f"{tags[0]}{part.text}{tags[1]}"
        elif before and isinstance(part, TextPart):
            made.append(replace(part, text=before + part.text))
            before = ""
        else:
            made += [TextPart(before), part] if before else [part]
            before = ""
    return [*made, TextPart(before)] if before else made


def _tags_of(part: Part, context: PartContext) -> list[Any] | None:
    """Return the tags that a reasoning stood between, if whoever is asked made it; None for any other part."""
    if not isinstance(part, ReasoningPart) or part.state is None or TAGS not in part.state.data:
        return None
    return as_array(part.state.data[TAGS]) if part.state.origin.matches(context.origin) else None


def _overlap(text: str, tag: str) -> int:
    """Return how many characters at the end of a text may be the beginning of the tag."""
    return next((n for n in range(min(len(tag) - 1, len(text)), 0, -1) if text.endswith(tag[:n])), 0)
