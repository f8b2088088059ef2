"""The items of a stream, each put together as a whole reply has it.

One item at a time is handed over as it comes. Deltas of others wait until it is done: some servers interleave them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tako.fold import closing_delta
from tako.json_values import as_object, text_of
from tako.kit.ids import CallIds, read_id
from tako.kit.responses.blocks import arguments_text, blocks_of
from tako.kit.responses.open_item import EMPTY_TEXT, REASONING, REASONING_SUMMARY, OpenItem, ids_of
from tako.parts import ReasoningPart, TextPart, ToolCallPart
from tako.state import BLOCK_END
from tako.types import Delta, ToolCallDelta

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator

    from tako.parts import Part
    from tako.translator import PartContext, Translator

OUTPUT_TEXT_DELTA = "response.output_text.delta"
TEXT_DELTAS = {OUTPUT_TEXT_DELTA: False, "response.refusal.delta": True, "response.content_part.delta": False}
"""The deltas of text, and whether it is a refusal; the last is OpenRouter's."""
ARGUMENTS_DELTA = "response.function_call_arguments.delta"
ANNOTATION_ADDED = "response.output_text.annotation.added"
ITEM_EVENTS = ("response.output_item.added", "response.output_item.done")
COMPLETED_FIELDS = {
    "response.function_call_arguments.done": "arguments",
    "response.custom_tool_call_input.done": "input",
}
"""Events that say a field of an item whole."""
REPEATED_IN_ITEM = (
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


class Items:
    """The items of one reply, in the order in which they began.

    Servers that don't count items say one after the other. The one before is over then, whenever they say so.
    """

    def __init__(self, translator: Translator, context: PartContext) -> None:
        self.parts: list[Part] = []
        self._decode = translator.decode
        self._context = context
        self._ids = CallIds()
        self._open_items: list[OpenItem] = []
        self._displaced: list[OpenItem] = []  # not done, though the next item of a server that doesn't count has begun
        self._current: OpenItem | None = None
        self._all_items: list[OpenItem] = []
        self._has_indexes = True  # whether the server gives each item an index of its own
        self._ended: dict[str, OpenItem] = {}

    def is_open_text(self, index: int | None, content_index: int) -> bool:
        """Whether the text of that item is open, and can be handed over as it comes."""
        current = self._current
        return (
            current is not None
            and (index is None or current.index == index)
            and current.open_part == (OUTPUT_TEXT_DELTA, content_index)
        )

    @property
    def is_empty(self) -> bool:
        """Whether no item has begun."""
        return not self._all_items

    def read(self, kind: str, event: dict[str, Any]) -> Generator[Delta, None, bool]:
        """Yield the deltas of an event; return whether its kind is known, and its item one that can be read."""
        if kind in ITEM_EVENTS:
            if (fields := as_object(event.get("item") or {})) is None:
                return False
            yield from (self._item_added if kind == ITEM_EVENTS[0] else self._item_done)(event, fields)
        elif kind in TEXT_DELTAS or kind in REASONING:
            item = self._find_item(event) or (yield from self._begin(event, self._known_fields(event)))
            yield from self._hand_over(item, self._text(item, kind, event))
        elif kind == ARGUMENTS_DELTA and not self._has_ended({"id": event.get("item_id")}):
            item = self._find_item(event) or (
                yield from self._begin(event, {"type": "function_call", **self._known_fields(event)})
            )
            yield from self._hand_over(item, self._arguments(item, text_of(event.get("delta"))))
        else:
            self._keep_completed(kind, event)
            return kind.startswith(REPEATED_IN_ITEM)
        return True

    def finish(self, output: list[Any]) -> Iterator[Delta]:
        """Yield what no event has brought: ends of items that were never done, and items that only ``output`` has."""
        output_items = [as_object(fields) or {} for fields in output]
        for item in [*self._displaced, *self._open_items]:
            complete_fields = next(
                (fields for n, fields in enumerate(output_items) if self._is_of(item, n, fields)), None
            )
            item.fields = complete_fields or item.fields
            if complete_fields is None:
                item.complete_fields()
            item.is_done = True
            yield from self._hand_over(item, self._completed(item))
        for n, fields in self._unannounced(output_items):
            yield from self._item_added({"output_index": n}, fields)
            yield from self._item_done({"output_index": n}, fields)

    def _is_of(self, item: OpenItem, position: int, fields: dict[str, Any]) -> bool:
        """Whether these fields of the whole reply are the item's, by its id; by the place, if it doesn't have one."""
        if item.ids:
            return bool(item.ids & ids_of(fields))
        return self._has_indexes and item.index == position and item.may_be(text_of(fields.get("type")))

    def _unannounced(self, output_items: list[dict[str, Any]]) -> list[tuple[int, dict[str, Any]]]:
        """Return the items that no event has told of, with their places. In the whole reply, ids may be others."""
        if self._has_indexes:
            indexes = {item.index for item in self._all_items}
            return [
                (n, fields) for n, fields in enumerate(output_items) if n not in indexes and not self._has_ended(fields)
            ]
        known_ids = {id for fields in output_items for id in ids_of(fields)}
        kinds_with_other_ids = [item.kind for item in self._all_items if not item.ids & known_ids]
        unannounced: list[tuple[int, dict[str, Any]]] = []
        for n, fields in enumerate(output_items):
            if (kind := text_of(fields.get("type"))) in kinds_with_other_ids and not self._has_ended(fields):
                kinds_with_other_ids.remove(kind)
            elif not self._has_ended(fields):
                unannounced.append((n, fields))
        return unannounced

    def _item_added(self, event: dict[str, Any], fields: dict[str, Any]) -> Iterator[Delta]:
        """Begin an item, unless something of it has come before."""
        item = self._find_item(event, fields)
        if item is not None and (not item.is_announced or item.ids & ids_of(fields)):
            item.fields = {**item.fields, **fields}
            item.is_announced = True
        elif item is None and self._has_ended(fields):
            return
        else:
            item = yield from self._begin(event, fields, announced=True)
        if item.call_index is None:
            yield from self._hand_over(item, self._begin_call(item))

    def _item_done(self, event: dict[str, Any], fields: dict[str, Any]) -> Iterator[Delta]:
        """End an item; some servers say so twice, or of one that they didn't begin."""
        item = self._find_item(event, fields)
        if item is None and self._has_ended(fields):
            return
        if item is None or (item.kind and item.kind != text_of(fields.get("type") or item.kind)):
            item = yield from self._begin(event, {})
        item.fields, item.is_done = fields or item.fields, True
        yield from self._hand_over(item, self._completed(item))

    def _find_item(self, event: dict[str, Any], fields: dict[str, Any] | None = None) -> OpenItem | None:
        """Find the item that an event is about: by its index, its id, or as the last that began."""
        index = event.get("output_index")
        ids = ids_of(fields or {}) or ids_of({"id": event.get("item_id")})
        if (
            len(self._open_items) == 1
            and not self._displaced
            and isinstance(index, int)
            and self._open_items[0].index == index
        ):
            open_item = self._open_items[0]
            return open_item if ids <= open_item.ids or not ids & self._ended.keys() else None
        candidates = [*reversed(self._open_items), *self._displaced]
        at_index = [item for item in candidates if not isinstance(index, int) or item.index == index]
        match = next((item for item in [*at_index, *candidates] if ids & item.ids), None)
        if match is not None or ids & self._ended.keys():
            return match
        return at_index[0] if at_index else None

    def _has_ended(self, fields: dict[str, Any]) -> bool:
        """Whether this item was handed over before: some servers say that an item is done twice."""
        return bool(ids_of(fields) & self._ended.keys())

    def _known_fields(self, event: dict[str, Any]) -> dict[str, Any]:
        """Return what is known of an item that nothing announced: its id, or the fields of one that was over."""
        id = text_of(event.get("item_id"))
        if (item := self._ended.get(id)) is not None:
            return {name: value for name, value in item.fields.items() if name != "content"}
        return {"id": id} if id else {}

    def _begin(
        self, event: dict[str, Any], fields: dict[str, Any], *, announced: bool = False
    ) -> Generator[Delta, None, OpenItem]:
        """Begin an item; one that is open in its place has come to its end."""
        index = event.get("output_index")
        index = index if isinstance(index, int) else None
        self._has_indexes = (
            self._has_indexes and index is not None and all(item.index != index for item in self._all_items)
        )
        for item_there in [item for item in self._open_items if index is None or item.index == index]:
            if item_there in self._open_items:  # it may have gone with the one before it
                yield from self._displace(item_there)
        item = OpenItem(index, fields, announced=announced)
        self._open_items.append(item)
        self._all_items.append(item)
        self._current = self._open_items[0]
        return item

    def _displace(self, item: OpenItem) -> Iterator[Delta]:
        """End an item whose text has come; any other may still be told whole."""
        if item.open_part is not None:
            item.complete_fields()
            item.is_done = True
            yield from self._hand_over(item, self._completed(item))
        else:
            self._open_items.remove(item)
            self._displaced.append(item)

    def _hand_over(self, item: OpenItem, deltas: Iterable[Delta]) -> Iterator[Delta]:
        """Yield deltas of the live item; those of others wait for their turn, in the order in which they began."""
        if item in self._displaced:
            yield from self._hand_over_displaced(item, deltas)
            return
        item.waiting += deltas
        while self._open_items:
            current = self._open_items[0]
            waiting, current.waiting = current.waiting, []
            yield from waiting
            if not current.is_done:
                break
            self._end(self._open_items.pop(0))
        self._current = self._open_items[0] if self._open_items else None

    def _hand_over_displaced(self, item: OpenItem, deltas: Iterable[Delta]) -> Iterator[Delta]:
        """Yield what comes late: pieces of a call, which has a number; others queue up again when they are done."""
        if item.call_index is not None:
            yield from [*item.waiting, *deltas]
            item.waiting = []
        else:
            item.waiting += deltas
        if not item.is_done:
            return
        self._displaced.remove(item)
        if item.call_index is not None:
            self._end(item)
        else:
            self._open_items.append(item)
            yield from self._hand_over(item, [])

    def _end(self, item: OpenItem) -> None:
        self._ended.update(dict.fromkeys(item.ids, item))

    def _keep_completed(self, kind: str, event: dict[str, Any]) -> None:
        """Keep what an item that is never done has none of: parts of its content, whole arguments."""
        item = self._find_item(event)
        if item is None:
            return
        content_index = _index(event, "content_index")
        if kind == "response.content_part.done" and as_object(event.get("part")):
            item.content[content_index] = event["part"]
        elif kind == "response.output_text.done" and text_of(event.get("text")):
            part = item.content.get(content_index, EMPTY_TEXT)
            item.content[content_index] = {**part, "text": part.get("text") or event["text"]}
        elif kind == ANNOTATION_ADDED and as_object(event.get("annotation")):
            part = item.content.get(content_index, EMPTY_TEXT)
            item.content[content_index] = {
                **part,
                "annotations": [*(part.get("annotations") or ()), event["annotation"]],
            }
        elif kind in COMPLETED_FIELDS and text_of(event.get(COMPLETED_FIELDS[kind])):
            item.fields = {**item.fields, COMPLETED_FIELDS[kind]: event[COMPLETED_FIELDS[kind]]}

    def _begin_call(self, item: OpenItem) -> Iterator[Delta]:
        if item.kind == "function_call":
            item.call_index = len(self._ids)
            id = self._ids.unique(read_id(item.fields.get("call_id")))
            yield Delta(tool_calls=[ToolCallDelta(item.call_index, id, text_of(item.fields.get("name")))])
            yield from self._arguments(item, "".join(item.arguments))

    def _arguments(self, item: OpenItem, piece: str) -> Iterator[Delta]:
        if item.call_index is None:
            item.arguments.append(piece)
        elif piece:
            item.handed_length += len(piece)
            yield Delta(tool_calls=[ToolCallDelta(item.call_index, None, None, piece)])

    def _text(self, item: OpenItem, kind: str, event: dict[str, Any]) -> Iterator[Delta]:
        """Go on with a text or with reasoning; another part of a message's content is a text of its own."""
        delta = event.get("delta")
        if not (delta := text_of((as_object(delta) or {"text": delta}).get("text"))):
            return
        is_reasoning = kind in REASONING
        open_part = (kind, _index(event, "summary_index" if kind == REASONING_SUMMARY else "content_index"))
        if item.open_part != open_part and not is_reasoning:
            yield from self._switch_text(item, open_part[1])
        elif item.open_part not in (None, open_part):
            yield Delta(reasoning="\n\n")
        item.open_part = open_part
        if is_reasoning:
            item.reasoning.setdefault(open_part, []).append(delta)
        yield Delta(reasoning=delta) if is_reasoning else Delta(delta, refusal=TEXT_DELTAS[kind])

    def _switch_text(self, item: OpenItem, new_index: int) -> Iterator[Delta]:
        """End the text that is open, and hand over what stands between it and the next one."""
        old_index = item.open_part[1] if item.open_part is not None else None
        for content_index in range(new_index) if old_index is None else range(old_index, max(new_index, old_index + 1)):
            part = (
                self._decode(item.block(content_index), self._context)
                if content_index == old_index or content_index in item.content
                else None
            )
            if part is not None:
                item.handed_over.add(content_index)
                self.parts.append(part)
                yield closing_delta(part) if content_index == old_index else Delta(part=part)

    def _completed(self, item: OpenItem) -> Iterator[Delta]:
        """Yield what is left of an item that is done: the end of what was streamed, all of what was not."""
        was_streamed = item.open_part is not None
        open_index = item.open_part[1] if item.open_part is not None and item.kind == "message" else 0
        for n, block in sorted(enumerate(blocks_of(item.fields)), key=lambda numbered: numbered[0] != open_index):
            part = self._decode(block, self._context) if n not in item.handed_over else None
            if part is None:
                continue
            self.parts.append(part)
            if isinstance(part, ToolCallPart):
                yield from self._end_call(item, part)
            elif was_streamed and n == open_index and isinstance(part, TextPart | ReasoningPart):
                yield closing_delta(part)
            elif isinstance(part, TextPart) and part.text:
                end = part.state or BLOCK_END
                yield Delta(part.text, citations=tuple(part.citations), state=end, refusal=part.refusal)
            elif isinstance(part, ReasoningPart):
                yield Delta(reasoning=part.text, state=part.state)
            elif block.get("content") or not (was_streamed and item.kind == "message"):
                yield Delta(part=part)

    def _end_call(self, item: OpenItem, part: ToolCallPart) -> Iterator[Delta]:
        if item.call_index is None:
            id = self._ids.unique(part.id)
            yield Delta(part=ToolCallPart(id, part.name, part.args, part.state))
            return
        text = arguments_text(item.fields)[item.handed_length :]
        if text or part.state is not None:
            yield Delta(tool_calls=[ToolCallDelta(item.call_index, None, None, text, part.state)])


def _index(event: dict[str, Any], name: str) -> int:
    index = event.get(name)
    return index if isinstance(index, int) else 0
