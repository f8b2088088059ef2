"""The items of a stream, each put together as a whole reply has it.

One item at a time is handed over as it comes. Deltas of others wait until it is done: some servers interleave them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tako.fold import closing
from tako.json_values import as_object, text_of
from tako.kit.ids import CallIds, read_id
from tako.kit.responses.blocks import arguments_text, blocks_of
from tako.kit.responses.open_item import EMPTY, REASONING, SUMMARY, OpenItem, ids_of
from tako.parts import ReasoningPart, TextPart, ToolCallPart
from tako.state import BLOCK_END
from tako.types import Delta, ToolCallDelta

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator

    from tako.parts import Part
    from tako.translator import PartContext, Translator

TEXT = "response.output_text.delta"
TEXTS = {TEXT: False, "response.refusal.delta": True, "response.content_part.delta": False}
"""The deltas of text, and whether it is a refusal; the last is OpenRouter's."""
ARGUMENTS = "response.function_call_arguments.delta"
ANNOTATION = "response.output_text.annotation.added"
EDGES = ("response.output_item.added", "response.output_item.done")
WHOLE = {"response.function_call_arguments.done": "arguments", "response.custom_tool_call_input.done": "input"}
"""Events that say a field of an item whole."""
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


class Items:
    """The items of one reply, in the order in which they began.

    Servers that don't count items say one after the other. The one before is over then, whenever they say so.
    """

    def __init__(self, translator: Translator, context: PartContext) -> None:
        self.parts: list[Part] = []
        self._decode = translator.decode
        self._context = context
        self._ids = CallIds()
        self._open: list[OpenItem] = []
        self._aside: list[OpenItem] = []  # not done, though the next item of a server that doesn't count has begun
        self._live: OpenItem | None = None
        self._begun: list[OpenItem] = []
        self._counts = True  # whether the server gives each item an index of its own
        self._over: dict[str, OpenItem] = {}

    def goes_on(self, index: int | None, content_index: int) -> bool:
        """Whether the text of that item is open, and can be handed over as it comes."""
        live = self._live
        return live is not None and (index is None or live.index == index) and live.place == (TEXT, content_index)

    @property
    def is_empty(self) -> bool:
        """Whether no item has begun."""
        return not self._begun

    def read(self, kind: str, event: dict[str, Any]) -> Generator[Delta, None, bool]:
        """Yield the deltas of an event; return whether its kind is known, and its item one that can be read."""
        if kind in EDGES:
            if (fields := as_object(event.get("item") or {})) is None:
                return False
            yield from (self._added if kind == EDGES[0] else self._done)(event, fields)
        elif kind in TEXTS or kind in REASONING:
            item = self._find(event) or (yield from self._begin(event, self._known(event)))
            yield from self._hand_over(item, self._text(item, kind, event))
        elif kind == ARGUMENTS and not self._is_over({"id": event.get("item_id")}):
            item = self._find(event) or (yield from self._begin(event, {"type": "function_call", **self._known(event)}))
            yield from self._hand_over(item, self._arguments(item, text_of(event.get("delta"))))
        else:
            self._keep(kind, event)
            return kind.startswith(WHOLE_LATER)
        return True

    def finish(self, output: list[Any]) -> Iterator[Delta]:
        """Yield what no event has brought: ends of items that were never done, and items that only ``output`` has."""
        whole = [as_object(fields) or {} for fields in output]
        for item in [*self._aside, *self._open]:
            known = next((fields for n, fields in enumerate(whole) if self._is_of(item, n, fields)), None)
            item.fields = known or item.fields
            if known is None:
                item.take_what_came()
            item.done = True
            yield from self._hand_over(item, self._completed(item))
        for n, fields in self._untold(whole):
            yield from self._added({"output_index": n}, fields)
            yield from self._done({"output_index": n}, fields)

    def _is_of(self, item: OpenItem, place: int, fields: dict[str, Any]) -> bool:
        """Whether these fields of the whole reply are the item's, by its id; by the place, if it has none."""
        if item.ids:
            return bool(item.ids & ids_of(fields))
        return self._counts and item.index == place and item.may_be(text_of(fields.get("type")))

    def _untold(self, whole: list[dict[str, Any]]) -> list[tuple[int, dict[str, Any]]]:
        """Return the items that no event has told of, with their places. In the whole reply, ids may be others."""
        if self._counts:
            seen = {item.index for item in self._begun}
            return [(n, fields) for n, fields in enumerate(whole) if n not in seen and not self._is_over(fields)]
        known = {id for fields in whole for id in ids_of(fields)}
        renamed = [item.kind for item in self._begun if not item.ids & known]
        untold: list[tuple[int, dict[str, Any]]] = []
        for n, fields in enumerate(whole):
            if (kind := text_of(fields.get("type"))) in renamed and not self._is_over(fields):
                renamed.remove(kind)
            elif not self._is_over(fields):
                untold.append((n, fields))
        return untold

    def _added(self, event: dict[str, Any], fields: dict[str, Any]) -> Iterator[Delta]:
        """Begin an item, unless something of it has come before."""
        item = self._find(event, fields)
        if item is not None and (not item.announced or item.ids & ids_of(fields)):
            item.fields = {**item.fields, **fields}
            item.announced = True
        elif item is None and self._is_over(fields):
            return
        else:
            item = yield from self._begin(event, fields, announced=True)
        if item.call is None:
            yield from self._hand_over(item, self._call_begun(item))

    def _done(self, event: dict[str, Any], fields: dict[str, Any]) -> Iterator[Delta]:
        """End an item; some servers say so twice, or of one that they didn't begin."""
        item = self._find(event, fields)
        if item is None and self._is_over(fields):
            return
        if item is None or (item.kind and item.kind != text_of(fields.get("type") or item.kind)):
            item = yield from self._begin(event, {})
        item.fields, item.done = fields or item.fields, True
        yield from self._hand_over(item, self._completed(item))

    def _find(self, event: dict[str, Any], fields: dict[str, Any] | None = None) -> OpenItem | None:
        """Find the item that an event is about: by its index, its id, or as the last that began."""
        index = event.get("output_index")
        ids = ids_of(fields or {}) or ids_of({"id": event.get("item_id")})
        if len(self._open) == 1 and not self._aside and isinstance(index, int) and self._open[0].index == index:
            only = self._open[0]
            return only if ids <= only.ids or not ids & self._over.keys() else None
        known = [*reversed(self._open), *self._aside]
        here = [item for item in known if not isinstance(index, int) or item.index == index]
        named = next((item for item in [*here, *known] if ids & item.ids), None)
        if named is not None or ids & self._over.keys():
            return named
        return here[0] if here else None

    def _is_over(self, fields: dict[str, Any]) -> bool:
        """Whether this item was handed over before: some servers say that an item is done twice."""
        return bool(ids_of(fields) & self._over.keys())

    def _known(self, event: dict[str, Any]) -> dict[str, Any]:
        """Return what is known of an item that nothing announced: its id, or the fields of one that was over."""
        id = text_of(event.get("item_id"))
        if (item := self._over.get(id)) is not None:
            return {name: value for name, value in item.fields.items() if name != "content"}
        return {"id": id} if id else {}

    def _begin(
        self, event: dict[str, Any], fields: dict[str, Any], *, announced: bool = False
    ) -> Generator[Delta, None, OpenItem]:
        """Begin an item; one that is open in its place has come to its end."""
        index = event.get("output_index")
        index = index if isinstance(index, int) else None
        self._counts = self._counts and index is not None and all(item.index != index for item in self._begun)
        for before in [item for item in self._open if index is None or item.index == index]:
            if before in self._open:  # it may have gone with the one before it
                yield from self._displace(before)
        item = OpenItem(index, fields, announced=announced)
        self._open.append(item)
        self._begun.append(item)
        self._live = self._open[0]
        return item

    def _displace(self, item: OpenItem) -> Iterator[Delta]:
        """End an item whose text has come; any other may still be told whole."""
        if item.place is not None:
            item.take_what_came()
            item.done = True
            yield from self._hand_over(item, self._completed(item))
        else:
            self._open.remove(item)
            self._aside.append(item)

    def _hand_over(self, item: OpenItem, deltas: Iterable[Delta]) -> Iterator[Delta]:
        """Yield deltas of the live item; those of others wait for their turn, in the order in which they began."""
        if item in self._aside:
            yield from self._hand_aside(item, deltas)
            return
        item.waiting += deltas
        while self._open:
            live = self._open[0]
            waiting, live.waiting = live.waiting, []
            yield from waiting
            if not live.done:
                break
            self._end(self._open.pop(0))
        self._live = self._open[0] if self._open else None

    def _hand_aside(self, item: OpenItem, deltas: Iterable[Delta]) -> Iterator[Delta]:
        """Yield what comes late: pieces of a call, which has a number; others queue up again when they are done."""
        if item.call is not None:
            yield from [*item.waiting, *deltas]
            item.waiting = []
        else:
            item.waiting += deltas
        if not item.done:
            return
        self._aside.remove(item)
        if item.call is not None:
            self._end(item)
        else:
            self._open.append(item)
            yield from self._hand_over(item, [])

    def _end(self, item: OpenItem) -> None:
        self._over.update(dict.fromkeys(item.ids, item))

    def _keep(self, kind: str, event: dict[str, Any]) -> None:
        """Keep what an item that is never done has none of: parts of its content, whole arguments."""
        held = self._find(event)
        if held is None:
            return
        place = _index(event, "content_index")
        if kind == "response.content_part.done" and as_object(event.get("part")):
            held.content[place] = event["part"]
        elif kind == "response.output_text.done" and text_of(event.get("text")):
            part = held.content.get(place, EMPTY)
            held.content[place] = {**part, "text": part.get("text") or event["text"]}
        elif kind == ANNOTATION and as_object(event.get("annotation")):
            part = held.content.get(place, EMPTY)
            held.content[place] = {**part, "annotations": [*(part.get("annotations") or ()), event["annotation"]]}
        elif kind in WHOLE and text_of(event.get(WHOLE[kind])):
            held.fields = {**held.fields, WHOLE[kind]: event[WHOLE[kind]]}

    def _call_begun(self, item: OpenItem) -> Iterator[Delta]:
        if item.kind == "function_call":
            item.call = len(self._ids)
            id = self._ids.unique(read_id(item.fields.get("call_id")))
            yield Delta(tool_calls=[ToolCallDelta(item.call, id, text_of(item.fields.get("name")))])
            yield from self._arguments(item, "".join(item.arguments))

    def _arguments(self, item: OpenItem, piece: str) -> Iterator[Delta]:
        if item.call is None:
            item.arguments.append(piece)
        elif piece:
            item.length += len(piece)
            yield Delta(tool_calls=[ToolCallDelta(item.call, None, None, piece)])

    def _text(self, item: OpenItem, kind: str, event: dict[str, Any]) -> Iterator[Delta]:
        """Go on with a text or with reasoning; another part of a message's content is a text of its own."""
        delta = event.get("delta")
        if not (delta := text_of((as_object(delta) or {"text": delta}).get("text"))):
            return
        reasons = kind in REASONING
        place = (kind, _index(event, "summary_index" if kind == SUMMARY else "content_index"))
        if item.place != place and not reasons:
            yield from self._next_text(item, place[1])
        elif item.place not in (None, place):
            yield Delta(reasoning="\n\n")
        item.place = place
        if reasons:
            item.thoughts.setdefault(place, []).append(delta)
        yield Delta(reasoning=delta) if reasons else Delta(delta, refusal=TEXTS[kind])

    def _next_text(self, item: OpenItem, new: int) -> Iterator[Delta]:
        """End the text that is open, and hand over what stands between it and the next one."""
        old = item.place[1] if item.place is not None else None
        for place in range(new) if old is None else range(old, max(new, old + 1)):
            part = self._decode(item.block(place), self._context) if place == old or place in item.content else None
            if part is not None:
                item.handed.add(place)
                self.parts.append(part)
                yield closing(part) if place == old else Delta(part=part)

    def _completed(self, item: OpenItem) -> Iterator[Delta]:
        """Yield what is left of an item that is done: the end of what was streamed, all of what was not."""
        streamed = item.place is not None
        open_place = item.place[1] if item.place is not None and item.kind == "message" else 0
        for n, block in sorted(enumerate(blocks_of(item.fields)), key=lambda placed: placed[0] != open_place):
            part = self._decode(block, self._context) if n not in item.handed else None
            if part is None:
                continue
            self.parts.append(part)
            if isinstance(part, ToolCallPart):
                yield from self._call_done(item, part)
            elif streamed and n == open_place and isinstance(part, TextPart | ReasoningPart):
                yield closing(part)
            elif isinstance(part, TextPart) and part.text:
                end = part.state or BLOCK_END
                yield Delta(part.text, citations=tuple(part.citations), state=end, refusal=part.refusal)
            elif isinstance(part, ReasoningPart):
                yield Delta(reasoning=part.text, state=part.state)
            elif block.get("content") or not (streamed and item.kind == "message"):
                yield Delta(part=part)

    def _call_done(self, item: OpenItem, part: ToolCallPart) -> Iterator[Delta]:
        if item.call is None:
            id = self._ids.unique(part.id)
            yield Delta(part=ToolCallPart(id, part.name, part.args, part.state))
            return
        text = arguments_text(item.fields)[item.length :]
        if text or part.state is not None:
            yield Delta(tool_calls=[ToolCallDelta(item.call, None, None, text, part.state)])


def _index(event: dict[str, Any], name: str) -> int:
    index = event.get(name)
    return index if isinstance(index, int) else 0
