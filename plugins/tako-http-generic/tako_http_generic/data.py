"""Providers that are data: a distribution ships a TOML or JSON file and an entry point, and no code.

An entry point of the group ``tako.providers`` names this module, then the package and the file's name without its
ending; the package needs no ``__init__.py``, the file may end in ``.toml`` or ``.json``::

    [project.entry-points."tako.providers"]
    acme = "tako_http_generic.data:acme_gateway.Acme"      # the file acme_gateway/Acme.toml

``tako.providers.Acme`` and ``acme:model`` are then what they would be for a plugin with a class of that name.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, ClassVar

from tako_http_generic import HttpGeneric
from tako_http_generic.file import naming, read_file, settings_of

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

ENDINGS = (".toml", ".json")


class DataProvider(HttpGeneric):
    """A provider whose parameters are in a file; ``options`` win over them."""

    file: ClassVar[Traversable]

    def __init__(self, model: str | None = None, **options: Any) -> None:
        with naming(self.file):
            super().__init__(**settings_of(self.file, model, options))

    @classmethod
    def from_id(cls, model: str, **options: Any) -> DataProvider:
        """Make one from the part of an id that follows the colon; without it the file's own model is meant."""
        return cls(model or None, **options)


class Package:
    """A package, whose attributes are the files in it and the packages within it."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return _find(self._name, name)


def __getattr__(name: str) -> Any:
    if name.startswith("__") or find_spec(name) is None:
        raise AttributeError(f"there is no package {name!r}; write {__name__}:PACKAGE.FILE")
    return Package(name)


@cache
def _find(package: str, name: str) -> Any:
    """Return the provider of a file, or the package of that name."""
    for ending in ENDINGS:
        file = files(package) / f"{name}{ending}"
        if file.is_file():
            return _provider(package, name, file)
    if find_spec(f"{package}.{name}") is not None:
        return Package(f"{package}.{name}")
    raise AttributeError(f"package {package!r} holds no file {name}.toml and no {name}.json")


def _provider(package: str, name: str, file: Traversable) -> type[DataProvider]:
    """Make a class that can be pickled by its place, as any other."""
    members = {
        "__module__": __name__,
        "__qualname__": f"{package}.{name}",
        "__doc__": f"The endpoint that {file.name} of {package} describes.",
        "name": read_file(file)["id"],
        "file": file,
    }
    return type(name, (DataProvider,), members)
