"""Messages as Gemini's contents: two roles that alternate, and every call answered by the turn after it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tako import notices
from tako.errors import kind_of
from tako.kit.blocks import is_own
from tako.kit.encoding import encode_parts
from tako.kit.families import PREFILL_REFUSED
from tako.parts import Part, ToolCallPart, ToolResultPart, VendorPart
from tako.types import ChatRequest, Message, Role
from tako_vertex.parts import TOKEN

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tako.translator import PartContext, Translator

UNSIGNED = {"thoughtSignature": "skip_thought_signature_validator"}
"""Google's own stand-in for the signature of a call that another model made; Gemini 3 refuses calls without one
(https://ai.google.dev/gemini-api/docs/thought-signatures)."""

Block = dict[str, Any]
Placed = tuple[Part, Block, str]
"""A part, its block, and its path in the request."""


class Conversation:
    """Puts contents together. ``newest``: the model is a Gemini 3 or later, which is stricter and takes more.

    ``prefill``: the model goes on from a turn of its own. ``token``: the last turn is the model's and was paused; with
    this it goes on.
    """

    def __init__(self, *, newest: bool, prefill: bool) -> None:
        self._newest = newest
        self._prefill = prefill
        self.token: Any = None
        self._system: list[Block] = []
        self._turns: list[tuple[str, list[Placed]]] = []

    def of(self, request: ChatRequest, translator: Translator, context: PartContext) -> tuple[list[Block], list[Block]]:
        """Return the parts of the system instruction, and the contents."""
        for i, message in enumerate(request.messages):
            for part, block, path in _placed(message, i, translator, context):
                self._add(message.role, (part, block, path), context)
        if not self._prefill:
            self._leave_out_prefill(context)
        contents: list[Block] = []
        calls: list[tuple[str, str]] = []
        for n, (role, pairs) in enumerate(self._turns):
            if role == "model":
                answers = self._turns[n + 1][1] if n + 1 < len(self._turns) else []
                parts, calls = self._model(pairs, answers, context)
                tokens = [block[TOKEN] for block in parts if TOKEN in block]
                parts = [block for block in parts if TOKEN not in block]
                self.token = tokens[-1] if tokens and n + 1 == len(self._turns) else None
            else:
                parts, calls = self._user(pairs, calls, context), []
            if parts and contents and contents[-1]["role"] == role:
                contents[-1]["parts"] += parts
            elif parts:
                contents.append({"role": role, "parts": parts})
        return self._system, contents

    def _leave_out_prefill(self, context: PartContext) -> None:
        """Leave out a turn of the model's at the end, unless it was paused: later models answer 400 to it."""
        if (
            self._turns
            and self._turns[-1][0] == "model"
            and not any(TOKEN in block for _, block, _ in self._turns[-1][1])
        ):
            for _, _, path in self._turns.pop()[1]:
                context.notice(notices.MISPLACED_PART, PREFILL_REFUSED, path)

    def _add(self, role: Role, placed: Placed, context: PartContext) -> None:
        part, block, path = placed
        side = "model" if role is Role.ASSISTANT else "user"
        if not _fits(part, block, role):
            text = f"{kind_of(part)} can't be in a {role} message"
            context.notice(notices.MISPLACED_PART, text, path)
        elif role is Role.SYSTEM and not block["text"]:
            context.notice(notices.EMPTY_TEXT, "an empty text was left out", path)
        elif role is Role.SYSTEM:
            if self._turns:
                text = "a system message in mid-conversation went to the system instruction: Gemini has no other place"
                context.notice(notices.MOVED_TURN, text, path)
            self._system.append({"text": block["text"]})
        elif self._turns and self._turns[-1][0] == side:
            self._turns[-1][1].append(placed)
        else:
            self._turns.append((side, [placed]))

    def _model(
        self, pairs: list[Placed], answers: list[Placed], context: PartContext
    ) -> tuple[list[Block], list[tuple[str, str]]]:
        """Return the parts of a model's turn, without calls that nobody answers, and the calls' ids and names."""
        answered = [part.id for part, _, _ in answers if isinstance(part, ToolResultPart)]
        blocks: list[Block] = []
        calls: list[tuple[str, str]] = []
        first: int | None = None
        signed = False  # or unsigned by Gemini itself, to which it goes back as it came
        for part, block, path in pairs:
            if isinstance(part, ToolCallPart) and "functionCall" in block:
                if part.id not in answered:
                    context.notice(notices.UNANSWERED_CALL, "a tool call was left out: no result follows it", path)
                    continue
                answered.remove(part.id)
                calls.append((part.id, block["functionCall"].get("name", "")))
                first = len(blocks) if first is None else first
                signed = signed or "thoughtSignature" in block or is_own(part, context)
            blocks.append(block)
        if self._newest and first is not None and not signed:
            blocks[first] |= UNSIGNED
        return blocks, calls

    def _user(self, pairs: list[Placed], calls: list[tuple[str, str]], context: PartContext) -> list[Block]:
        """Return the parts of a user's turn: first the answers, in the order of the calls."""
        slots: list[Block | None] = [None] * len(calls)
        extra: list[Block] = []
        others: list[Block] = []
        for part, block, path in pairs:
            if "functionResponse" not in block:
                others.append(block)
                continue
            answer = {**block["functionResponse"]}
            media: list[Block] = (
                [] if self._newest else answer.pop("parts", [])
            )  # before Gemini 3, media stand beside the answer
            made = {**block, "functionResponse": answer}
            slot = _slot(part, calls, slots) if isinstance(part, ToolResultPart) else None
            if slot is not None:
                answer["name"] = calls[slot][1]
                slots[slot] = made
            elif isinstance(part, ToolResultPart):
                text = f"a tool result was left out: no call {part.id!r} in the turn before waits for it"
                context.notice(notices.UNKNOWN_CALL, text, path)
                continue
            else:  # made by a plugin that wraps the translator
                extra.append(made)
            others += media
        return [*[block for block in slots if block is not None], *extra, *others]


def with_stand_ins(contents: list[Block]) -> list[Block]:
    """Return contents in which the first call of each turn is signed, if only by the stand-in."""
    return [{**content, "parts": _signed(content["parts"])} for content in contents]


def _signed(parts: list[Block]) -> list[Block]:
    first = next((block for block in parts if "functionCall" in block), {})
    return [UNSIGNED | block if block is first else block for block in parts]


def _slot(part: ToolResultPart, calls: list[tuple[str, str]], slots: list[Block | None]) -> int | None:
    """Find the call that a result answers; calls of one id take their results in turn."""
    return next((n for n, (id, _) in enumerate(calls) if id == part.id and slots[n] is None), None)


def _placed(message: Message, i: int, translator: Translator, context: PartContext) -> Iterator[Placed]:
    """Encode the parts of a message, each with its path."""
    given = message.content
    j = -1
    for part, block in encode_parts(message, i, translator, context):
        j = 0 if isinstance(given, str) else next(k for k in range(j + 1, len(given)) if given[k] is part)
        yield part, block, f"messages[{i}].content[{j}]"


def _fits(part: Part, block: Block, role: Role) -> bool:
    """Calls and thoughts are the model's, answers the user's, and the system speaks text; Gemini's own are anyone's."""
    if isinstance(part, VendorPart):
        return role is not Role.SYSTEM
    if "functionCall" in block or block.get("thought"):
        return role is Role.ASSISTANT
    if "functionResponse" in block:
        return role in (Role.USER, Role.TOOL)
    return role is not Role.SYSTEM or "text" in block
