"""Behaviour that tako ships through its own public hooks: each module here is an ordinary plugin.

They go between the module that defines a provider and the general plugins. Only the check of the streaming contract
goes around everything. The outermost comes last.
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
"""Plugins that go around a request once, even if the provider's own code calls the provider again."""
