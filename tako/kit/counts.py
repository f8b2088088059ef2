"""Token counts as servers report them, including repeated and impossible ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tako import notices
from tako.json_values import as_object

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tako.translator import PartContext
    from tako.types import Usage


def later(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """Put counts that came later over earlier ones; zeros and nulls take none away.

    A stream's counts are running totals, and some servers end it with an event in which all are zero.
    """
    counts = dict(old)
    for name, value in new.items():
        before, inner = counts.get(name), as_object(value)
        if inner is not None:
            counts[name] = later(as_object(before) or {}, inner)
        elif value or not before:
            counts[name] = value
    return counts


def note_odd(usage: Usage, context: PartContext) -> Usage:
    """Note that a server reports more of a part than of the whole; it has no cost. Returns the usage as it is.

    What was cached is part of the input, and reasoning is part of the output. If they aren't, nobody knows what was
    billed.
    """
    if usage.cached_tokens + usage.cache_write_tokens > usage.input_tokens:
        context.notice(notices.ODD_USAGE, "more tokens were cached than the prompt has", "")
    if usage.reasoning_tokens > usage.output_tokens:
        context.notice(notices.ODD_USAGE, "there are more tokens of reasoning than of the reply", "")
    return usage
