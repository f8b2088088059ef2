"""``[plugins]`` of a tako.toml: in which order general plugins stand, which of them calls need, and their options."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from msgspec import Struct

from tako.environment import is_reference, resolve
from tako.errors import ConfigurationError
from tako.hooks.failures import is_interrupt, one_line
from tako.hooks.required import is_meant, stands_for
from tako.names import near
from tako.options import fit, options_of_function

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from tako.hooks.manager import Plugin
    from tako.installed import Entry


class Settings(Struct, frozen=True):
    """What the file at ``path`` says about plugins, by the names of their entry points or distributions.

    The first in ``order`` is outermost. ``options`` are what each plugin's ``configure`` gets.
    """

    path: str = ""
    order: tuple[str, ...] = ()
    required: tuple[str, ...] = ()
    options: dict[str, dict[str, Any]] = {}

    def __bool__(self) -> bool:
        return bool(self.order or self.required or self.options)

    def __repr__(self) -> str:
        return f"<[plugins] of {self.path}>"  # options may be secrets

    def options_for(self, plugin: Plugin) -> dict[str, Any]:
        """Return a plugin's options; empty if the file has none for it."""
        return self.options.get(self._table(plugin), {})

    def where(self, plugin: Plugin) -> str:
        """Name the file and the table of a plugin's options, for errors."""
        return f"{self.path}: plugins.{self._table(plugin)}"

    def _table(self, plugin: Plugin) -> str:
        names = sorted(self.options, key=lambda name: ":" not in name)  # "DISTRIBUTION:ENTRY" says it best
        return next((name for name in names if stands_for(name, plugin)), plugin.name)

    def arranged(self, plugins: Iterable[Plugin]) -> Iterator[Plugin]:
        """Go through plugins from the inside out: those that ``order`` names are the last."""
        placed: list[tuple[int, Plugin]] = []
        for plugin in plugins:
            place = next((i for i, name in enumerate(self.order) if stands_for(name, plugin)), None)
            if place is None:
                yield plugin
            else:
                placed.append((place, plugin._replace(placed=True)))
        for _, plugin in sorted(placed, key=lambda one: one[0], reverse=True):
            yield plugin

    def check(self, plugins: Mapping[str, Plugin], entries: Iterable[Entry]) -> None:
        """Refuse names of plugins that are neither registered nor installed. Raises ConfigurationError with the key."""
        installed = list(entries)
        named = {**dict.fromkeys(self.order, "plugins.order"), **{name: f"plugins.{name}" for name in self.options}}
        for name, key in named.items():
            if name not in plugins and not any(is_meant(name, entry) for entry in installed):
                known = sorted({*plugins, *(entry.name for entry in installed)})
                raise ConfigurationError(
                    f"{self.path}: {key}: no plugin {name!r} is installed (installed: {', '.join(known) or 'none'})"
                    f"{near(name, known)}"
                )


class Given(NamedTuple):
    """The options that a plugin has got, and what is wrong with them, if anything is."""

    target: object
    options: dict[str, Any]
    problem: str | None = None


def give_options(plugin: Plugin, options: dict[str, Any], where: str) -> Given:
    """Call a plugin's ``configure`` with its options; ``where`` names file and table for what is wrong."""
    try:
        _configure(plugin, options, where)
    except ConfigurationError as error:
        return Given(plugin.target, options, str(error))
    return Given(plugin.target, options)


def _configure(plugin: Plugin, options: dict[str, Any], where: str) -> None:
    configure = getattr(plugin.target, "configure", None)
    if not callable(configure):
        if options:
            raise ConfigurationError(
                f"{where}: plugin {plugin.name!r} has no function configure, so it takes no options"
            )
        return
    known = options_of_function(configure)
    if known is not None:
        _check_options(options, known, plugin.name, where)
    try:
        configure(**{key: resolve(value, key, where) for key, value in options.items()})
    except ConfigurationError as error:
        raise ConfigurationError(str(error) if str(error).startswith(where) else f"{where}: {error}") from None
    except BaseException as error:
        if is_interrupt(error):
            raise
        raise ConfigurationError(f"{where}: plugin {plugin.name!r} refuses its options: {one_line(error)}") from None


def _check_options(options: dict[str, Any], known: dict[str, Any], plugin: str, where: str) -> None:
    """Refuse options that a plugin doesn't have, or of another type."""
    for key, value in options.items():
        if key not in known:
            names = ", ".join(known) or "none"
            raise ConfigurationError(f"{where}.{key}: plugin {plugin!r} has no such option (known: {names})")
        try:
            if not is_reference(value):
                fit(value, key, known[key])
        except ValueError as error:
            raise ConfigurationError(f"{where}.{key}{error}") from None
