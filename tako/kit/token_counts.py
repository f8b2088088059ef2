"""Token counts as servers report them, including repeated and impossible ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tako import notices
from tako.json_values import as_object

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tako.translator import PartContext
    from tako.types import Usage


def merge_counts(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """Merge later counts into earlier ones; zeros and nulls don't replace a count.

    A stream's counts are running totals, and some servers end it with an event in which all are zero.
    """
    counts = dict(old)
    for name, value in new.items():
        old_value, new_object = counts.get(name), as_object(value)
        if new_object is not None:
            counts[name] = merge_counts(as_object(old_value) or {}, new_object)
        elif value or not old_value:
            counts[name] = value
    return counts


def note_odd_usage(usage: Usage, context: PartContext) -> Usage:
    """Note that a server reports more tokens of a part than in total; such a reply has no cost. Returns the usage.

    What was cached is part of the input, and reasoning is part of the output. If they aren't, nobody knows what was
    billed.
    """
    if usage.cached_tokens + usage.cache_write_tokens > usage.input_tokens:
        context.notice(notices.ODD_USAGE, "more tokens were cached than the prompt has", "")
    if usage.reasoning_tokens > usage.output_tokens:
        context.notice(notices.ODD_USAGE, "there are more tokens of reasoning than of the reply", "")
    return usage
