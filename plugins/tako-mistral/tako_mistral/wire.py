"""What Mistral's messages need beyond the dialect: short ids of calls, and an order of roles."""

from __future__ import annotations

import re
import string
from hashlib import sha256
from itertools import count
from typing import TYPE_CHECKING, Any

from tako import notices
from tako.kit.encoding import note_system_as_user

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tako.translator import PartContext

BRIDGE = "OK."
"""The model's message that is added between tool results and the user's."""
WIRE_ID = re.compile(r"[a-zA-Z0-9]{9}")
"""The only ids of calls that Mistral accepts (error 3280 otherwise)."""
ALPHABET = string.digits + string.ascii_letters


def call_ids(id: str) -> Iterator[str]:
    """Yield ids that Mistral accepts for one: itself if possible, then nine characters from hashes of it."""
    if WIRE_ID.fullmatch(id):
        yield id
    for attempt in count():
        number = int.from_bytes(sha256(f"{attempt}:{id}".encode("utf-8", "surrogatepass")).digest())
        yield "".join([ALPHABET[number // 62**digit % 62] for digit in range(9)])


def arrange(messages: list[dict[str, Any]], context: PartContext) -> list[dict[str, Any]]:
    """Add and move messages so that Mistral accepts them, with notices.

    Some models refuse a user's message right after tool results (error 3230), so one of the model's is added in
    between. A system message can't follow the model's message or a result, and can't be last. If the last message is
    the model's, it's the beginning of the reply, and marked as such.
    """
    arranged = list(_add_bridges(_move_system(messages, context), context))
    if arranged and arranged[-1]["role"] == "assistant" and "tool_calls" not in arranged[-1]:
        arranged[-1]["prefix"] = True
    return arranged


def _move_system(messages: list[dict[str, Any]], context: PartContext) -> list[dict[str, Any]]:
    """Move system messages up to where Mistral accepts them. If all messages are, make them the user's."""
    if all(message["role"] == "system" for message in messages):
        note_system_as_user(messages, context)
        return [{**message, "role": "user"} for message in messages]
    moved: list[dict[str, Any]] = []
    for i, message in enumerate(messages):
        index = len(moved)
        if message["role"] == "system":
            while index and moved[index - 1]["role"] in ("assistant", "tool"):
                index -= 1
            if index == len(moved) and all(later["role"] == "system" for later in messages[i:]):
                index -= 1
        if index < len(moved):
            text = "a system message was moved up: it can't follow the model's message or a tool result, or be last"
            context.notice(notices.MOVED_TURN, text, "messages")
        moved.insert(index, message)
    return moved


def _add_bridges(messages: list[dict[str, Any]], context: PartContext) -> Iterator[dict[str, Any]]:
    last = ""
    for message in messages:
        if last == "tool" and message["role"] == "user":
            text = f"{BRIDGE!r} was added as the model's message between tool results and the user's"
            context.notice(notices.ADDED_TURN, text, "messages")
            yield {"role": "assistant", "content": BRIDGE}
        last = message["role"]
        yield message
