"""Behaviour that tako ships through its own public hooks: each module here is an ordinary plugin.

They stand between the module that defines a provider and the general plugins; only the checks of the streaming contract
stand outside of everyone. What is outermost comes last.
"""

from tako.builtin import deadline, defaults, guard, integrity, log, retries

BUILT_IN: list[tuple[str, object]] = [
    ("tako.defaults", defaults),
    ("tako.log", log),
    ("tako.retries", retries),
    ("tako.deadline", deadline),
    ("tako.guard", guard),
]
OUTERMOST: list[tuple[str, object]] = [("tako.integrity", integrity)]
ONCE = ("tako.log", "tako.retries", "tako.deadline", "tako.guard")
"""What goes around a request once, however the provider's own code makes one answer of another."""
