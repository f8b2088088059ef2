"""Folds chunks into a reply, and splits a reply into chunks."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec

from tako.json_values import is_deep
from tako.media import join_base64
from tako.parts import Citation, FilePart, Part, ReasoningPart, TextPart, ToolCallPart
from tako.state import BLOCK_END
from tako.types import ChatResponse, Chunk, Delta, End, FinishReason, Message, Role, ToolCallDelta

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tako.state import State


def fold(chunks: Iterable[Chunk], provider: str = "", model: str = "") -> ChatResponse:
    """Fold a stream into a reply. Without an End it's partial, and only has calls whose arguments are complete.

    ``provider`` (an id, as "openai:gpt-6.2-sol") and ``model`` hold for a reply that doesn't name them itself.
    """
    folder = _Folder()
    end = None
    for chunk in chunks:
        if isinstance(chunk, End):
            end = chunk
        else:
            folder.add(chunk)
    message = Message(Role.ASSISTANT, folder.parts(partial=end is None))
    if end is None:
        return ChatResponse(message, FinishReason.ERROR, model=model, provider=provider)
    return ChatResponse(
        message,
        end.finish_reason,
        end.usage,
        end.model or model,
        end.id,
        end.provider or provider,
        end.finish_word,
        list(end.notices),
        end.raw,
        end.cost,
    )


def chunks_of(response: ChatResponse) -> list[Chunk]:
    """Split a reply into deltas and the End. ``fold`` makes the same reply from them."""
    end = End(
        response.finish_reason,
        response.usage,
        response.model,
        response.id,
        response.provider,
        response.finish_word,
        list(response.notices),
        response.raw,
        response.cost,
    )
    return [*_deltas(response.message.parts), end]


def join_deltas(chunks: list[Chunk]) -> list[Chunk]:
    """Join chunks that are all pieces of text, of reasoning, or of one call's arguments; others stay as they are.

    ``fold`` makes the same reply of both.
    """
    deltas = [chunk for chunk in chunks if isinstance(chunk, Delta)]
    calls = [call for delta in deltas for call in delta.tool_calls]
    make: Callable[[str], Delta] = Delta
    if calls:
        make, texts = partial(_arguments_delta, calls[0].index), [call.arguments_fragment for call in calls]
    elif deltas and deltas[0].reasoning is not None:
        make, texts = _reasoning_delta, [delta.reasoning or "" for delta in deltas]
    else:
        texts = [delta.text or "" for delta in deltas]
    return [make("".join(texts))] if chunks == [*map(make, texts)] else chunks


def closing_delta(part: Part) -> Delta:
    """Return the last delta of a block whose text, reasoning or arguments have already been streamed.

    ``part`` is the complete block as a part. The delta ends the block, so that the next one is a part of its own.
    """
    if isinstance(part, TextPart):
        return Delta(citations=tuple(part.citations), state=part.state or BLOCK_END)
    if isinstance(part, ReasoningPart):
        return Delta(state=part.state or BLOCK_END)
    return Delta(part=part)


def parse_arguments(text: str) -> Any:
    """Parse the arguments of a call. {} if there are none, and the text itself if it isn't valid JSON."""
    if not text:
        return {}
    try:
        value = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return text
    return text if is_deep(value) else value


def _reasoning_delta(text: str) -> Delta:
    return Delta(reasoning=text)


def _arguments_delta(index: int, text: str) -> Delta:
    return Delta(tool_calls=[ToolCallDelta(index, None, None, text)])


def _deltas(parts: list[Part]) -> list[Delta]:
    """Return the fewest deltas that fold into these parts."""
    deltas: list[Delta] = []
    calls = 0
    for part, following in zip(parts, [*parts[1:], None], strict=False):
        delta = _delta(part, calls, type(following))
        calls += len(delta.tool_calls)
        if deltas and _can_join(deltas[-1], delta):
            last = deltas[-1]
            text = delta.text if last.text is None else last.text
            deltas[-1] = Delta(text, last.reasoning, [*last.tool_calls, *delta.tool_calls])
        else:
            deltas.append(delta)
    return deltas


def _delta(part: Part, index: int, following: type) -> Delta:
    """Return a part as a delta, as a whole ``part`` if it has fields that other deltas don't have."""
    end = part.state or (BLOCK_END if isinstance(part, following) else None)
    if isinstance(part, TextPart) and part.text and not (part.extra or part.cache):
        return Delta(part.text, citations=tuple(part.citations), state=end, refusal=part.refusal)
    if isinstance(part, ReasoningPart) and (part.text or part.state) and not part.extra:
        return Delta(reasoning=part.text, state=end)
    if isinstance(part, ToolCallPart) and part.id and not (part.extra or part.cache):
        text = part.args if isinstance(part.args, str) else msgspec.json.encode(part.args).decode()
        if parse_arguments(text) == part.args:
            return Delta(tool_calls=[ToolCallDelta(index, part.id, part.name, text, part.state)])
    return Delta(part=part)


def _can_join(last: Delta, delta: Delta) -> bool:
    """Whether two deltas fold to the same parts as one: a fold reads reasoning, then text, then calls."""
    if any(piece.part or piece.state or piece.citations or piece.refusal for piece in (last, delta)):
        return False
    if delta.text is not None:
        return last.text is None and not last.tool_calls
    return delta.reasoning is None


class _Folder:
    """Collects the parts of a reply in the order in which they began."""

    def __init__(self) -> None:
        self.items: list[_Run | _Call | _Audio | _FullPart] = []
        self.calls: dict[int, _Call] = {}
        self.open_run: _Run | None = None

    def add(self, delta: Delta) -> None:
        if delta.reasoning is not None:
            self._run("reasoning").texts.append(delta.reasoning)
        if delta.text is not None or delta.citations:
            run = self._cited_run(delta) or self._run("refusal" if delta.refusal else "text")
            run.texts.append(delta.text or "")
            run.citations += delta.citations
        if delta.state is not None:
            self._close_run(delta.state)
        for piece in delta.tool_calls:
            self._add_call_piece(piece)
        if delta.part is not None:
            self._begin(_FullPart(delta.part))
        if delta.audio is not None:
            self._add_audio(delta.audio)

    def _begin(self, run: _Run | _Call | _FullPart) -> None:
        self.items.append(run)
        self.open_run = run if isinstance(run, _Run) else None

    def _run(self, kind: str) -> _Run:
        """Return the open run if it's of that kind, or start one."""
        if self.open_run is None or self.open_run.kind != kind:
            run = _Run(kind)
            self._begin(run)
            return run
        return self.open_run

    def _cited_run(self, delta: Delta) -> _Run | None:
        """Return the last text run for citations that come alone, maybe late. None if they belong to the open run."""
        if delta.text is not None or delta.state is not None:
            return None
        return next((run for run in reversed(self.items) if isinstance(run, _Run) and run.kind == "text"), None)

    def _close_run(self, state: State) -> None:
        if state != BLOCK_END:
            (self.open_run or self._run("reasoning")).state = state
        self.open_run = None

    def _add_call_piece(self, piece: ToolCallDelta) -> None:
        call = self.calls.get(piece.index)
        if call is None:
            call = self.calls[piece.index] = _Call(piece.index)
            self._begin(call)
        call.id = call.id or piece.id
        call.name = call.name or piece.name
        call.state = piece.state or call.state
        call.texts.append(piece.arguments_fragment)

    def _add_audio(self, piece: FilePart) -> None:
        """Add to the last sound, or start one of another type. Open text stays open."""
        last = self.items[-1] if self.items else None
        if not isinstance(last, _Audio) or last.mime != piece.mime:
            last = _Audio(piece.mime)
            self.items.append(last)
        last.data.append(piece.data_b64)
        last.state = piece.state or last.state

    def parts(self, *, partial: bool) -> list[Part]:
        runs = [run for run in self.items if not (partial and isinstance(run, _Call) and run.is_unfinished)]
        return [part for run in runs if (part := run.part()) is not None]


class _Run:
    """Consecutive deltas of one kind."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.texts: list[str] = []
        self.citations: list[Citation] = []
        self.state: State | None = None

    def part(self) -> Part | None:
        text = "".join(self.texts)
        if not (text or self.citations or self.state):
            return None
        if self.kind == "reasoning":
            return ReasoningPart(text, self.state)
        return TextPart(text, self.citations, self.kind == "refusal", self.state)


class _Call:
    """The fragments of one tool call."""

    def __init__(self, index: int) -> None:
        self.index = index
        self.id: str | None = None
        self.name: str | None = None
        self.state: State | None = None
        self.texts: list[str] = []

    @property
    def is_unfinished(self) -> bool:
        """Whether the call may have been cut. Only a complete JSON object can't be the beginning of a longer one."""
        args = parse_arguments("".join(self.texts))
        return args == {} or not isinstance(args, dict)

    def part(self) -> Part:
        args = parse_arguments("".join(self.texts))
        return ToolCallPart(self.id or f"call_{self.index}", self.name or "", args, self.state)


class _Audio:
    """The pieces of one sound."""

    def __init__(self, mime: str) -> None:
        self.mime = mime
        self.data: list[str] = []
        self.state: State | None = None

    def part(self) -> Part:
        return FilePart(self.mime, join_base64(self.data), state=self.state)


class _FullPart:
    """A part that came in one piece."""

    def __init__(self, part: Part) -> None:
        self._part = part

    def part(self) -> Part:
        return self._part
