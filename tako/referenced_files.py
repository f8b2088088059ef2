"""The files that a ``tako.toml`` refers to in its own folder: Python modules that it runs, and files with settings.

If you trust a file, you trust these, too. tako remembers their content, and that of the modules that they import from
the same folder. It then runs the text that it checked, so a file that changes in between, or byte code next to it, has
no effect.
"""

from __future__ import annotations

import ast
import os
import re
import stat
import sys
from contextlib import suppress
from hashlib import sha256
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, all_suffixes
from importlib.util import spec_from_file_location
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from tako.errors import ConfigurationError
from tako.json_values import as_array, as_object

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import ModuleType

MAX_BYTES = 64 * 1024 * 1024
"""The size of the largest file that is read."""
SETTINGS_SUFFIXES = (".toml", ".json")
_CALLABLE = re.compile(r"([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*):[A-Za-z_][\w.]*")
"""The part after the provider's name in ``use = "python:package.module:function"``."""


class ReferencedFiles(Struct):
    """Files in a folder: their SHA-256 by relative path, and of each module its file and its source."""

    folder: Path
    hashes: dict[str, str] = {}
    sources: dict[str, tuple[str, bytes]] = {}


def read_referenced_files(folder: Path, tables: Any) -> ReferencedFiles:
    """Read the files in a folder that tables refer to. Raises ConfigurationError if a file is too large."""
    files = ReferencedFiles(folder.resolve())
    modules: list[str] = []
    for value in iter_texts(tables):
        reference = _CALLABLE.fullmatch(value) or _CALLABLE.fullmatch(value.partition(":")[2])
        if reference is not None:
            modules.append(reference[1])
        settings_file = settings_path(folder, value)
        if settings_file is not None:
            _read_file(folder, Path(settings_file), files)
    visited: set[str] = set()
    while modules:
        name = modules.pop()
        if name in visited:
            continue
        visited.add(name)
        for module, file in _module_files(folder, name):
            data = _read_file(folder, file, files)
            if data is not None and file.suffix == ".py" and module not in files.sources:
                files.sources[module] = str(file), data
                modules += _imported_modules(data, module, is_package=file.stem == "__init__")
    return files


def settings_path(folder: Path, value: Any) -> str | None:
    """Return the path if a value names a file with settings, else None."""
    if not isinstance(value, str) or not value.endswith(SETTINGS_SUFFIXES) or "://" in value or value.startswith("~"):
        return None
    return str(folder / value)


def import_from(files: ReferencedFiles) -> None:
    """From now on, import these modules from the source that was read. Installed modules still take precedence."""
    other_finders = [
        finder
        for finder in sys.meta_path
        if not (isinstance(finder, _CheckedImporter) and finder.folder == files.folder)
    ]
    sys.meta_path[:] = [_CheckedImporter(files), *other_finders] if files.sources else other_finders


def read_regular_file(path: Path, limit: int) -> bytes | None:
    """Read a file of at most ``limit`` bytes. None if there isn't one, or if it's a pipe or a device.

    Raises OSError if it can't be read, and ConfigurationError if it's larger.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError, ValueError):
        return None
    with open(descriptor, "rb") as file:  # noqa: PTH123 - by its descriptor, so that the file that was checked is the one that is read
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return None
        data = file.read(limit + 1)
    if len(data) > limit:
        raise ConfigurationError(f"{path} is larger than {limit // 1024} KiB")
    return data


def iter_texts(value: Any) -> Iterator[str]:
    """Iterate over all texts in a value."""
    if isinstance(value, str):
        yield value
    table, items = as_object(value), as_array(value)
    for item in table.values() if table is not None else items or ():
        yield from iter_texts(item)


def _read_file(folder: Path, file: Path, files: ReferencedFiles) -> bytes | None:
    """Read a file and record its hash. None if it can't be read: then Python can't import it, either."""
    with suppress(OSError):
        data = read_regular_file(file, MAX_BYTES)
        if data is not None:
            files.hashes[os.path.relpath(file, folder)] = sha256(data).hexdigest()
        return data
    return None


def _module_files(folder: Path, module: str) -> Iterator[tuple[str, Path]]:
    """Iterate over a module and its parent packages, as far as a folder has files for them: names and paths."""
    parts = module.split(".")
    for depth in range(1, len(parts) + 1):
        module_path = folder.joinpath(*parts[:depth])
        for suffix in all_suffixes():
            for file in (module_path / f"__init__{suffix}", module_path.parent / f"{module_path.name}{suffix}"):
                if os.path.isfile(file):  # noqa: PTH113 - Path's raises where a name is too long
                    yield ".".join(parts[:depth]), file


def _imported_modules(source: bytes, module: str, *, is_package: bool) -> list[str]:
    """Return the names of the modules that a module may import, from its import statements."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []  # Python can't run it, either
    package = module.split(".") if is_package else module.split(".")[:-1]
    names: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            start = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*start, *([node.module] if node.module else [])])
            names += [base, *(f"{base}.{alias.name}" if base else alias.name for alias in node.names)]
    return [name for name in names if name]


class _CheckedImporter(MetaPathFinder, Loader):
    """Imports modules from sources that were read before, never from byte code."""

    def __init__(self, files: ReferencedFiles) -> None:
        self.folder = files.folder
        self._sources = files.sources

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        is_package = any(name.startswith(f"{fullname}.") for name in self._sources)
        if not (is_package or fullname in self._sources) or _is_shadowed(fullname.partition(".")[0], self.folder):
            return None
        if fullname not in self._sources:  # a folder without __init__.py
            return ModuleSpec(fullname, None, is_package=True)  # no locations, so nothing else is searched
        file = Path(self._sources[fullname][0])
        locations = [str(file.parent)] if file.stem == "__init__" else None
        return spec_from_file_location(fullname, file, loader=self, submodule_search_locations=locations)

    def exec_module(self, module: ModuleType) -> None:
        file, source = self._sources[module.__name__]
        exec(compile(source, file, "exec", dont_inherit=True), module.__dict__)  # noqa: S102 - that is importing


def _is_shadowed(package: str, folder: Path) -> bool:
    """Whether an installed module with this name would be imported before a file in the folder."""
    if package in sys.stdlib_module_names:
        return True
    other_finders = [
        finder for finder in sys.meta_path if finder is not PathFinder and not isinstance(finder, _CheckedImporter)
    ]
    if any(hasattr(finder, "find_spec") and finder.find_spec(package, None) is not None for finder in other_finders):
        return True
    for entry in sys.path:
        if Path(entry).resolve() == folder:
            return False
        if PathFinder.find_spec(package, [entry]) is not None:
            return True
    return False
