"""What Mistral wants of messages that the dialect doesn't: short ids of calls, and an order of roles."""

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
"""What the model is given to have said between tool results and a turn of the user's."""
WIRE_ID = re.compile(r"[a-zA-Z0-9]{9}")
"""The only ids of calls that Mistral takes (error 3280 otherwise)."""
ALPHABET = string.digits + string.ascii_letters


def call_ids(id: str) -> Iterator[str]:
    """Yield ids that Mistral takes in the place of one: itself if it can, then nine characters of hashes of it."""
    if WIRE_ID.fullmatch(id):
        yield id
    for attempt in count():
        number = int.from_bytes(sha256(f"{attempt}:{id}".encode("utf-8", "surrogatepass")).digest())
        yield "".join([ALPHABET[number // 62**place % 62] for place in range(9)])


def arrange(messages: list[dict[str, Any]], context: PartContext) -> list[dict[str, Any]]:
    """Make encoded messages ones that Mistral takes; what it adds and moves is noted.

    Some models refuse a user's turn straight after tool results (error 3230), so that one of the model's is put in
    between. The system's text may neither follow the model's turn or a result nor come last. A last message of the
    model's is the beginning of the reply, and marked as such.
    """
    arranged = list(_bridged(_led(messages, context), context))
    if arranged and arranged[-1]["role"] == "assistant" and "tool_calls" not in arranged[-1]:
        arranged[-1]["prefix"] = True
    return arranged


def _led(messages: list[dict[str, Any]], context: PartContext) -> list[dict[str, Any]]:
    """Move the system's messages up to where they may stand; if there is nothing else, they are the user's."""
    if all(message["role"] == "system" for message in messages):
        note_system_as_user(messages, context)
        return [{**message, "role": "user"} for message in messages]
    led: list[dict[str, Any]] = []
    for i, message in enumerate(messages):
        at = len(led)
        if message["role"] == "system":
            while at and led[at - 1]["role"] in ("assistant", "tool"):
                at -= 1
            if at == len(led) and all(later["role"] == "system" for later in messages[i:]):
                at -= 1
        if at < len(led):
            what = "a system message was moved up: it can't follow the model's message or a tool result, or be last"
            context.notice(notices.MOVED_TURN, what, "messages")
        led.insert(at, message)
    return led


def _bridged(messages: list[dict[str, Any]], context: PartContext) -> Iterator[dict[str, Any]]:
    last = ""
    for message in messages:
        if last == "tool" and message["role"] == "user":
            what = f"{BRIDGE!r} was put in as the model's turn between tool results and the user's"
            context.notice(notices.ADDED_TURN, what, "messages")
            yield {"role": "assistant", "content": BRIDGE}
        last = message["role"]
        yield message
