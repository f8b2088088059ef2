"""A beginning of the reply that the caller wrote: some models go on from it, others refuse it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tako import notices

if TYPE_CHECKING:
    from tako.kit.families.rules import Rules
    from tako.kit.turns import Item, Turn
    from tako.translator import PartContext

PREFILL_REFUSED = "it was left out: this model can't continue its own message"
TRIMMED = "a text that the reply continues lost its trailing white space"


def leave_out_prefill(turns: list[Turn], rules: Rules, context: PartContext) -> None:
    """Leave out a beginning of the reply where the model refuses it; a turn of the model's own that's not over goes on.

    Where the model takes it, its text loses white space at its end if the model refuses that.
    """
    if not turns or turns[-1].role != "assistant" or turns[-1].is_own:
        return
    if rules.prefill:
        if rules.trimmed:
            trim(turns[-1].items[-1], context)
        return
    for item in turns.pop().items:
        context.notice(notices.MISPLACED_PART, PREFILL_REFUSED, item.path)


def trim(item: Item, context: PartContext) -> None:
    """Take the white space off the end of the text that the reply begins with."""
    text = item.block.get("text")
    if isinstance(text, str) and text != text.rstrip():
        item.block = {**item.block, "text": text.rstrip()}
        context.notice(notices.CHANGED_PART, TRIMMED, item.path)
