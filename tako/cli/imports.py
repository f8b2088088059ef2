"""Import what the user names: types of answers, and functions that the model may call."""

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

    from tako.cli.settings import Reference

SOURCE = ".py"


def find_tools(reference: Reference) -> list[Callable[..., Any]]:
    """Return the function of ``module:function``, or all public functions of a file. Raises ConfigurationError."""
    if reference.text.endswith(SOURCE) and reference.allows_files:
        module = _module_of(reference, reference.text, "--tool ")
        functions = [value for name, value in vars(module).items() if _is_tool(name, value, module)]
        if not functions:
            raise ConfigurationError(f"--tool {reference.text}: the file has no public functions")
        return functions
    function = find_object(reference, "--tool ", "function")
    if not callable(function):
        raise ConfigurationError(f"--tool {reference.text} is {kind_of(function)}, not a function")
    return [function]


def find_object(reference: Reference, label: str, kind: str) -> Any:
    """Return the object that ``module:name`` or ``file.py:name`` names. Raises ConfigurationError."""
    path, _, name = reference.text.rpartition(":")
    if not path.endswith(SOURCE) or not reference.allows_files:
        return load(reference.text, reference.folders, label=label, kind=kind)
    module = _module_of(reference, path, label)
    try:
        return getattr(module, name)
    except AttributeError:
        raise ConfigurationError(f"{label}{reference.text}: {path} has no {name!r}") from None


def _module_of(reference: Reference, path: str, label: str) -> ModuleType:
    """Import a Python file as a module. It can import modules in its folder."""
    file = Path(reference.folders[0], os.path.expanduser(path)).resolve()  # noqa: PTH111 - Path's raises for an unknown user
    imported = sys.modules.get(file.stem)
    if imported is not None and getattr(imported, "__file__", None) == str(file):
        return imported
    spec = spec_from_file_location(file.stem, file)
    if spec is None or spec.loader is None or not file.is_file():
        raise ConfigurationError(f"{label}{path}: no such file")
    module = module_from_spec(spec)
    if file.stem not in sys.modules:  # dataclasses look their module up
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
