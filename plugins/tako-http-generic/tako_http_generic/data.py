"""Providers without code: a distribution with a TOML or JSON file and an entry point.

An entry point of the group ``tako.providers`` names this module, then the package and the file's name without its
ending. The package needs no ``__init__.py``. The file may end in ``.toml`` or ``.json``::

    [project.entry-points."tako.providers"]
    acme = "tako_http_generic.data:acme_gateway.Acme"      # the file acme_gateway/Acme.toml

``tako.providers.Acme`` and ``acme:model`` then work as for a plugin with a class of that name.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, ClassVar

from tako_http_generic import HttpGeneric
from tako_http_generic.file import name_file, read_file, read_parameters

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

ENDINGS = (".toml", ".json")


class DataProvider(HttpGeneric):
    """A provider with its parameters in a file. ``options`` override them."""

    file: ClassVar[Traversable]

    def __init__(self, model: str | None = None, **options: Any) -> None:
        with name_file(self.file):
            super().__init__(**read_parameters(self.file, model, options))

    @classmethod
    def from_id(cls, model: str, **options: Any) -> DataProvider:
        """Make a provider from the part of an id after the colon, which is the model; the file may have a default."""
        return cls(model or None, **options)


class Package:
    """A package. Its attributes are the files and packages in it."""

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
    raise AttributeError(f"package {package!r} has no file {name}.toml or {name}.json")


def _provider(package: str, name: str, file: Traversable) -> type[DataProvider]:
    """Make a class with a qualified name, so that it can be pickled."""
    attributes = {
        "__module__": __name__,
        "__qualname__": f"{package}.{name}",
        "__doc__": f"The endpoint that {file.name} of {package} describes.",
        "name": read_file(file)["id"],
        "file": file,
        "needs_event_loop": False,
    }
    return type(name, (DataProvider,), attributes)
