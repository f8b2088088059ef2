"""Input items, and what the API refuses of those that it gave itself: ids, and reasoning that stands alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import Struct

from tako import notices
from tako.kit.responses.blocks import CALLS
from tako.parts import Part

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tako.translator import PartContext

ID_IS_FREE = ("message", "reasoning", *CALLS)
"""Kinds of items that are taken without an id."""


class InputItem(Struct, eq=False):
    """An input item, the part that it was made of (None for a message of several), and its place in the request."""

    block: dict[str, Any]
    part: Part | None
    path: str

    @property
    def is_models(self) -> bool:
        """Whether it is the model's own, and not an answer to a call or a message of the user's."""
        kind = self.block.get("type", "message")
        return self.block.get("role") == "assistant" or (kind != "message" and not kind.endswith("_output"))

    def drop_id(self) -> None:
        """Take the id off, if it has one that it can be without."""
        if self.block.get("type") in ID_IS_FREE:
            self.block = {name: value for name, value in self.block.items() if name != "id"}


def joined(items: Iterable[InputItem]) -> Iterator[InputItem]:
    """Put the blocks of one message of the model's together again: neighbours that share its id."""
    last: InputItem | None = None
    for item in items:
        block, before = item.block, last.block if last is not None else {}
        if last is not None and block.get("type") == "message" and "id" in block and block["id"] == before.get("id"):
            whole = {**before, **block, "content": [*before["content"], *block["content"]]}
            last = InputItem(whole, None, last.path)
            continue
        if last is not None:
            yield last
        last = item
    if last is not None:
        yield last


def accepted(items: Iterable[InputItem], context: PartContext, *, sealed: bool) -> list[InputItem]:
    """Return the items that the API takes, with the ids that it takes; what is left out is noted.

    ``sealed``: nothing is stored, so reasoning is known by its ``encrypted_content`` alone.
    """
    return _followed(list(_once(_sealed(items, context) if sealed else items)), context)


def _sealed(items: Iterable[InputItem], context: PartContext) -> Iterator[InputItem]:
    """Leave out reasoning whose content OpenAI doesn't have: it answers 404, "Item with id 'rs_…' not found".

    What follows goes without its id: with it, it is "provided without its required 'reasoning' item".
    """
    lost = False
    for item in items:
        is_reasoning = item.block.get("type") == "reasoning"
        if is_reasoning and not item.block.get("encrypted_content"):
            text = "reasoning without encrypted_content was left out: OpenAI finds it only if it was stored"
            context.notice(notices.UNSUPPORTED_PART, text, item.path)
            lost = True
            continue
        lost = lost and item.is_models and not is_reasoning
        if lost:
            item.drop_id()
        yield item


def _once(items: Iterable[InputItem]) -> Iterator[InputItem]:
    """Take the id off an item that a conversation repeats: the API refuses one that it has already."""
    seen: set[str] = set()
    for item in items:
        id = item.block.get("id")
        if id in seen:
            item.drop_id()
        elif isinstance(id, str):
            seen.add(id)
        yield item


def _followed(items: list[InputItem], context: PartContext) -> list[InputItem]:
    """Leave out reasoning that no item of the model's follows; before one without an id it has none either.

    The API answers 400 to both: reasoning was "provided without its required following item".
    """
    made: list[InputItem] = []
    for item in reversed(items):
        if item.block.get("type") == "reasoning":
            if not (made and made[-1].is_models):
                text = "reasoning was left out: the API refuses it without the item that followed it"
                context.notice(notices.UNSUPPORTED_PART, text, item.path)
                continue
            if "id" not in made[-1].block:
                item.drop_id()
        made.append(item)
    return made[::-1]
