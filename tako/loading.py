"""Loads objects by their import path: ``package.module:name``."""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.util import find_spec
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tako.errors import ConfigurationError, kind_of
from tako.hooks.failures import is_interrupt, one_line
from tako.output import plugin_output_to_stderr

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


def load_callable(path: str, places: Sequence[str] | None = None, *, label: str = "python:") -> Callable[..., Any]:
    """Import ``package.module:function`` (or ``:object.method``) as ``load`` does. Raises ConfigurationError."""
    target = load(path, places, label=label, kind="callable")
    if not callable(target):
        name = path.partition(":")[2]
        raise ConfigurationError(f"{label}{path}: {name} is {kind_of(target)}, which can't be called")
    return target  # type: ignore[no-any-return]  # its type isn't known


def load(path: str, places: Sequence[str] | None = None, *, label: str, kind: str) -> Any:
    """Import ``package.module:name``, from an installed package or else from these folders.

    ``places`` defaults to the current folder. In errors, ``label`` goes before the path, and ``kind`` says what is
    expected. Raises ConfigurationError.
    """
    module_name, _, name = path.partition(":")
    if not module_name or not name:
        raise ConfigurationError(f"{label}{path} must name a {kind}, as in {label}package.module:function")
    try:
        if not _is_importable(module_name):  # otherwise, later imports of tako would search these folders, too
            folders = [str(Path.cwd())] if places is None else places
            sys.path += [folder for folder in folders if folder not in sys.path]
        with plugin_output_to_stderr():
            module = import_module(module_name)
    except BaseException as error:
        if is_interrupt(error):
            raise
        raise ConfigurationError(f"{label}{path}: {module_name} can't be imported ({one_line(error)})") from error
    try:
        return attrgetter(name)(module)
    except AttributeError:
        raise ConfigurationError(f"{label}{path}: {module_name} has no {name!r}") from None
    except Exception as error:
        raise ConfigurationError(
            f"{label}{path}: reading {name} of {module_name} failed ({one_line(error)})"
        ) from error


def _is_importable(module: str) -> bool:
    """Whether the package of a module can be imported already."""
    top = module.partition(".")[0]
    return top in sys.modules or find_spec(top) is not None
