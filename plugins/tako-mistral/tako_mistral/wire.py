"""What Mistral's messages have that the dialect has not: thinking chunks, short call ids, and an order of roles."""

from __future__ import annotations

import re
import string
from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from tako import notices
from tako.kit.completions import translator_for
from tako.kit.completions.decode import decode_block
from tako.kit.encoding import speak_as_user
from tako.parts import Part, ReasoningPart
from tako.translator import PartContext, Translator
from tako.types import Role

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tako.kit.completions import Dialect

BRIDGE = "OK."
"""What the model is given to have said between tool results and a turn of the user's."""
WIRE_ID = re.compile(r"[a-zA-Z0-9]{9}")
"""The only ids of calls that Mistral takes (error 3280 otherwise)."""
ALPHABET = string.digits + string.ascii_letters


def translator_of(provider: str, dialect: Dialect) -> Translator:
    """Make the dialect's translator, with Mistral's own reasoning as thinking chunks."""
    inner = translator_for(partial(decode_block, provider=provider), dialect)

    def encode(part: Part, context: PartContext) -> Any:
        if isinstance(part, ReasoningPart) and part.provider == context.provider:
            return _thinking(part, context)
        return inner.encode(part, context)

    return Translator(encode, inner.decode)


def arrange(messages: list[dict[str, Any]], context: PartContext) -> list[dict[str, Any]]:
    """Make encoded messages ones that Mistral takes; what it adds is noted.

    Ids of calls that others minted are replaced, in calls and results alike. Some models refuse a user's turn straight
    after tool results (error 3230), so that one of the model's is put in between. The system's text may neither follow
    the model's turn or a result nor come last. A last message of the model's is the beginning of the reply, and marked
    as such.
    """
    arranged = list(_bridged(_led(messages, context), context))
    mapped = wire_ids(_ids(arranged))
    for message in arranged:
        if message["role"] == "tool":
            message["tool_call_id"] = mapped[message["tool_call_id"]]
        elif message.get("tool_calls"):
            message["tool_calls"] = [{**call, "id": mapped[call["id"]]} for call in message["tool_calls"]]
    if arranged and arranged[-1]["role"] == "assistant" and "tool_calls" not in arranged[-1]:
        arranged[-1]["prefix"] = True
    return arranged


def wire_ids(ids: Iterable[str]) -> dict[str, str]:
    """Map each id to one that Mistral takes: the same one where it does, else nine characters of a hash of it.

    No two share one, and an id keeps its own as the conversation grows.
    """
    found = dict.fromkeys(ids)
    mapped = {id: id for id in found if WIRE_ID.fullmatch(id)}
    taken = set(mapped)
    for id in found:
        if id not in mapped:
            mapped[id] = next(short for short in _shortened(id) if short not in taken)
            taken.add(mapped[id])
    return mapped


def _thinking(part: ReasoningPart, context: PartContext) -> dict[str, Any] | None:
    if context.message is not None and context.message.role is not Role.ASSISTANT:
        context.notice(notices.MISPLACED_PART, f"reasoning cannot stand in a {context.message.role} message")
        return None
    if not part.text and part.signature is None:
        context.notice(notices.EMPTY_TEXT, "reasoning without text was left out")
        return None
    texts = [{"type": "text", "text": part.text}] if part.text else []
    signature = {"signature": part.signature} if part.signature is not None else {}
    return {"type": "thinking", "thinking": texts, "closed": True, **signature}


def _led(messages: list[dict[str, Any]], context: PartContext) -> list[dict[str, Any]]:
    """Move the system's messages up to where they may stand; if there is nothing else, they are the user's."""
    if all(message["role"] == "system" for message in messages):
        speak_as_user(messages, context)
        return [{**message, "role": "user"} for message in messages]
    led: list[dict[str, Any]] = []
    for i, message in enumerate(messages):
        at = len(led)
        if message["role"] == "system":
            while at and led[at - 1]["role"] in ("assistant", "tool"):
                at -= 1
            if at == len(led) and all(later["role"] == "system" for later in messages[i:]):
                at -= 1
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


def _ids(messages: list[dict[str, Any]]) -> Iterator[str]:
    for message in messages:
        if message["role"] == "tool":
            yield message["tool_call_id"]
        for call in message.get("tool_calls", ()):
            yield call["id"]


def _shortened(id: str) -> Iterator[str]:
    """Go on making short ids of a long one, for the case that another one has the first."""
    attempt = 0
    while True:
        number = int.from_bytes(sha256(f"{attempt}:{id}".encode("utf-8", "surrogatepass")).digest())
        digits = [ALPHABET[number // 62**place % 62] for place in range(9)]
        yield "".join(digits)
        attempt += 1
