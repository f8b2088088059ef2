"""The entry points of all installed distributions, read so that a broken distribution doesn't affect the others.

`importlib.metadata.entry_points` fails if one distribution is damaged, and reads every file each time. Here, each file
is read once, and again only after something was installed or removed.
"""

from __future__ import annotations

import os
import re
import sys
from contextlib import suppress
from functools import cached_property
from importlib import import_module
from importlib.metadata import DistributionFinder
from operator import attrgetter
from typing import TYPE_CHECKING, Any, NamedTuple

from tako.output import plugin_output_to_stderr

if TYPE_CHECKING:
    from collections.abc import Iterator
    from importlib.metadata import Distribution

PROVIDERS = "tako.providers"
PLUGINS = "tako.plugins"
COMMANDS = "tako.commands"
GROUPS = (PROVIDERS, PLUGINS, COMMANDS)

_REFERENCE = re.compile(r"([\w.]+)\s*(?::\s*([\w.]+)\s*)?(?:\[.*\]\s*)?")
"""``module`` or ``module:attribute``, perhaps with extras after it, which are obsolete."""
_NAME = re.compile(r"[^\s:,\[\]]+")


class Entry:
    """One entry point, not imported yet. ``problem`` is the reason why it can't be used, or None."""

    def __init__(self, group: str, name: str, value: str, source: Source, problem: str | None = None) -> None:
        self.group = group
        self.name = name
        self.value = value
        self.problem = problem or _problem(name, value)
        self._source = source
        reference = _REFERENCE.fullmatch(value)
        self.module, self._attribute = (reference[1], reference[2] or "") if reference else ("", "")
        self.attr = (self._attribute or self.module).rpartition(".")[2]  # of a class within another, the inner name

    @property
    def distribution(self) -> str:
        """The name of its distribution."""
        return self._source.name

    @property
    def version(self) -> str:
        """That distribution's version."""
        return self._source.version

    @property
    def summary(self) -> str:
        """What that distribution says of itself in a line, "" if it says nothing."""
        return self._source.summary

    @property
    def requirements(self) -> list[str]:
        """The requirements of that distribution, as in its metadata. Empty if they can't be read."""
        return self._source.requirements

    def load(self) -> Any:
        """Import the module and return the attribute, or the module if there isn't one."""
        with plugin_output_to_stderr():
            module = import_module(self.module)
            return attrgetter(self._attribute)(module) if self._attribute else module

    def __repr__(self) -> str:
        return f"{self.distribution} {self.version}: {self.name} = {self.value}"


class Source:
    """The distribution of some entry points. Its name and version are read on first use."""

    def __init__(self, distribution: Distribution) -> None:
        self.distribution = distribution
        path = getattr(distribution, "_path", None)  # the only way to find the folder if its metadata can't be read
        self._folder = str(getattr(path, "name", ""))

    @property
    def key(self) -> str:
        """The normalised name, taken from the folder if possible, since then no file has to be read."""
        return normalized_name(self._parts[0]) or f"{normalized_name(self.name)} {'' if self.name != '?' else id(self)}"

    @cached_property
    def name(self) -> str:
        """The name in the metadata, else in the folder's name."""
        return self._field("Name") or self._parts[0].replace("_", "-") or "?"

    @cached_property
    def version(self) -> str:
        """The version, "?" if it's unknown."""
        return self._field("Version") or self._parts[1] or "?"

    @property
    def summary(self) -> str:
        """The summary in the metadata."""
        return self._field("Summary")

    @property
    def requirements(self) -> list[str]:
        """The requirements of the distribution."""
        try:
            return list(self.distribution.requires or ())
        except Exception:  # noqa: BLE001 - as for the name
            return []

    @property
    def _parts(self) -> tuple[str, str]:
        """Name and version from ``name-version.dist-info``, ``name-version-python.egg-info`` or ``name.egg-info``."""
        stem, _, kind = self._folder.rpartition(".")
        name, _, version = stem.rpartition("-") if kind == "dist-info" else stem.partition("-")
        return (name, version) if name else (version, "")

    def _field(self, name: str) -> str:
        return " ".join(str(self._metadata.get(name) or "").split())

    @cached_property
    def _metadata(self) -> Any:
        try:
            return self.distribution.metadata or {}
        except Exception:  # noqa: BLE001 - no file, no text, or a bug in a finder: the folder's name is used instead
            return {}


class _Scan(NamedTuple):
    """The entry points of a scan, and the state of the module search path at that time."""

    folders: tuple[tuple[str, int], ...]
    entries: tuple[Entry, ...]


_last = _Scan((), ())


def entries(group: str) -> list[Entry]:
    """List the entry points of a group by name, without importing any. The first distribution of a name counts."""
    return [entry for entry in _scan() if entry.group == group]


def unreadable() -> list[Entry]:
    """List the distributions whose entry points can't be read, as entries that have a problem and no group."""
    return entries("")


def normalized_name(distribution: str) -> str:
    """Spell a distribution's name as PEP 503 does, so that `-`, `_` and case don't matter."""
    return re.sub(r"[-_.]+", "-", distribution).lower()


def _scan() -> tuple[Entry, ...]:
    global _last  # noqa: PLW0603 - one per process, replaced as a whole
    last, folders = _last, tuple((str(folder), _modified_at(str(folder))) for folder in sys.path)
    if last.folders != folders:
        scanned = sorted(_read_all(), key=lambda entry: (entry.name, entry.value))
        _last = last = _Scan(folders, tuple(scanned))
    return last.entries


def _modified_at(folder: str) -> int:
    """When something was last added to a folder or removed from it; 0 if it doesn't exist."""
    try:
        return os.stat(folder or ".").st_mtime_ns  # noqa: PTH116 - this runs on every call, and a Path costs more than the stat
    except (OSError, ValueError):
        return 0


def _read_all() -> Iterator[Entry]:
    seen_keys: set[str] = set()
    for source in _sources():
        if source.key not in seen_keys:
            seen_keys.add(source.key)
            yield from _read(source)


def _sources() -> Iterator[Source]:
    """Iterate over the distributions of each module finder, as `importlib.metadata.distributions` does."""
    for finder in sys.meta_path:
        find: Any = getattr(finder, "find_distributions", None)
        with suppress(Exception):  # a finder that fails doesn't affect the others
            for distribution in find(DistributionFinder.Context()) if find is not None else ():
                yield Source(distribution)


def _read(source: Source) -> Iterator[Entry]:
    """Read the entry points of one distribution. A bad line doesn't affect the others."""
    try:
        text = str(source.distribution.read_text("entry_points.txt") or "")
    except Exception as error:  # noqa: BLE001 - whatever is wrong with it, the other distributions work
        reason = "isn't UTF-8 text" if isinstance(error, UnicodeError) else f"can't be read: {error}"
        yield Entry("", source.name, "", source, f"its entry_points.txt {reason}")
        return
    group = ""
    for line in map(str.strip, text.lstrip("\ufeff").splitlines()) if "tako." in text else ():
        if line.startswith("["):
            group = line.strip("[] \t")
        elif line and line[0] not in "#;" and group in GROUPS:
            name, equals, value = (piece.strip() for piece in line.partition("="))
            yield Entry(group, name, value, source, None if equals else f"{line!r} isn't NAME = MODULE:ATTRIBUTE")


def _problem(name: str, value: str) -> str | None:
    if not _REFERENCE.fullmatch(value):
        return f"{value!r} isn't MODULE:ATTRIBUTE"
    return None if _NAME.fullmatch(name) and name.isprintable() else f"{name!r} isn't a name"
