"""Compatibility of plugins and cores: the version of the hooks that a plugin was written for.

A module (or object) with hooks may set ``tako_hooks = 1``: the ``tako.hookspecs.VERSION`` that it was written for.
Every core supports its own version and all earlier ones. The error for a newer plugin says which core to install.
"""

from __future__ import annotations

import re
from importlib.metadata import PackageNotFoundError, version

from tako import hookspecs, installed
from tako.errors import PluginError

ATTRIBUTE = "tako_hooks"
_CORE = re.compile(r"tako[-_.]core\s*(?:\[[^]]*\])?\s*\(?([^;)]*)", re.IGNORECASE)


def check_version(plugin: object, where: str) -> None:
    """Check that a plugin wasn't written for later hooks. Raises PluginError, which says what to install."""
    version_needed = getattr(plugin, ATTRIBUTE, None)
    if version_needed is None:
        return
    if type(version_needed) is not int or version_needed < 1:
        raise PluginError(
            f"{where}: {ATTRIBUTE} is {version_needed!r}; it's a version of the hooks, a number from 1 on"
        )
    if version_needed > hookspecs.VERSION:
        raise PluginError(
            f"{where} is written for version {version_needed} of tako's hooks, and {_this_core()} has version "
            f"{hookspecs.VERSION}: install a newer tako-core{_required_core(plugin)}"
        )


def _this_core() -> str:
    try:
        return f"tako-core {version('tako-core')}"
    except PackageNotFoundError:
        return "this core"


def _required_core(plugin: object) -> str:
    """Return the core that the plugin's distribution requires, as a hint; "" if it doesn't say."""
    module = getattr(plugin, "__name__", None) or type(plugin).__module__
    for entry in (entry for group in installed.GROUPS for entry in installed.entries(group)):
        for requirement in entry.requirements if _package(entry.module) == _package(str(module)) else ():
            match = _CORE.match(requirement)
            if match is not None and match[1].strip():
                return f" ({entry.distribution} {entry.version} asks for tako-core{match[1].strip()})"
    return ""


def _package(module: str) -> str:
    return module.partition(".")[0]
