"""The items of a stream, each put together as a whole reply has it.

One item at a time is handed over as it comes. Deltas of others wait until it is done: some servers interleave them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tako.fold import closing
from tako.kit.ids import CallIds
from tako.kit.responses.blocks import blocks_of
from tako.loose import as_object, text_of
from tako.parts import ReasoningPart, TextPart, ToolCallPart
from tako.state import BLOCK_END
from tako.types import Delta, ToolCallDelta

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from tako.parts import Part
    from tako.translator import PartContext, Translator

SUMMARY = "response.reasoning_summary_text.delta"
REASONING = (SUMMARY, "response.reasoning_text.delta")
ARGUMENTS = "response.function_call_arguments.delta"
TEXTS = {"response.output_text.delta": False, "response.refusal.delta": True}
"""The deltas of text, and whether it is a refusal."""
WHOLE_LATER = (
    "response.code_interpreter_call",
    "response.compaction.",
    "response.content_part.",
    "response.custom_tool_call_input.",
    "response.file_search_call.",
    "response.function_call_arguments.",
    "response.image_generation_call.",
    "response.mcp_call",
    "response.mcp_list_tools.",
    "response.output_text.",
    "response.reasoning_summary_",
    "response.reasoning_text.",
    "response.refusal.",
    "response.shell_call_",
    "response.web_search_call.",
)
"""Kinds of events whose content is in the item when that is done."""


class Item:
    """An item as far as it has come."""

    def __init__(self, index: int, fields: dict[str, Any]) -> None:
        self.index = index
        self.fields = fields
        self.place: tuple[str, int] | None = None  # the text or reasoning that is open: its kind, and its index
        self.content: dict[int, Any] = {}  # parts of a message's content that are done
        self.handed: set[int] = set()  # places of those that were handed over
        self.call: int | None = None
        self.streamed = False
        self.length = 0  # characters of a call's arguments that were handed over
        self.done = False
        self.waiting: list[Delta] = []

    @property
    def kind(self) -> str:
        """The item's type."""
        return text_of(self.fields.get("type"))

    def blocks(self) -> list[dict[str, Any]]:
        """Return the item's blocks, as those of a whole reply."""
        return list(blocks_of(self.fields))

    def block(self, place: int) -> dict[str, Any]:
        """Return the block of a part of the content before the last one."""
        part = self.content.get(place, {"type": "output_text", "text": ""})
        return next(blocks_of({**self.fields, "type": "message", "content": [part, {}]}))


class Items:
    """The items of one reply, in the order in which they began."""

    def __init__(self, translator: Translator, context: PartContext) -> None:
        self.parts: list[Part] = []
        self._decode = translator.decode
        self._context = context
        self._ids = CallIds()
        self._open: dict[int, Item] = {}
        self._live: Item | None = None
        self._seen: set[int] = set()
        self._ids_over: set[Any] = set()

    def goes_on(self, index: int, content_index: int) -> bool:
        """Whether the text of that item is open, and can be handed over as it comes."""
        live = self._live
        return live is not None and live.index == index and live.place == ("response.output_text.delta", content_index)

    def read(self, kind: str, event: dict[str, Any]) -> Generator[Delta, None, bool]:
        """Yield the deltas of an event; return whether its kind is known."""
        if kind == "response.output_item.added":
            item = self._begin(_index(event), as_object(event.get("item")) or {})
            deltas = self._call_begun(item)
        elif kind == "response.output_item.done":
            if self._is_over(_index(event), as_object(event.get("item")) or {}):
                return True
            item = self._open.get(_index(event)) or self._begin(_index(event), {})
            item.fields, item.done = as_object(event.get("item")) or item.fields, True
            deltas = self._completed(item)
        elif kind in TEXTS or kind in REASONING:
            item = self._open.get(_index(event)) or self._begin(_index(event), {})
            deltas = self._text(item, kind, event)
        elif kind == ARGUMENTS:
            item = self._open.get(_index(event)) or self._begin(_index(event), {"type": "function_call"})
            deltas = self._arguments(item, text_of(event.get("delta")))
        else:
            self._keep(kind, event)
            return kind.startswith(WHOLE_LATER)
        yield from self._hand_over(item, list(deltas))
        return True

    def _keep(self, kind: str, event: dict[str, Any]) -> None:
        """Keep what an item that is never done has none of: parts of its content, whole arguments."""
        held = self._open.get(_index(event))
        if held is not None and kind == "response.content_part.done":
            held.content[_index(event, "content_index")] = event.get("part")
        elif held is not None and kind == "response.function_call_arguments.done":
            held.fields = {**held.fields, "arguments": event.get("arguments")}

    def finish(self, output: list[Any]) -> Iterator[Delta]:
        """Yield what no event has brought: ends of items that were never done, and items that only ``output`` has."""
        whole = [as_object(fields) or {} for fields in output]
        for item in [*self._open.values()]:
            id = item.fields.get("id")
            item.fields = next((fields for fields in whole if id and fields.get("id") == id), item.fields)
            item.done = True
            yield from self._hand_over(item, list(self._completed(item)))
        for n, fields in enumerate(whole):
            if n not in self._seen and not self._is_over(n, fields):
                item = self._begin(n, fields)
                item.done = True
                yield from self._hand_over(item, [*self._call_begun(item), *self._completed(item)])

    def _is_over(self, index: int, fields: dict[str, Any]) -> bool:
        """Whether this item was handed over before: some servers say that an item is done twice."""
        id = fields.get("id")
        return index not in self._open and bool(id) and id in self._ids_over

    def _begin(self, index: int, fields: dict[str, Any]) -> Item:
        item = self._open[index] = Item(index, fields)
        self._seen.add(index)
        self._live = self._live or item
        return item

    def _hand_over(self, item: Item, deltas: list[Delta]) -> Iterator[Delta]:
        """Yield deltas of the live item; those of others wait for their turn, in the order in which they began."""
        item.waiting += deltas
        while (live := self._live) is not None:
            waiting, live.waiting = live.waiting, []
            yield from waiting
            if not live.done:
                return
            del self._open[live.index]
            self._ids_over.add(live.fields.get("id"))
            self._live = next(iter(self._open.values()), None)

    def _call_begun(self, item: Item) -> Iterator[Delta]:
        if item.kind == "function_call":
            item.call = len(self._ids)
            id = self._ids.unique(text_of(item.fields.get("call_id")))
            yield Delta(tool_calls=[ToolCallDelta(item.call, id, text_of(item.fields.get("name")))])

    def _arguments(self, item: Item, piece: str) -> Iterator[Delta]:
        if item.call is None:
            yield from self._call_begun(item)
        if piece and item.call is not None:
            item.length += len(piece)
            yield Delta(tool_calls=[ToolCallDelta(item.call, None, None, piece)])

    def _text(self, item: Item, kind: str, event: dict[str, Any]) -> Iterator[Delta]:
        """Go on with a text or with reasoning; another part of a message's content is a text of its own."""
        reasons = kind in REASONING
        place = (kind, _index(event, "summary_index" if kind == SUMMARY else "content_index"))
        if item.place is not None and item.place != place:
            yield from [Delta(reasoning="\n\n")] if reasons else self._next_text(item, item.place[1], place[1])
        item.place = place
        item.streamed = True
        if delta := text_of(event.get("delta")):
            yield Delta(reasoning=delta) if reasons else Delta(delta, refusal=TEXTS[kind])

    def _next_text(self, item: Item, old: int, new: int) -> Iterator[Delta]:
        """End the text that is open, and hand over what stands between it and the next one."""
        for place in range(old, max(new, old + 1)):
            part = self._decode(item.block(place), self._context) if place == old or place in item.content else None
            if part is not None:
                item.handed.add(place)
                self.parts.append(part)
                yield closing(part) if place == old else Delta(part=part)

    def _completed(self, item: Item) -> Iterator[Delta]:
        """Yield what is left of an item that is done: the end of what was streamed, all of what was not."""
        open_place = item.place[1] if item.place is not None and item.kind == "message" else 0
        for n, block in enumerate(item.blocks()):
            part = self._decode(block, self._context) if n not in item.handed else None
            if part is None:
                continue
            self.parts.append(part)
            if isinstance(part, ToolCallPart):
                yield from self._call_done(item, part)
            elif item.streamed and n == open_place and isinstance(part, TextPart | ReasoningPart):
                yield closing(part)
            elif isinstance(part, TextPart) and part.text:
                end = part.state or BLOCK_END
                yield Delta(part.text, citations=tuple(part.citations), state=end, refusal=part.refusal)
            elif isinstance(part, ReasoningPart):
                yield Delta(reasoning=part.text, state=part.state)
            elif block.get("content") or not (
                item.streamed and item.kind == "message"
            ):  # a message that was never done has no content
                yield Delta(part=part)

    def _call_done(self, item: Item, part: ToolCallPart) -> Iterator[Delta]:
        if item.call is None:
            id = self._ids.unique(part.id)
            yield Delta(part=ToolCallPart(id, part.name, part.args, part.state))
            return
        text = text_of(item.fields.get("arguments"))[item.length :]
        if text or part.state is not None:
            named = part.name if not text_of(item.fields.get("name")) else None
            yield Delta(tool_calls=[ToolCallDelta(item.call, None, named, text, part.state)])


def _index(event: dict[str, Any], name: str = "output_index") -> int:
    index = event.get(name)
    return index if isinstance(index, int) else 0
