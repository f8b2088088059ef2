"""Behaviour that tako ships through its own public hooks: each module here is an ordinary plugin.

They stand between the module that defines a provider and the general plugins. What is outermost comes last.
"""

from tako.builtin import defaults, guard, integrity, retries

BUILTINS: list[tuple[str, object]] = [
    ("tako.defaults", defaults),
    ("tako.retries", retries),
    ("tako.guard", guard),
    ("tako.integrity", integrity),
]
