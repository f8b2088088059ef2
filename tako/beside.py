"""What a ``tako.toml`` names from its own folder: Python modules that it runs, and files of settings.

Trust in a file covers these, too: they are remembered by their content, with the modules that they import from there.
A module is then run from the text that was checked: a file that changes meanwhile, or byte code that lies beside it,
changes nothing.
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
from tako.loose import as_array, as_object

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import ModuleType

LARGEST = 64 * 1024 * 1024
"""Bytes of the largest file beside a tako.toml that is read to check it."""
SETTINGS = (".toml", ".json")
_CALLABLE = re.compile(r"([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*):[A-Za-z_][\w.]*")
"""As in ``use = "python:package.module:function"``, after the provider's name."""


class Beside(Struct):
    """Files in a folder by their paths from there: SHA-256, and of modules by their names the file and its source."""

    folder: Path
    hashes: dict[str, str] = {}
    sources: dict[str, tuple[str, bytes]] = {}


def read_beside(folder: Path, tables: Any) -> Beside:
    """Read what tables (of a file in that folder) name from it. Raises ConfigurationError where a file is too large."""
    beside = Beside(folder.resolve())
    wanted: list[str] = []
    for value in texts_in(tables):
        found = _CALLABLE.fullmatch(value) or _CALLABLE.fullmatch(value.partition(":")[2])
        if found is not None:
            wanted.append(found[1])
        settings = settings_path(folder, value)
        if settings is not None:
            _read(folder, Path(settings), beside)
    seen: set[str] = set()
    while wanted:
        name = wanted.pop()
        if name in seen:
            continue
        seen.add(name)
        for module, file in _files(folder, name):
            data = _read(folder, file, beside)
            if data is not None and file.suffix == ".py" and module not in beside.sources:
                beside.sources[module] = str(file), data
                wanted += _imports(data, module, is_package=file.stem == "__init__")
    return beside


def settings_path(folder: Path, value: Any) -> str | None:
    """Return the path of a file with settings that a value names from a folder; None for any other value."""
    if not isinstance(value, str) or not value.endswith(SETTINGS) or "://" in value or value.startswith("~"):
        return None
    return str(folder / value)


def serve(beside: Beside) -> None:
    """Import these modules from what was read, from now on; what is installed elsewhere still goes first."""
    others = [one for one in sys.meta_path if not (isinstance(one, _Checked) and one.folder == beside.folder)]
    sys.meta_path[:] = [_Checked(beside), *others] if beside.sources else others


def read_regular(path: Path, limit: int) -> bytes | None:
    """Read a file of at most ``limit`` bytes; None where there is none. Nothing but a regular file is waited for.

    Raises OSError where it cannot be read, and ConfigurationError where it is larger.
    """
    try:
        number = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError, ValueError):
        return None
    with open(number, "rb") as file:  # noqa: PTH123 - by its descriptor, so that what was looked at is what is read
        if not stat.S_ISREG(os.fstat(number).st_mode):
            return None
        data = file.read(limit + 1)
    if len(data) > limit:
        raise ConfigurationError(f"{path} is larger than {limit // 1024} KiB")
    return data


def texts_in(value: Any) -> Iterator[str]:
    """Iterate over all text in what a file holds."""
    if isinstance(value, str):
        yield value
    table, items = as_object(value), as_array(value)
    for one in table.values() if table is not None else items or ():
        yield from texts_in(one)


def _read(folder: Path, file: Path, beside: Beside) -> bytes | None:
    """Read a file and remember its hash; one that cannot be read cannot be used either."""
    with suppress(OSError):
        data = read_regular(file, LARGEST)
        if data is not None:
            beside.hashes[os.path.relpath(file, folder)] = sha256(data).hexdigest()
        return data
    return None


def _files(folder: Path, module: str) -> Iterator[tuple[str, Path]]:
    """Iterate over the files that a folder has for a module and the packages around it, with their names."""
    parts = module.split(".")
    for depth in range(1, len(parts) + 1):
        place = folder.joinpath(*parts[:depth])
        for suffix in all_suffixes():
            for file in (place / f"__init__{suffix}", place.parent / f"{place.name}{suffix}"):
                if os.path.isfile(file):  # noqa: PTH113 - Path's raises where a name is too long
                    yield ".".join(parts[:depth]), file


def _imports(source: bytes, module: str, *, is_package: bool) -> list[str]:
    """Return the names of the modules that a module may import, as far as its text tells."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []  # nor can Python run it
    around = module.split(".") if is_package else module.split(".")[:-1]
    names: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            start = around[: len(around) - node.level + 1] if node.level else []
            base = ".".join([*start, *([node.module] if node.module else [])])
            names += [base, *(f"{base}.{alias.name}" if base else alias.name for alias in node.names)]
    return [name for name in names if name]


class _Checked(MetaPathFinder, Loader):
    """Imports modules from texts that were read before. There is no byte code of them."""

    def __init__(self, beside: Beside) -> None:
        self.folder = beside.folder
        self._sources = beside.sources

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        around = any(name.startswith(f"{fullname}.") for name in self._sources)
        if not (around or fullname in self._sources) or _is_elsewhere(fullname.partition(".")[0], self.folder):
            return None
        if fullname not in self._sources:  # a folder without __init__.py
            return ModuleSpec(fullname, None, is_package=True)  # without a place where others would be looked for
        file = Path(self._sources[fullname][0])
        places = [str(file.parent)] if file.stem == "__init__" else None
        return spec_from_file_location(fullname, file, loader=self, submodule_search_locations=places)

    def exec_module(self, module: ModuleType) -> None:
        file, source = self._sources[module.__name__]
        exec(compile(source, file, "exec", dont_inherit=True), module.__dict__)  # noqa: S102 - that is importing


def _is_elsewhere(top: str, folder: Path) -> bool:
    """Whether something that is installed has this name and would be imported before a file in the folder."""
    if top in sys.stdlib_module_names:
        return True
    others = [finder for finder in sys.meta_path if finder is not PathFinder and not isinstance(finder, _Checked)]
    if any(hasattr(finder, "find_spec") and finder.find_spec(top, None) is not None for finder in others):
        return True
    for entry in sys.path:
        if Path(entry).resolve() == folder:
            return False
        if PathFinder.find_spec(top, [entry]) is not None:
            return True
    return False
