"""How deep JSON nests, counted from its bytes before anything reads them."""

from __future__ import annotations

import re
from itertools import accumulate

from tako.json_values import DEEPEST

_STRINGS = re.compile(rb'"(?:[^"\\]++|\\.)*+(?:"|\\?\Z)', re.DOTALL)
"""Strings, the last one closed or not, so that no byte is looked at twice."""
_OTHERS = bytes(set(range(256)) - set(b"{}[]"))
_STEPS = dict(zip(b"{[}]", (1, 1, -1, -1), strict=True))


def is_deep(data: bytes) -> bool:
    """Tell whether JSON nests deeper than ``DEEPEST``; what isn't JSON is for its decoder to refuse.

    Brackets within strings are told apart only where they may matter: who hides levels behind them meets the decoder's
    own limit.
    """
    if data.count(b"{") + data.count(b"[") <= DEEPEST:  # nearly always
        return False
    return _levels(data) > DEEPEST and _levels(_STRINGS.sub(b"", data)) > DEEPEST


def _levels(data: bytes) -> int:
    return max(accumulate(map(_STEPS.__getitem__, data.translate(None, _OTHERS))), default=0)
