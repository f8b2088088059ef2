"""``[plugins]`` of a tako.toml: the order of general plugins, which of them are required, and their options."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from msgspec import Struct

from tako.environment import is_reference, resolve
from tako.errors import ConfigurationError
from tako.hooks.failures import is_interrupt, one_line
from tako.hooks.required import matches_entry, matches_plugin
from tako.names import did_you_mean, nearest_or_all
from tako.options import fit_value, options_of_function

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from tako.hooks.manager import Plugin
    from tako.installed import Entry


class Settings(Struct, frozen=True):
    """The plugin settings of the file at ``path``, by the names of entry points or distributions.

    The first in ``order`` is outermost. ``options`` has what each plugin's ``configure`` gets.
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
        return self.options.get(self._table_name(plugin), {})

    def location(self, plugin: Plugin) -> str:
        """Name the file and the table of a plugin's options, for errors."""
        return f"{self.path}: plugins.{self._table_name(plugin)}"

    def _table_name(self, plugin: Plugin) -> str:
        names = sorted(self.options, key=lambda name: ":" not in name)  # "DISTRIBUTION:ENTRY" is the most exact
        return next((name for name in names if matches_plugin(name, plugin)), plugin.name)

    def in_order(self, plugins: Iterable[Plugin]) -> Iterator[Plugin]:
        """Iterate over plugins from innermost to outermost. Those in ``order`` come last."""
        ordered: list[tuple[int, Plugin]] = []
        for plugin in plugins:
            position = next((i for i, name in enumerate(self.order) if matches_plugin(name, plugin)), None)
            if position is None:
                yield plugin
            else:
                ordered.append((position, plugin._replace(is_ordered=True)))
        for _, plugin in sorted(ordered, key=lambda pair: pair[0], reverse=True):
            yield plugin

    def check(self, plugins: Mapping[str, Plugin], entries: Iterable[Entry]) -> None:
        """Raise ConfigurationError, with the key, for a plugin that is neither registered nor installed."""
        installed = list(entries)
        keys = {**dict.fromkeys(self.order, "plugins.order"), **{name: f"plugins.{name}" for name in self.options}}
        for name, key in keys.items():
            if name not in plugins and not any(matches_entry(name, entry) for entry in installed):
                names = sorted({*plugins, *(entry.name for entry in installed)})
                raise ConfigurationError(
                    f"{self.path}: {key}: no plugin {name!r} is installed (installed: {', '.join(names) or 'none'})"
                    f"{did_you_mean(name, names)}"
                )


class Configured(NamedTuple):
    """The options that a plugin got, and the problem with them, if there is one."""

    target: object
    options: dict[str, Any]
    problem: str | None = None


def configure_plugin(plugin: Plugin, options: dict[str, Any], where: str) -> Configured:
    """Call a plugin's ``configure`` with its options. ``where`` names the file and the table in error messages."""
    try:
        _configure(plugin, options, where)
    except ConfigurationError as error:
        return Configured(plugin.target, options, str(error))
    return Configured(plugin.target, options)


def _configure(plugin: Plugin, options: dict[str, Any], where: str) -> None:
    configure = getattr(plugin.target, "configure", None)
    if not callable(configure):
        if options:
            raise ConfigurationError(
                f"{where}: plugin {plugin.name!r} has no function configure, so it takes no options"
            )
        return
    known_options = options_of_function(configure)
    if known_options is not None:
        _check_options(options, known_options, plugin.name, where)
    try:
        configure(**{key: resolve(value, key, where) for key, value in options.items()})
    except ConfigurationError as error:
        raise ConfigurationError(str(error) if str(error).startswith(where) else f"{where}: {error}") from None
    except BaseException as error:
        if is_interrupt(error):
            raise
        raise ConfigurationError(f"{where}: plugin {plugin.name!r} refuses its options: {one_line(error)}") from None


def _check_options(options: dict[str, Any], known_options: dict[str, Any], plugin: str, where: str) -> None:
    """Refuse options that a plugin doesn't have, or of another type."""
    for key, value in options.items():
        if key not in known_options:
            hint = nearest_or_all(key, known_options)
            raise ConfigurationError(f"{where}.{key}: plugin {plugin!r} has no such option{hint}")
        try:
            if not is_reference(value):
                fit_value(value, key, known_options[key])
        except ValueError as error:
            raise ConfigurationError(f"{where}.{key}{error}") from None
