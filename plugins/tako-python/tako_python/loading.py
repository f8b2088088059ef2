"""Finding a callable by its import path, for ids like ``python:package.module:function``."""

from __future__ import annotations

import sys
from importlib import import_module
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tako.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable


def load(path: str) -> Callable[..., Any]:
    """Import ``package.module:function`` (or ``:object.method``); modules of the working directory are found, too.

    Raises ConfigurationError.
    """
    module_name, _, name = path.partition(":")
    if not module_name or not name:
        raise ConfigurationError(f"python:{path} names no callable; python:package.module:function is expected")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.append(here)  # last, so that it hides nothing that is installed
    try:
        module = import_module(module_name)
    except (Exception, SystemExit) as error:
        text = " ".join(f"{type(error).__name__}: {error}".split())
        raise ConfigurationError(f"python:{path}: {module_name} cannot be imported ({text})") from error
    try:
        found = attrgetter(name)(module)
    except AttributeError:
        raise ConfigurationError(f"python:{path}: {module_name} has no {name!r}") from None
    if not callable(found):
        raise ConfigurationError(f"python:{path}: {name} is a {type(found).__name__}, which cannot be called")
    return found  # type: ignore[no-any-return]  # it was found by name
