"""Chunks to a reply, and a reply to chunks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from tako.parts import ContentPart, Part, ReasoningPart, TextPart, ToolCallPart
from tako.types import ChatResponse, Chunk, Delta, End, FinishReason, Message, Role, ToolCallDelta

if TYPE_CHECKING:
    from collections.abc import Iterable


def fold(chunks: Iterable[Chunk], provider: str, model: str) -> ChatResponse:
    """Put a stream together. Without an End the reply is partial: only calls whose arguments are whole are in it."""
    folding = _Folding(provider)
    end = None
    for chunk in chunks:
        if isinstance(chunk, End):
            end = chunk
        else:
            folding.add(chunk)
    message = Message(Role.ASSISTANT, folding.parts(partial=end is None))
    if end is None:
        return ChatResponse(message, FinishReason.ERROR, model=model)
    return ChatResponse(message, end.finish_reason, end.usage, end.model or model, end.id, list(end.notices), end.raw)


def chunks_of(response: ChatResponse) -> list[Chunk]:
    """Take a whole reply apart: one delta, or more where opaque state or the order needs them, and the End."""
    deltas: list[Delta] = []
    calls = 0
    for part in response.message.parts:
        if isinstance(part, TextPart):
            deltas.append(Delta(text=part.text, signature=part.signature))
        elif isinstance(part, ReasoningPart):
            deltas.append(Delta(reasoning=part.text, signature=part.signature, data=part.data))
        elif isinstance(part, ToolCallPart):
            text = part.args if isinstance(part.args, str) else msgspec.json.encode(part.args).decode()
            deltas.append(Delta(tool_calls=[ToolCallDelta(calls, part.id, part.name, text, part.signature)]))
            calls += 1
    end = End(response.finish_reason, response.usage, response.model, response.id, list(response.notices), response.raw)
    return [*_merged(deltas), end]


def arguments(text: str) -> Any:
    """Parse the arguments of a call: {} where there are none, the text itself where it is none that can be read."""
    if not text:
        return {}
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return text


class _Folding:
    """Parts in the order in which they began."""

    def __init__(self, provider: str) -> None:
        self.provider = provider
        self.runs: list[_Run | _Call] = []
        self.calls: dict[int, _Call] = {}
        self.open: _Run | None = None

    def add(self, delta: Delta) -> None:
        if delta.reasoning is not None:
            self._extend("reasoning", delta.reasoning)
        if delta.text is not None:
            self._extend("text", delta.text)
        if delta.signature is not None or delta.data is not None:
            self._close(delta)
        for piece in delta.tool_calls:
            self._call(piece)

    def _extend(self, kind: str, text: str) -> None:
        if self.open is None or self.open.kind != kind:
            self.open = _Run(kind)
            self.runs.append(self.open)
        self.open.texts.append(text)

    def _close(self, delta: Delta) -> None:
        """End the open run with its opaque state; where there is none, the state is a reasoning part of its own."""
        if delta.text is None and delta.reasoning is None and (self.open is None or delta.data is not None):
            self.open = _Run("reasoning")
            self.runs.append(self.open)
        if self.open is not None:
            self.open.signature, self.open.data = delta.signature, delta.data
        self.open = None

    def _call(self, piece: ToolCallDelta) -> None:
        call = self.calls.get(piece.index)
        if call is None:
            call = self.calls[piece.index] = _Call(piece.index)
            self.runs.append(call)
            self.open = None
        call.id = call.id or piece.id
        call.name = call.name or piece.name
        call.signature = call.signature or piece.signature
        call.texts.append(piece.arguments_fragment)

    def parts(self, *, partial: bool) -> list[Part]:
        made = [run.part(self.provider) for run in self.runs]
        return [part for part in made if part is not None and not (partial and _unfinished(part))]


class _Run:
    """Consecutive deltas of one kind."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.texts: list[str] = []
        self.signature: str | None = None
        self.data: dict[str, Any] | None = None

    def part(self, provider: str) -> Part | None:
        text = "".join(self.texts)
        if self.kind == "reasoning":
            opaque = self.signature is not None or self.data is not None
            return ReasoningPart(text, self.signature, provider, self.data) if text or opaque else None
        if self.signature is not None:
            return TextPart(text, self.signature, provider)
        return TextPart(text) if text else None


class _Call:
    """The fragments of one tool call."""

    def __init__(self, index: int) -> None:
        self.index = index
        self.id: str | None = None
        self.name: str | None = None
        self.signature: str | None = None
        self.texts: list[str] = []

    def part(self, provider: str) -> Part:
        args = arguments("".join(self.texts))
        owner = provider if self.signature is not None else None
        return ToolCallPart(self.id or f"call_{self.index}", self.name or "", args, self.signature, owner)


def _unfinished(part: ContentPart) -> bool:
    """Tell a call that may have been cut: only a whole JSON object cannot be the beginning of a longer one."""
    return isinstance(part, ToolCallPart) and (part.args == {} or not isinstance(part.args, dict))


def _merged(deltas: list[Delta]) -> list[Delta]:
    """Join neighbours into one delta where the fold takes them apart again in the same order."""
    joined: list[Delta] = []
    for delta in deltas:
        last = joined[-1] if joined else None
        if last is None or _rank(last)[1] > _rank(delta)[0] or _opaque(last) or _opaque(delta):
            joined.append(delta)
        else:
            text = delta.text if last.text is None else last.text
            reasoning = delta.reasoning if last.reasoning is None else last.reasoning
            joined[-1] = Delta(text, reasoning, [*last.tool_calls, *delta.tool_calls])
    return joined


def _opaque(delta: Delta) -> bool:
    return delta.signature is not None or delta.data is not None


def _rank(delta: Delta) -> tuple[int, int]:
    """Give the first and the last kind of a delta in the order of the fold; text and reasoning may stand once."""
    kinds = [
        rank
        for rank, there in enumerate((delta.reasoning is not None, delta.text is not None, bool(delta.tool_calls)))
        if there
    ]
    return (kinds[0], kinds[-1] + (kinds[-1] < 2)) if kinds else (0, 0)  # noqa: PLR2004 - calls may follow calls
