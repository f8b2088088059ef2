"""``tako.toml``: named providers, a default, and a Conductor, so that vendors change by editing a file.

::

    default = "code"

    [providers.code]
    use = "anthropic"
    model = "claude-sonnet-5-5"
    api_key = "$ENV:ANTHROPIC_API_KEY"

    [providers.math]
    use = "vertex"
    model = "gemini-2.5-pro"
    project_id = "acme"

    [conductor]
    coordinator = "code"
    max_fanout = 8
    [conductor.workers]
    code = "code"
    math = "math"
"""

from __future__ import annotations

import os
import warnings
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from types import NoneType
from typing import TYPE_CHECKING, Any

from msgspec import Struct
from msgspec.structs import asdict

from tako import trust
from tako.conductor import Conductor
from tako.environment import is_reference
from tako.errors import ConfigurationError, MissingKeyError, TakoError, short_repr
from tako.folders import config_folder
from tako.hooks import PLUGINS, get_provider
from tako.hooks.settings import Settings
from tako.json_values import as_array
from tako.keywords import option_hint
from tako.names import did_you_mean
from tako.options import PLACES_PARAMETER, accepts_places, fit_value, options_of
from tako.presets import Preset
from tako.referenced_files import ReferencedFiles, import_from, read_referenced_files, read_regular_file, settings_path
from tako.tables import ConductorTable, ProviderTable, one_of, read_tables

if TYPE_CHECKING:
    from tako.provider import Provider

VARIABLE = "TAKO_CONFIG"
NAME = "tako.toml"
MAX_BYTES = 1024 * 1024
"""Bytes of the largest configuration."""
_CHANGED = "has changed since you trusted it, so it isn't used; to see what it does now, and to trust it: tako trust"


class UntrustedWarning(UserWarning):
    """A tako.toml in the current folder was skipped, since you don't trust it."""


class RulesError(ConfigurationError):
    """A file that may have ``[plugins]`` is wrong. The required plugins are unknown, so nothing is sent."""


class Config(Struct, frozen=True):
    """A configuration file. Providers are made when you request them, so a missing key only concerns its own provider.

    Attributes:
        path: The file.
        providers: The ``[providers.NAME]`` tables, and ``[aliases]``.
        default: The name of the default provider.
        conductor_table: The ``[conductor]`` table.
        places: Folders of modules that the file names and that aren't installed.
        plugins: The ``[plugins]`` tables.
        chat: The ``[chat]`` table, for the command.
        templates: The ``[templates.NAME]`` tables, for the command.
    """

    path: str
    providers: dict[str, ProviderTable] = {}
    default: str | None = None
    conductor_table: ConductorTable | None = None
    places: tuple[str, ...] = ()
    plugins: Settings = Settings()
    chat: Preset = Preset()
    templates: dict[str, Preset] = {}

    def provider(self, name: str | None = None, **options: Any) -> Provider:
        """Make the provider with this name, or the default one. ``options`` override those of the file.

        ``NAME:MODEL`` is that provider with another model. Raises ConfigurationError, or what the provider raises, with
        the file and the key.
        """
        requested = name if name is not None else self.default
        if requested is None:
            raise ConfigurationError(f"{self.path}: default isn't set; it names {one_of(self.providers)}")
        name, _, model = requested.partition(":")
        if name not in self.providers:
            raise ConfigurationError(f"{self.path}: there is no [providers.{name}]; {self._known_names(name, model)}")
        table = self.providers[name].of_model(model)
        where = self._location(name)
        try:
            return get_provider(table.id, **{**self.options(name), **options})
        except TakoError as error:
            text = str(error.args[0]).replace(f"{table.use}:MODEL", f"{name}:MODEL")
            if isinstance(error, MissingKeyError) and not table.alias:  # a line of [aliases] has no options
                error.advice = 'write api_key = "$ENV:NAME"'
            error.args = (text if text.startswith(where) else f"{where}: {text}",)
            failure = error.with_traceback(None)
        except Exception as error:  # noqa: BLE001 - a constructor that fails on a value that it didn't check
            failure = ConfigurationError(f"{where}: {table.id} refuses its options: {type(error).__name__}: {error}")
        options.clear()  # a traceback with locals shows this frame
        raise failure

    def conductor(self) -> Conductor:
        """Make the Conductor. Raises ConfigurationError with the file and the key."""
        table = self.conductor_table
        if table is None:
            raise ConfigurationError(f"{self.path}: [conductor] is missing; its workers name {one_of(self.providers)}")
        names = [*table.workers.values(), *([table.coordinator] if table.coordinator else [])]
        providers = {name: self.provider(name) for name in dict.fromkeys(names)}
        try:
            return Conductor(
                {role: providers[name] for role, name in table.workers.items()},
                providers[table.coordinator] if table.coordinator else None,
                max_steps=table.max_steps,
                max_fanout=table.max_fanout,
                worker_timeout=table.worker_timeout,
                fail_fast=table.fail_fast,
                system=table.system,
            )
        except ConfigurationError as error:
            raise ConfigurationError(f"{self.path}: conductor: {error}") from error

    def options(self, name: str, within: tuple[str, ...] = ()) -> dict[str, Any]:
        """Return the options of a provider of the file, for ``get_provider``. Files that they name aren't read yet.

        Paths of files with settings start from the folder of the configuration. Raises ConfigurationError with the key.
        ``within`` has the names of the providers that contain this one.
        """
        table = self.providers[name]
        where = self._location(name)
        cls = PLUGINS.provider_class(table.use.partition(":")[0])
        places = {PLACES_PARAMETER: self.places} if accepts_places(cls) else {}
        options: dict[str, Any] = {"label": table.label, **places}
        known_options = options_of(cls)
        if known_options is None:
            return {**options, **table.options, **places}
        for key, value in table.options.items():
            if key not in known_options:
                raise ConfigurationError(
                    f"{where}.{key}: {table.use} has no such option{option_hint(key, known_options)}"
                )
            if key in cls.options_of_providers:
                options[key] = self._parts(f"{where}.{key}", value, (*within, name))
                continue
            path = settings_path(Path(self.path).parent, value)
            try:
                options[key] = value if is_reference(value) else fit_value(path or value, key, known_options[key])
            except ValueError as error:
                raise ConfigurationError(f"{where}.{key}{error}") from None
        return options

    def _known_names(self, name: str, model: str) -> str:
        """Say which names the file has. With a model, it may have been meant as the id of an installed provider."""
        names = f"known names: {', '.join(self.providers) or 'none'}{did_you_mean(name, self.providers)}"
        return f"{names}; tako.get_provider takes ids" if model else names

    def _location(self, name: str) -> str:
        """Return the file and the key of a provider, for messages."""
        return f"{self.path}: {'aliases' if self.providers[name].alias else 'providers'}.{name}"

    def _parts(self, where: str, names: Any, within: tuple[str, ...]) -> list[dict[str, Any]]:
        """Return the providers inside another one, as ids with their options."""
        names = as_array(names)
        if names is None:
            raise ConfigurationError(f"{where}: expected names of providers: {one_of(self.providers)}")
        parts: list[dict[str, Any]] = []
        for name in names:
            if name in within:
                raise ConfigurationError(f"{where}: {name} is a part of itself")
            if name not in self.providers:
                raise ConfigurationError(f"{where}: {name!r} isn't {one_of(self.providers)}")
            parts.append({"id": self.providers[name].id, "options": self.options(name, within)})
        return parts


class FoundConfig(Struct, frozen=True):
    """The configuration that applies, if there is one, and why the one in the current folder was skipped, or ""."""

    config: Config | None = None
    skipped: str = ""


def load_config(path: str | os.PathLike[str] | None = None) -> Config:
    """Read a configuration, and apply its ``[plugins]`` to this process.

    Without a path, it's the file in TAKO_CONFIG, else ./tako.toml if you trust it, else your own in your home folder. A
    file in the current folder that you don't trust is skipped with an UntrustedWarning.

    Raises:
        ConfigurationError: There is no file, or something in it is wrong. The text names the file and the key.
    """
    search = find_config(path)
    if search.skipped:
        warnings.warn(f"tako: {search.skipped}", UntrustedWarning, stacklevel=2)
    if search.config is None:
        raise ConfigurationError(missing_message(search.skipped))
    use_plugins(search.config)
    return search.config


def use_plugins(config: Config | None) -> None:
    """Apply the plugin settings of a configuration. Without any, nothing changes."""
    if config is not None and config.plugins:
        PLUGINS.use(config.plugins)


def missing_message(skipped: str = "") -> str:
    """Return the message that there's no configuration, and why."""
    places = f"neither {VARIABLE} nor ./{NAME} nor {user_config() or 'a home folder'}"
    return f"no configuration: {skipped or places}"


def find_config(path: str | os.PathLike[str] | None = None) -> FoundConfig:
    """Read the configuration that ``load_config`` returns, if there is one. Each file is read once.

    Raises ConfigurationError if the file of ``path`` or TAKO_CONFIG doesn't exist, or if a file is wrong.
    """
    given_path = path if path is not None else os.environ.get(VARIABLE) or None
    if not isinstance(given_path, (str, os.PathLike, NoneType)):
        raise ConfigurationError(f"the path of a configuration is a str or a Path, not {short_repr(given_path)}")
    if given_path is not None:
        return FoundConfig(_read_named(os.fspath(given_path), "" if path is not None else f" ({VARIABLE})"))
    user_file = user_config()
    config, skipped = _read_current_folder(Path(NAME), user_file)
    return FoundConfig(config or (_read_user_config(user_file) if user_file is not None else None), skipped)


def user_config() -> Path | None:
    """Return the path of the user's own configuration, even if it doesn't exist. None without a home folder."""
    folder = config_folder()
    return folder / NAME if folder is not None else None


class Review(Struct, frozen=True):
    """The contents of a file that is to be trusted: its configuration, SHA-256, and the files that it refers to."""

    config: Config
    sha256: str
    files: ReferencedFiles


def review(path: Path) -> Review:
    """Read a file, to show what trusting it means. Raises ConfigurationError if it doesn't exist, or is wrong."""
    data = _read(path)
    if data is None:
        raise ConfigurationError(f"{path}: no such file")
    return _review(path, data)


def _review(path: Path, data: bytes) -> Review:
    config = _parse(path, data)
    tables: list[Any] = [[table.id, table.options] for table in config.providers.values()]
    tables += [config.plugins.options, *map(asdict, (config.chat, *config.templates.values()))]
    return Review(config, sha256(data).hexdigest(), read_referenced_files(path.parent, tables))


def _read_current_folder(path: Path, user_file: Path | None) -> tuple[Config | None, str]:
    """Read the file of the current folder if it's trusted. Returns it, or None and the reason why it's skipped."""
    try:
        data = _read(path)
        if data is None or (user_file is not None and trust.canonical_path(path) == trust.canonical_path(user_file)):
            return None, ""
        record = trust.find_record(path)
        if record is None:
            return None, f"./{path} isn't trusted, so it isn't used; to see what it does, and to trust it: tako trust"
        if record.sha256 != sha256(data).hexdigest():
            return None, f"./{path} {_CHANGED}"
        reviewed = _review(path, data)
        changed = dict(record.beside.items() ^ reviewed.files.hashes.items())
        if changed:
            return None, f"{min(changed)}, which ./{path} runs or reads, {_CHANGED}"
    except ConfigurationError as error:
        return None, f"./{path} isn't used: {error}"
    import_from(reviewed.files)
    return reviewed.config, ""


def _read_user_config(path: Path) -> Config | None:
    data = _read(path)
    return _parse(path, data) if data is not None else None


def _read_named(name: str, source: str) -> Config:
    """Read a file that the user named. It may be a pipe."""
    if not name:
        raise ConfigurationError(f"the path of a configuration is empty{source}")
    path = Path(os.path.expanduser(name))  # noqa: PTH111 - Path's raises if there's no such user
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError, ValueError):
        raise ConfigurationError(f"{name}: no such file{source}; a configuration is expected there") from None
    except OSError as error:
        raise ConfigurationError(f"{name}: can't be read{source}: {error.strerror or error}") from None
    if len(data) > MAX_BYTES:
        raise ConfigurationError(f"{name} is larger than {MAX_BYTES // 1024} KiB")
    return _parse(path, data, named=True)


def _read(path: Path) -> bytes | None:
    """Read a file in a usual place, None if there isn't one. Raises ConfigurationError."""
    try:
        return read_regular_file(path, MAX_BYTES)
    except OSError as error:
        raise ConfigurationError(f"{path} can't be read: {error.strerror or error}") from None


def _parse(path: Path, data: bytes, *, named: bool = False) -> Config:
    """Parse a file's content. A file that the user ``named`` may import modules from the current folder, too."""
    try:
        tables = read_tables(str(path), data)
    except ConfigurationError as error:
        raise RulesError(*error.args) if b"plugins" in data else error from None
    places = [path.parent.resolve()]
    if named:
        with suppress(OSError):  # the current folder may have been deleted
            places.append(Path.cwd())
    file, folders = tables.file, tuple(map(str, dict.fromkeys(places)))
    return Config(
        str(path),
        tables.providers,
        file.default,
        file.conductor,
        folders,
        tables.plugins,
        tables.chat,
        tables.templates,
    )
