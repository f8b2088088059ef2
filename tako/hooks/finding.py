"""Finding the class of a provider by its name, from whatever is installed."""

from __future__ import annotations

import difflib
import sys
import traceback
from typing import TYPE_CHECKING

from tako.compatibility import check_version
from tako.discovery import find_provider, provider_entries
from tako.errors import PluginError
from tako.hooks.checks import one_line

if TYPE_CHECKING:
    from tako.provider import Provider


class UnknownProviderError(PluginError, AttributeError):
    """Nothing installed provides that name."""


def import_provider(key: str, failed: dict[str, str]) -> type[Provider]:
    """Import the class of the provider with that name ("openai") or class ("OpenAI").

    Raises PluginError; the traceback of a failed import goes into ``failed``.
    """
    entry = find_provider(key)
    if entry is None:
        raise UnknownProviderError(_unknown(key))
    owner = f"provider {entry.name!r} of {entry.distribution} {entry.version}"
    try:
        found = entry.point.load()
    except (Exception, SystemExit) as error:
        failed[entry.name] = "".join(traceback.format_exception(error))
        raise PluginError(f"{owner} could not be imported: {one_line(error)}") from error
    if not (isinstance(found, type) and hasattr(found, "own_plugins")):
        raise PluginError(f"{owner}: {entry.point.value} is no subclass of tako.Provider")
    check_version(sys.modules.get(found.__module__), owner)
    return found


def _unknown(key: str) -> str:
    """Say what is installed and what to install."""
    names = sorted({entry.name for entry in provider_entries()})
    close = difflib.get_close_matches(key, names, 1)
    hint = f"did you mean {close[0]!r}?" if close else f"pip install tako-{key.lower()} may provide it"
    return f"no provider {key!r} is installed (installed: {', '.join(names) or 'none'}); {hint}"
