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

ID_OPTIONAL = ("message", "reasoning", *CALLS)
"""Kinds of items that are taken without an id."""


class InputItem(Struct, eq=False):
    """An input item, the part that it was made of (None for a message of several), and its place in the request."""

    block: dict[str, Any]
    part: Part | None
    path: str

    @property
    def is_from_model(self) -> bool:
        """Whether it is the model's own, and not an answer to a call or a message of the user's."""
        kind = self.block.get("type", "message")
        return self.block.get("role") == "assistant" or (kind != "message" and not kind.endswith("_output"))

    def drop_id(self) -> None:
        """Take the id off, if it has one that it can be without."""
        if self.block.get("type") in ID_OPTIONAL:
            self.block = {name: value for name, value in self.block.items() if name != "id"}


def join_messages(items: Iterable[InputItem]) -> Iterator[InputItem]:
    """Put the blocks of one message of the model's together again: neighbours that share its id."""
    pending: InputItem | None = None
    for item in items:
        block, previous = item.block, pending.block if pending is not None else {}
        if (
            pending is not None
            and block.get("type") == "message"
            and "id" in block
            and block["id"] == previous.get("id")
        ):
            fields = {**previous, **block, "content": [*previous["content"], *block["content"]]}
            pending = InputItem(fields, None, pending.path)
            continue
        if pending is not None:
            yield pending
        pending = item
    if pending is not None:
        yield pending


def accepted_items(items: Iterable[InputItem], context: PartContext, *, is_stateless: bool) -> list[InputItem]:
    """Return the items that the API takes, with the ids that it takes; what is left out is noted.

    ``is_stateless``: nothing is stored, so reasoning is known by its ``encrypted_content`` alone.
    """
    return _without_lone_reasoning(
        list(_without_repeated_ids(_with_known_reasoning(items, context) if is_stateless else items)), context
    )


def _with_known_reasoning(items: Iterable[InputItem], context: PartContext) -> Iterator[InputItem]:
    """Leave out reasoning whose content OpenAI doesn't have: it answers 404, "Item with id 'rs_…' not found".

    What follows goes without its id: with it, it is "provided without its required 'reasoning' item".
    """
    is_reasoning_lost = False
    for item in items:
        is_reasoning = item.block.get("type") == "reasoning"
        if is_reasoning and not item.block.get("encrypted_content"):
            text = "reasoning without encrypted_content was left out: OpenAI finds it only if it was stored"
            context.notice(notices.UNSUPPORTED_PART, text, item.path)
            is_reasoning_lost = True
            continue
        is_reasoning_lost = is_reasoning_lost and item.is_from_model and not is_reasoning
        if is_reasoning_lost:
            item.drop_id()
        yield item


def _without_repeated_ids(items: Iterable[InputItem]) -> Iterator[InputItem]:
    """Take the id off an item that a conversation repeats: the API refuses one that it has already."""
    ids: set[str] = set()
    for item in items:
        id = item.block.get("id")
        if id in ids:
            item.drop_id()
        elif isinstance(id, str):
            ids.add(id)
        yield item


def _without_lone_reasoning(items: list[InputItem], context: PartContext) -> list[InputItem]:
    """Leave out reasoning that no item of the model's follows; before one without an id it has none either.

    The API answers 400 to both: reasoning was "provided without its required following item".
    """
    kept_reversed: list[InputItem] = []
    for item in reversed(items):
        if item.block.get("type") == "reasoning":
            if not (kept_reversed and kept_reversed[-1].is_from_model):
                text = "reasoning was left out: the API refuses it without the item that followed it"
                context.notice(notices.UNSUPPORTED_PART, text, item.path)
                continue
            if "id" not in kept_reversed[-1].block:
                item.drop_id()
        kept_reversed.append(item)
    return kept_reversed[::-1]
