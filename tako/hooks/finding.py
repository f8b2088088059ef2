"""Finding the class of a provider by its name, from whatever is installed."""

from __future__ import annotations

import sys
import traceback
from typing import TYPE_CHECKING

from tako.compatibility import check_version
from tako.discovery import find_provider
from tako.errors import PluginError
from tako.hooks.checks import one_line
from tako.names import unknown_provider

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
        raise UnknownProviderError(unknown_provider(key))
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
