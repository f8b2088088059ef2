"""Messages as Gemini's contents: two roles that alternate, and a turn with results after each turn with calls."""

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

PLACEHOLDER = {"thoughtSignature": "skip_thought_signature_validator"}
"""Google's placeholder for the signature of a call that another model made. Gemini 3 refuses calls without one
(https://ai.google.dev/gemini-api/docs/thought-signatures)."""

Block = dict[str, Any]
PlacedBlock = tuple[Part, Block, str]
"""A part, its block, and its path in the request."""


class Conversation:
    """Encodes a conversation. ``is_gemini_3``: the model is a Gemini 3 or later.

    ``can_prefill``: the last turn may be the model's, which it continues. ``token``: with this a paused turn of the
    model continues.
    """

    def __init__(self, *, is_gemini_3: bool, can_prefill: bool) -> None:
        self._is_gemini_3 = is_gemini_3
        self._can_prefill = can_prefill
        self.token: Any = None
        self._system: list[Block] = []
        self._turns: list[tuple[str, list[PlacedBlock]]] = []

    def encode(
        self, request: ChatRequest, translator: Translator, context: PartContext
    ) -> tuple[list[Block], list[Block]]:
        """Return the parts of the system instruction, and the contents."""
        for i, message in enumerate(request.messages):
            for part, block, path in _encode_message(message, i, translator, context):
                self._add(message.role, (part, block, path), context)
        if not self._can_prefill:
            self._leave_out_prefill(context)
        contents: list[Block] = []
        calls: list[tuple[str, str]] = []
        for n, (role, placed_blocks) in enumerate(self._turns):
            if role == "model":
                next_blocks = self._turns[n + 1][1] if n + 1 < len(self._turns) else []
                parts, calls = self._encode_model_turn(placed_blocks, next_blocks, context)
                tokens = [block[TOKEN] for block in parts if TOKEN in block]
                parts = [block for block in parts if TOKEN not in block]
                self.token = tokens[-1] if tokens and n + 1 == len(self._turns) else None
            else:
                parts, calls = self._encode_user_turn(placed_blocks, calls, context), []
            if parts and contents and contents[-1]["role"] == role:
                contents[-1]["parts"] += parts
            elif parts:
                contents.append({"role": role, "parts": parts})
        return self._system, contents

    def _leave_out_prefill(self, context: PartContext) -> None:
        """Leave out a turn of the model at the end, unless it was paused. Later models answer 400 to it."""
        if (
            self._turns
            and self._turns[-1][0] == "model"
            and not any(TOKEN in block for _, block, _ in self._turns[-1][1])
        ):
            for _, _, path in self._turns.pop()[1]:
                context.notice(notices.MISPLACED_PART, PREFILL_REFUSED, path)

    def _add(self, role: Role, placed: PlacedBlock, context: PartContext) -> None:
        part, block, path = placed
        side = "model" if role is Role.ASSISTANT else "user"
        if not _is_allowed(part, block, role):
            text = f"{kind_of(part)} can't be in a {role} message"
            context.notice(notices.MISPLACED_PART, text, path)
        elif role is Role.SYSTEM and not block["text"]:
            context.notice(notices.EMPTY_TEXT, "an empty text was left out", path)
        elif role is Role.SYSTEM:
            if self._turns:
                text = (
                    "a system message within the conversation was moved to the system instruction, as Gemini requires"
                )
                context.notice(notices.MOVED_TURN, text, path)
            self._system.append({"text": block["text"]})
        elif self._turns and self._turns[-1][0] == side:
            self._turns[-1][1].append(placed)
        else:
            self._turns.append((side, [placed]))

    def _encode_model_turn(
        self, placed_blocks: list[PlacedBlock], next_blocks: list[PlacedBlock], context: PartContext
    ) -> tuple[list[Block], list[tuple[str, str]]]:
        """Return the parts of a model's turn without unanswered calls, and the ids and names of its calls."""
        answered = [part.id for part, _, _ in next_blocks if isinstance(part, ToolResultPart)]
        blocks: list[Block] = []
        calls: list[tuple[str, str]] = []
        first_call: int | None = None
        is_signed = False  # or made by Gemini itself without a signature: it goes back unchanged
        for part, block, path in placed_blocks:
            if isinstance(part, ToolCallPart) and "functionCall" in block:
                if part.id not in answered:
                    context.notice(notices.UNANSWERED_CALL, "a tool call was left out: no result follows it", path)
                    continue
                answered.remove(part.id)
                calls.append((part.id, block["functionCall"].get("name", "")))
                first_call = len(blocks) if first_call is None else first_call
                is_signed = is_signed or "thoughtSignature" in block or is_own(part, context)
            blocks.append(block)
        if self._is_gemini_3 and first_call is not None and not is_signed:
            blocks[first_call] |= PLACEHOLDER
        return blocks, calls

    def _encode_user_turn(
        self, placed_blocks: list[PlacedBlock], calls: list[tuple[str, str]], context: PartContext
    ) -> list[Block]:
        """Return the parts of a user's turn: first the responses, in the order of the calls."""
        responses: list[Block | None] = [None] * len(calls)
        plugin_responses: list[Block] = []
        other_parts: list[Block] = []
        for part, block, path in placed_blocks:
            if "functionResponse" not in block:
                other_parts.append(block)
                continue
            response = {**block["functionResponse"]}
            # before Gemini 3, media go next to the response
            media: list[Block] = [] if self._is_gemini_3 else response.pop("parts", [])
            response_block = {**block, "functionResponse": response}
            index = _open_call(part, calls, responses) if isinstance(part, ToolResultPart) else None
            if index is not None:
                response["name"] = calls[index][1]
                responses[index] = response_block
            elif isinstance(part, ToolResultPart):
                text = f"a tool result was left out: the turn before has no call {part.id!r} without a result"
                context.notice(notices.UNKNOWN_CALL, text, path)
                continue
            else:  # made by a plugin that wraps the translator
                plugin_responses.append(response_block)
            other_parts += media
        return [*[block for block in responses if block is not None], *plugin_responses, *other_parts]


def add_placeholders(contents: list[Block]) -> list[Block]:
    """Return contents in which the first call of each turn has a signature, or the placeholder."""
    return [{**content, "parts": _sign_first_call(content["parts"])} for content in contents]


def _sign_first_call(parts: list[Block]) -> list[Block]:
    first = next((block for block in parts if "functionCall" in block), {})
    return [PLACEHOLDER | block if block is first else block for block in parts]


def _open_call(part: ToolResultPart, calls: list[tuple[str, str]], responses: list[Block | None]) -> int | None:
    """Return the index of the call that a result is for. Calls with the same id get results in their order."""
    return next((n for n, (id, _) in enumerate(calls) if id == part.id and responses[n] is None), None)


def _encode_message(message: Message, i: int, translator: Translator, context: PartContext) -> Iterator[PlacedBlock]:
    """Encode the parts of a message, each with its path."""
    content = message.content
    j = -1
    for part, block in encode_parts(message, i, translator, context):
        j = 0 if isinstance(content, str) else next(k for k in range(j + 1, len(content)) if content[k] is part)
        yield part, block, f"messages[{i}].content[{j}]"


def _is_allowed(part: Part, block: Block, role: Role) -> bool:
    """Whether a role may have a block: the model calls and thoughts, the user results, the system only text."""
    if isinstance(part, VendorPart):
        return role is not Role.SYSTEM
    if "functionCall" in block or block.get("thought"):
        return role is Role.ASSISTANT
    if "functionResponse" in block:
        return role in (Role.USER, Role.TOOL)
    return role is not Role.SYSTEM or "text" in block
