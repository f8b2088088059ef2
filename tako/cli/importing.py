"""What the command imports because somebody names it: types of answers, and functions that the model may call."""

from __future__ import annotations

import os
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tako.errors import ConfigurationError, kind_of
from tako.hooks.failures import is_interrupt, one_line
from tako.loading import load
from tako.output import plugin_output_to_stderr

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    from tako.cli.settings import Named

SOURCE = ".py"


def find_tools(named: Named) -> list[Callable[..., Any]]:
    """Return the function of ``module:function``, or all public functions of a file. Raises ConfigurationError."""
    if named.text.endswith(SOURCE) and named.files:
        module = _module_of(named, named.text, "--tool ")
        found = [one for name, one in vars(module).items() if _is_tool(name, one, module)]
        if not found:
            raise ConfigurationError(f"--tool {named.text}: the file has no public functions")
        return found
    function = find(named, "--tool ", "function")
    if not callable(function):
        raise ConfigurationError(f"--tool {named.text} is {kind_of(function)}, not a function")
    return [function]


def find(named: Named, label: str, what: str) -> Any:
    """Return what ``module:name`` or ``file.py:name`` stands for. Raises ConfigurationError."""
    path, _, name = named.text.rpartition(":")
    if not path.endswith(SOURCE) or not named.files:
        return load(named.text, named.places, label=label, what=what)
    module = _module_of(named, path, label)
    try:
        return getattr(module, name)
    except AttributeError:
        raise ConfigurationError(f"{label}{named.text}: {path} has no {name!r}") from None


def _module_of(named: Named, path: str, label: str) -> ModuleType:
    """Import a file of Python as a module of its own; what lies beside it can be imported by it."""
    file = Path(named.places[0], os.path.expanduser(path)).resolve()  # noqa: PTH111 - Path's raises where ~ is nobody's
    known = sys.modules.get(file.stem)
    if known is not None and getattr(known, "__file__", None) == str(file):
        return known
    spec = spec_from_file_location(file.stem, file)
    if spec is None or spec.loader is None or not file.is_file():
        raise ConfigurationError(f"{label}{path}: no such file")
    module = module_from_spec(spec)
    if file.stem not in sys.modules:  # dataclasses look for their module
        sys.modules[file.stem] = module
    sys.path.append(str(file.parent))
    try:
        with plugin_output_to_stderr():
            spec.loader.exec_module(module)
    except BaseException as error:
        sys.modules.pop(file.stem, None)
        if is_interrupt(error):
            raise
        raise ConfigurationError(f"{label}{path} can't be imported ({one_line(error)})") from error
    return module


def _is_tool(name: str, value: Any, module: ModuleType) -> bool:
    return (
        not name.startswith("_")
        and callable(value)
        and getattr(value, "__module__", "") == module.__name__
        and not isinstance(value, type)
    )
