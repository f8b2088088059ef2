"""Temperature and top_p, as a model takes them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tako import notices

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tako.kit.families.rules import Rules
    from tako.translator import PartContext
    from tako.types import ChatRequest

LEAST_TOP_P = 0.95
"""The smallest top_p that Claude takes while it thinks."""


def sampling(
    request: ChatRequest, rules: Rules, context: PartContext, *, thinking: bool, refusal: str = ""
) -> Iterator[tuple[str, float]]:
    """Yield temperature and top_p as the model takes them; what is changed or left out is noted.

    ``thinking``: the request asks the model to think. ``refusal``: why the wire takes neither, "" if it does.
    """
    is_sampled = False
    for name, value in (("temperature", request.temperature), ("top_p", request.top_p)):
        if value is None:
            continue
        reason = refusal or _reason(name, value, rules, thinking=thinking, is_sampled=is_sampled)
        if reason:
            context.notice(notices.UNSUPPORTED_PARAMETER, f"{name} was left out: {reason}", name)
            continue
        is_sampled = True
        highest = rules.most_temperature
        if highest is not None and value > highest:
            text = f"{name} was sent as {highest:g}: the model takes 0 to {highest:g}, and {value} was asked for"
            context.notice(notices.CHANGED_PARAMETER, text, name)
            value = highest  # noqa: PLW2901 - the nearest that the model takes
        yield name, value


def _reason(name: str, value: float, rules: Rules, *, thinking: bool, is_sampled: bool) -> str:
    """Say why a model refuses a parameter, "" if it takes it."""
    if not rules.sampling:
        return "this model refuses it"
    if is_sampled and not rules.sampling_together:
        return "this model takes no top_p beside a temperature"
    if not thinking or rules.sampling_beside_thinking:
        return ""
    if name == "temperature":
        return "" if value == 1 else "it must be 1 beside thinking"
    return "" if LEAST_TOP_P <= value <= 1 else f"it must be {LEAST_TOP_P} to 1 beside thinking"
