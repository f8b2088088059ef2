"""The plugins of this process: those that are installed, and those that code registers."""

from __future__ import annotations

import atexit
import threading
import warnings
from functools import wraps
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from tako.discovery import exclusion_reason, find_class, find_provider, names_if_set, plugin_entries
from tako.errors import ConfigurationError, PluginError, TakoError
from tako.hooks.failures import is_interrupt, one_line, report
from tako.hooks.import_lock import ImportLock
from tako.hooks.manager import HookResult, Hooks, Plugin, check_plugin
from tako.hooks.provider_classes import import_provider
from tako.hooks.required import REQUIRE, check_required, matches_plugin
from tako.hooks.settings import Configured, Settings, configure_plugin

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from tako.hooks.hook_calls import Failure
    from tako.installed import Entry
    from tako.provider import Provider
    from tako.translator import Translator

T = TypeVar("T")

_NOT_PLUGINS = (str, bytes, int, float, tuple, list, dict, set)
"""Types without hooks that somebody may pass by mistake."""


class PluginWarning(UserWarning):
    """A plugin was left out; everything else works."""


class Snapshot(NamedTuple):
    """The plugins of a process at one moment, for ``restore``."""

    general: dict[str, Plugin]
    failed: dict[str, str]
    left_out: dict[type[Provider], frozenset[str]]
    classes: dict[str, type[Provider]]
    settings: Settings


class Plugins:
    """The plugins of this process. All methods may be called from any thread."""

    def __init__(self) -> None:
        self.failed: dict[str, str] = {}
        """Why a plugin failed, by its name: one line, then the traceback."""
        self._general: dict[str, Plugin] = {}
        self._left_out: dict[type[Provider], frozenset[str]] = {}
        self._classes: dict[str, type[Provider]] = {}
        self._managers: dict[type[Provider], Hooks] = {}
        self._problems: dict[str, str | None] = {}  # of the installed plugins, None for those that work
        self._settings = Settings()
        self._configured: dict[str, Configured] = {}
        self._loaded = False
        self._changes = 1  # how often plugins or settings have changed, and how many of the changes are applied
        self._applied_changes = 0
        self._import_lock = ImportLock()
        self._lock = threading.RLock()

    def register(self, plugin: object, name: str | None = None, *, required: bool = False) -> None:
        """Add a plugin that isn't packaged: a module, or any object with hook implementations.

        Args:
            plugin: The module or object.
            name: Its name in lists and errors.
            required: If the plugin fails for a provider, that provider's calls raise a PluginError. Otherwise a plugin
                that fails is left out there.

        Raises:
            PluginError: It isn't a plugin, its hooks don't fit, or it's registered already.
        """
        if plugin is None or isinstance(plugin, _NOT_PLUGINS):
            raise PluginError(f"a plugin is a module, or an object with hooks, not {plugin!r}")
        label = name or getattr(plugin, "__name__", None) or f"{type(plugin).__name__}-{id(plugin):x}"
        self._add(check_plugin(plugin, label, required=required))

    def _add(self, plugin: Plugin) -> None:
        with self._lock:
            if any(plugin.target is registered.target for registered in self._general.values()):
                raise PluginError(f"plugin {plugin.name!r} is registered already")
            if plugin.name in self._general:
                raise PluginError(f"another plugin is named {plugin.name!r}; pass a name: tako.register(plugin, NAME)")
            self._general[plugin.name] = plugin
            self._forget(plugin.name)

    def unregister(self, plugin: object) -> None:
        """Remove a plugin, given as the object or its name. If it has a ``close``, it's called.

        Raises:
            PluginError: It isn't registered.
        """
        self.load()
        with self._lock:
            plugin_name = plugin if isinstance(plugin, str) else None
            names = [
                name for name, registered in self._general.items() if registered.target is plugin or name == plugin_name
            ]
            if not names:
                raise PluginError(f"plugin {plugin!r} isn't registered")
            removed = self._general.pop(names[0])
            self._forget(names[0])
        close(removed)

    def _forget(self, label: str) -> None:
        """Forget the failures of a plugin with that name."""
        self._left_out = {cls: left_out - {label} for cls, left_out in self._left_out.items()}
        self._change()

    def general(self) -> dict[str, Plugin]:
        """Return the general plugins by their names, in load order."""
        self.load()
        with self._lock:
            return dict(self._general)

    def load(self) -> None:
        """Import the installed general plugins, once. A broken one is recorded and left out, with a warning.

        Then each plugin gets its options. Plugins run without the lock, since they may need it.
        """
        if self._applied_changes == self._changes or self._import_lock.is_held_here:
            return
        with self._import_lock:
            texts = [] if self._loaded else self._import()
            changes = self._changes
            self._configure_plugins()
            self._applied_changes = changes
        for text in texts:
            warnings.warn(text, PluginWarning, stacklevel=2)

    def _import(self) -> list[str]:
        """Import the installed general plugins; returns the warnings about those that are left out."""
        loaded = [(entry, _load_entry(entry)) for entry in plugin_entries() if exclusion_reason(entry) is None]
        with self._lock:
            self._loaded = True
            left_out: dict[tuple[str, str], list[str]] = {}
            for entry, plugin in loaded:
                if (reason := self._admit(entry, plugin)) is not None:
                    left_out.setdefault((f"{entry.distribution} {entry.version}", reason), []).append(entry.name)
            return [_warning(names, *of_and_why) for of_and_why, names in left_out.items()]

    def _configure_plugins(self) -> None:
        """Configure the plugins that have options, and those that had some before."""
        settings, configured = self._settings, dict[str, Configured]()
        for name, plugin in list(self._general.items()):
            options = settings.options_for(plugin)
            previous = self._configured.get(name)
            if previous is None or previous.target is not plugin.target:
                previous = Configured(plugin.target, {})
            configured[name] = (
                previous
                if previous.options == options
                else configure_plugin(plugin, options, settings.location(plugin))
            )
        self._configured = configured

    def _admit(self, entry: Entry, plugin: object) -> str | None:
        """Register an installed plugin, or record why not and return the reason."""
        label = entry.name if entry.name not in self._general else f"{entry.distribution}:{entry.name}"
        failure = plugin if isinstance(plugin, BaseException) else None
        registered_name = next(
            (name for name, registered in self._general.items() if registered.target is plugin), None
        )
        try:
            if registered_name is not None:  # the module registered itself during its import
                self._general[registered_name] = self._general[registered_name]._replace(entry=entry)
                self._change()
            elif failure is None:
                self._add(check_plugin(plugin, label)._replace(entry=entry))
        except PluginError as error:
            failure = error
        self._problems[repr(entry)] = one_line(failure) if failure is not None else None
        if failure is None:
            return None
        self.failed[label] = report(failure)
        return one_line(failure)

    def problem_of(self, entry: Entry) -> str | None:
        """Say what is wrong with an installed general plugin; None if it works."""
        return self._problems.get(repr(entry))

    @property
    def settings(self) -> Settings:
        """What the configuration says about plugins."""
        return self._settings

    def use(self, settings: Settings) -> None:
        """Apply the settings of a configuration, until another one has settings for plugins."""
        with self._lock:
            self._settings = settings
            self._change()

    @property
    def required(self) -> dict[str, str]:
        """The names of required plugins, each with its source: the environment, or a file.

        Raises PluginError if TAKO_REQUIRE_PLUGINS is set but empty, since that's a mistake.
        """
        in_file = dict.fromkeys(self._settings.required, f"plugins.required of {self._settings.path}")
        return in_file | dict.fromkeys(names_if_set(REQUIRE, "the plugins that calls need") or (), REQUIRE)

    def is_required(self, plugin: Plugin) -> bool:
        """Whether a plugin is required: it was registered with ``required=True``, or its name is in ``required``."""
        return plugin.required or any(matches_plugin(name, plugin) for name in self.required)

    def _check(self) -> None:
        """Raise if a required plugin is missing, or a table of the configuration is wrong."""
        check_required(self.required, self._general, self._problems)
        self._settings.check(self._general, plugin_entries())
        for configured in self._configured.values():
            if configured.problem is not None:
                raise ConfigurationError(configured.problem)

    def provider_class(self, key: str, *, by_class: bool = False) -> type[Provider]:
        """Import the provider of that name ("openai") or class ("OpenAI"), once; ``by_class`` looks for that first."""
        entry = find_class(key) if by_class else None
        name = key if entry is None else f"class {key}"
        cls = self._classes.get(name)
        if cls is None:
            cls = self._classes.setdefault(name, import_provider(key, entry or find_provider(key), self.failed))
        return cls

    def install(self, name: str, cls: type[Provider]) -> None:
        """Register a provider class under a name, without an installed distribution."""
        with self._lock:
            self._classes[name] = cls

    def hooks(self, cls: type[Provider]) -> Hooks:
        """Return the hooks of a provider class. They're made again after plugins have changed.

        Raises PluginError if a required plugin is missing.
        """
        self.load()
        with self._lock:
            hooks = self._managers.get(cls)
            if hooks is None:
                self._check()
                own = cls.own_plugins()
                left_out = self._left_out.get(cls, frozenset())
                inner_ids = [id(module) for _, module in own["inner"]]  # one that is registered as a plugin, too
                candidates = [plugin for plugin in self._general.values() if id(plugin.target) not in inner_ids]
                general = [plugin for plugin in candidates if plugin.name not in left_out or self.is_required(plugin)]
                hooks = self._managers[cls] = Hooks(**own, general=self._settings.in_order(general))
            return hooks

    def ask(
        self, hook: str, provider: Provider, translator: Translator | None = None, *, without: Iterable[str] = ()
    ) -> Any:
        """Call one hook for a provider, ``without`` the named plugins, and return its value. Raises like ``bind``."""
        return self.bind(hook, provider, translator, without=without).value

    def bind(
        self, hook: str, provider: Provider, translator: Translator | None = None, *, without: Iterable[str] = ()
    ) -> HookResult:
        """Call one hook for a provider, and return the details. A general plugin that fails is left out.

        Raises PluginError if a required plugin fails, or the provider's own code.
        """
        while True:
            hooks = self.hooks(type(provider))
            try:
                bound = hooks.ask(hook, provider, translator, without=without)
            except BaseException as error:
                if isinstance(error, TakoError) or is_interrupt(error):
                    raise
                raise PluginError(f"{provider.id}: {hook} failed: {one_line(error)}") from error
            if not bound.failures:
                return bound
            self._leave_out(hooks, provider, hook, bound.failures[0])

    def refuse_unseen_file(self, provider: Provider) -> None:
        """Raise PluginError if a required plugin goes around requests, because it wouldn't see a file's upload."""
        for name, plugin in self.hooks(type(provider)).general.items():
            is_around = any(
                implementation.hook in ("tako_chat", "tako_stream") for implementation in plugin.implementations
            )
            if is_around and self.is_required(plugin):
                raise PluginError(
                    f"{provider.id}: upload would send the file past plugin {name!r}, which is required; "
                    "put the file into a request instead"
                )

    def snapshot(self) -> Snapshot:
        """Return the registered plugins, failures, imported classes and settings, for ``restore``."""
        self.load()
        with self._lock:
            return Snapshot(
                dict(self._general), dict(self.failed), dict(self._left_out), dict(self._classes), self._settings
            )

    def restore(self, snapshot: Snapshot) -> None:
        """Go back to a snapshot, and close plugins that were added since. Tests are isolated with it."""
        with self._lock:
            removed = [
                registered for name, registered in self._general.items() if snapshot.general.get(name) is not registered
            ]
            self._general, self.failed = dict(snapshot.general), dict(snapshot.failed)
            self._left_out, self._classes = dict(snapshot.left_out), dict(snapshot.classes)
            self._settings = snapshot.settings
            self._change()
        for plugin in removed:
            close(plugin)

    def close(self) -> None:
        """Close all plugins that have a ``close``; at the end of the program."""
        with self._lock:
            plugins = list(self._general.values())
        for plugin in reversed(plugins):
            close(plugin)

    def _leave_out(self, hooks: Hooks, provider: Provider, hook: str, failure: Failure) -> None:
        """Leave out a plugin for one provider class, unless it's required or another thread has already done so."""
        label, cls = failure.plugin, type(provider)
        reason = f"{hook} failed: {one_line(failure.error)}"
        if self.is_required(hooks.general[label]):
            raise PluginError(f"{provider.id}: plugin {label!r} is required and {reason}") from failure.error
        with self._lock:
            left_out, current = self._left_out.get(cls, frozenset()), self._general.get(label)
            if label in left_out or current is None or current.target is not hooks.general[label].target:
                return
            self._left_out[cls] = left_out | {label}
            self.failed[label] = report(failure.error)
            self._managers.pop(cls, hooks).stale = hooks.stale = True
        text = f"tako left out plugin {label!r} for providers like {provider.id}: {reason}"
        warnings.warn(text, PluginWarning, stacklevel=2)

    def _change(self) -> None:
        """Make every provider call its hooks again."""
        self._changes += 1
        for hooks in self._managers.values():
            hooks.stale = True
        self._managers.clear()


def close(plugin: Plugin) -> None:
    """Call a plugin's ``close``, if it has one. An exception becomes a warning."""
    function = getattr(plugin.target, "close", None)
    try:
        if callable(function):
            function()
    except Exception as error:  # noqa: BLE001 - the other plugins are closed anyway
        warnings.warn(f"tako: plugin {plugin.name!r} failed in close: {one_line(error)}", PluginWarning, stacklevel=3)


def _warning(names: list[str], distribution: str, reason: str) -> str:
    """Make one warning for all plugins that a distribution lost for the same reason."""
    plugins = "plugin" if len(names) == 1 else "plugins"
    return f"tako left out {plugins} {', '.join(map(repr, names))} of {distribution}: {reason}"


def _load_entry(entry: Entry) -> object:
    """Import a plugin. Returns the plugin, or the exception if that fails."""
    if entry.problem is not None:
        return PluginError(entry.problem)
    try:
        return entry.load()
    except BaseException as error:
        if is_interrupt(error):
            raise
        return error


def refuse_unseen_files(upload: Callable[..., Awaitable[T]]) -> Callable[..., Awaitable[T]]:
    """Return a provider's method that uploads a file, which first asks whether it may."""

    @wraps(upload)
    async def checked_upload(provider: Provider, *arguments: Any, **options: Any) -> T:
        PLUGINS.refuse_unseen_file(provider)
        return await upload(provider, *arguments, **options)

    return checked_upload


PLUGINS = Plugins()
atexit.register(PLUGINS.close)
register = PLUGINS.register
unregister = PLUGINS.unregister
