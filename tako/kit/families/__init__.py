"""What families of models accept and refuse, in one place for all plugins that reach them.

::

    rules = rules_of("us.anthropic.claude-opus-4-7-v1:0")   # the same as for "claude-opus-4-7"
    rules.sampling                                            # False: temperature and top_p are refused
"""

from tako.kit.families.citations import note_mixed_citations
from tako.kit.families.names import bare_name
from tako.kit.families.prefill import PREFILL_REFUSED, TRIMMED, leave_out_prefill, trim
from tako.kit.families.rules import EFFORTS, UNKNOWN, Converse, Rules, Strict, rules_of
from tako.kit.families.sampling import sampling
from tako.kit.families.thinking import (
    BUDGETS,
    effort_for,
    make_room,
    nearest,
    note_changed,
    note_left_out,
    refusal,
    thinking,
)

__all__ = [
    "BUDGETS",
    "EFFORTS",
    "PREFILL_REFUSED",
    "TRIMMED",
    "UNKNOWN",
    "Converse",
    "Rules",
    "Strict",
    "bare_name",
    "effort_for",
    "leave_out_prefill",
    "make_room",
    "nearest",
    "note_changed",
    "note_left_out",
    "note_mixed_citations",
    "refusal",
    "rules_of",
    "sampling",
    "thinking",
    "trim",
]
