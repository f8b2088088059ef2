"""For the tests of plugins: the conformance suite, scripted vendors over real sockets, and plugins for one test alone.

``ProviderSuite`` is the suite; `tako.testing.dialects` has a scripted vendor for each wire, `tako.testing.server` plain
scripted HTTP, `tako.testing.plugins` isolated registration, `tako.testing.summary` what a suite has found.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tako.testing.dialects import scripted
    from tako.testing.plugins import isolated
    from tako.testing.script import Call, Script
    from tako.testing.suite import ProviderSuite

_HOMES = {
    "Call": "tako.testing.script",
    "ProviderSuite": "tako.testing.suite",
    "Script": "tako.testing.script",
    "isolated": "tako.testing.plugins",
    "scripted": "tako.testing.dialects",
}

__all__ = ["Call", "ProviderSuite", "Script", "isolated", "scripted"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'tako.testing' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
