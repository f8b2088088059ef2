"""The plugins of this process: those that are installed, and those that code registers."""

from __future__ import annotations

import atexit
import threading
import warnings
from typing import TYPE_CHECKING, Any, NamedTuple

from tako.discovery import barred, find_class, find_provider, names_if_set, plugin_entries
from tako.errors import ConfigurationError, PluginError, TakoError
from tako.hooks.failures import is_interrupt, one_line, report
from tako.hooks.finding import import_provider
from tako.hooks.manager import Bound, Hooks, Plugin, checked
from tako.hooks.required import REQUIRE, check_required, stands_for
from tako.hooks.settings import Given, Settings, give_options
from tako.hooks.turn import Turn

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tako.hooks.asking import Failure
    from tako.installed import Entry
    from tako.provider import Provider
    from tako.translator import Translator

_NO_PLUGINS = (str, bytes, int, float, tuple, list, dict, set)
"""What has no hooks, though it may have been meant to name or to hold a plugin."""


class PluginWarning(UserWarning):
    """A plugin was left out; everything else works."""


class State(NamedTuple):
    """What there is of plugins at one moment."""

    general: dict[str, Plugin]
    failed: dict[str, str]
    left_out: dict[type[Provider], frozenset[str]]
    classes: dict[str, type[Provider]]
    settings: Settings


class Plugins:
    """The plugins of this process. All methods may be called from any thread."""

    def __init__(self) -> None:
        self.failed: dict[str, str] = {}
        """What went wrong with a plugin, by its name: one line, then the traceback."""
        self._general: dict[str, Plugin] = {}
        self._left_out: dict[type[Provider], frozenset[str]] = {}
        self._classes: dict[str, type[Provider]] = {}
        self._managers: dict[type[Provider], Hooks] = {}
        self._problems: dict[str, str | None] = {}  # of the installed plugins, None for those that work
        self._settings = Settings()
        self._given: dict[str, Given] = {}
        self._loaded = False
        self._changes = 1  # how often plugins or settings changed, and how many of those have been followed
        self._followed = 0
        self._turn = Turn()
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
        if plugin is None or isinstance(plugin, _NO_PLUGINS):
            raise PluginError(f"a plugin is a module, or an object with hooks, not {plugin!r}")
        label = name or getattr(plugin, "__name__", None) or f"{type(plugin).__name__}-{id(plugin):x}"
        self._add(checked(plugin, label, required=required))

    def _add(self, plugin: Plugin) -> None:
        with self._lock:
            if any(plugin.target is known.target for known in self._general.values()):
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
            label = plugin if isinstance(plugin, str) else None
            labels = [name for name, known in self._general.items() if known.target is plugin or name == label]
            if not labels:
                raise PluginError(f"plugin {plugin!r} isn't registered")
            removed = self._general.pop(labels[0])
            self._forget(labels[0])
        close(removed)

    def _forget(self, label: str) -> None:
        """Forget what happened to a plugin of that name."""
        self._left_out = {cls: absent - {label} for cls, absent in self._left_out.items()}
        self._change()

    def general(self) -> dict[str, Plugin]:
        """Return the general plugins by their names, in load order."""
        self.load()
        with self._lock:
            return dict(self._general)

    def load(self) -> None:
        """Import the installed general plugins, once; a broken one is recorded, warned about, and left out.

        Then each plugin gets its options. No lock is held that code needs which runs meanwhile.
        """
        if self._followed == self._changes or self._turn.mine:
            return
        with self._turn:
            texts = [] if self._loaded else self._import()
            changes = self._changes
            self._give_options()
            self._followed = changes
        for text in texts:
            warnings.warn(text, PluginWarning, stacklevel=2)

    def _import(self) -> list[str]:
        """Import the installed general plugins; returns the warnings about those that are left out."""
        loaded = [(entry, _outcome(entry)) for entry in plugin_entries() if barred(entry) is None]
        with self._lock:
            self._loaded = True
            return [text for entry, plugin in loaded if (text := self._admit(entry, plugin)) is not None]

    def _give_options(self) -> None:
        """Configure the plugins that have options, and those that had some."""
        settings, given = self._settings, dict[str, Given]()
        for name, plugin in list(self._general.items()):
            options = settings.options_for(plugin)
            known = self._given.get(name)
            if known is None or known.target is not plugin.target:
                known = Given(plugin.target, {})
            given[name] = known if known.options == options else give_options(plugin, options, settings.where(plugin))
        self._given = given

    def _admit(self, entry: Entry, plugin: object) -> str | None:
        """Register an installed plugin, or record why not and return the warning about it."""
        label = entry.name if entry.name not in self._general else f"{entry.distribution}:{entry.name}"
        failure = plugin if isinstance(plugin, BaseException) else None
        own = next((name for name, known in self._general.items() if known.target is plugin), None)
        try:
            if own is not None:  # the module has registered itself while it was imported
                self._general[own] = self._general[own]._replace(entry=entry)
                self._change()
            elif failure is None:
                self._add(checked(plugin, label)._replace(entry=entry))
        except PluginError as error:
            failure = error
        self._problems[repr(entry)] = one_line(failure) if failure is not None else None
        if failure is None:
            return None
        self.failed[label] = report(failure)
        return f"tako left out plugin {label!r} of {entry.distribution} {entry.version}: {one_line(failure)}"

    def problem_of(self, entry: Entry) -> str | None:
        """Say what is wrong with an installed general plugin; None if it works."""
        return self._problems.get(repr(entry))

    @property
    def settings(self) -> Settings:
        """What the configuration says about plugins."""
        return self._settings

    def use(self, settings: Settings) -> None:
        """Follow a configuration from now on, until another one says something about plugins."""
        with self._lock:
            self._settings = settings
            self._change()

    @property
    def required(self) -> dict[str, str]:
        """The names of plugins that calls need, with who says so: the environment, or a file.

        Raises PluginError if TAKO_REQUIRE_PLUGINS is there and empty: something was meant to be required.
        """
        in_file = dict.fromkeys(self._settings.required, f"plugins.required of {self._settings.path}")
        return in_file | dict.fromkeys(names_if_set(REQUIRE, "the plugins that calls need") or (), REQUIRE)

    def is_required(self, plugin: Plugin) -> bool:
        """Whether calls need a plugin: code registered it like that, or its name is ``required``."""
        return plugin.required or any(stands_for(name, plugin) for name in self.required)

    def _check(self) -> None:
        """Refuse to go on without a required plugin, or with a wrong table of the configuration."""
        check_required(self.required, self._general, self._problems)
        self._settings.check(self._general, plugin_entries())
        for given in self._given.values():
            if given.problem is not None:
                raise ConfigurationError(given.problem)

    def provider_class(self, key: str, *, by_class: bool = False) -> type[Provider]:
        """Import the provider of that name ("openai") or class ("OpenAI"), once; ``by_class`` looks for that first."""
        entry = find_class(key) if by_class else None
        name = key if entry is None else f"class {key}"
        known = self._classes.get(name)
        if known is None:
            known = self._classes.setdefault(name, import_provider(key, entry or find_provider(key), self.failed))
        return known

    def install(self, name: str, cls: type[Provider]) -> None:
        """Let a name stand for a provider class that no distribution brings."""
        with self._lock:
            self._classes[name] = cls

    def hooks(self, cls: type[Provider]) -> Hooks:
        """Return the hooks of a provider class, made anew after plugins changed.

        Raises PluginError if a required plugin isn't there.
        """
        self.load()
        with self._lock:
            hooks = self._managers.get(cls)
            if hooks is None:
                self._check()
                own = cls.own_plugins()
                absent = self._left_out.get(cls, frozenset())
                inner = [id(module) for _, module in own["inner"]]  # one that is registered as a plugin, too
                present = [it for it in self._general.values() if id(it.target) not in inner]
                general = [it for it in present if it.name not in absent or self.is_required(it)]
                hooks = self._managers[cls] = Hooks(**own, general=self._settings.arranged(general))
            return hooks

    def ask(
        self, hook: str, provider: Provider, translator: Translator | None = None, *, without: Iterable[str] = ()
    ) -> Any:
        """Ask one hook for a provider, ``without`` the named plugins; returns the answer. Raises as ``bind`` does."""
        return self.bind(hook, provider, translator, without=without).value

    def bind(
        self, hook: str, provider: Provider, translator: Translator | None = None, *, without: Iterable[str] = ()
    ) -> Bound:
        """Ask one hook for a provider, and say who took part in it. A general plugin that fails is left out.

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

    def snapshot(self) -> State:
        """Return what is registered, has failed, was left out and was imported by name, for ``restore``."""
        self.load()
        with self._lock:
            return State(
                dict(self._general), dict(self.failed), dict(self._left_out), dict(self._classes), self._settings
            )

    def restore(self, state: State) -> None:
        """Go back to what ``snapshot`` returned, and close what came since; tests are isolated by that."""
        with self._lock:
            gone = [known for name, known in self._general.items() if state.general.get(name) is not known]
            self._general, self.failed = dict(state.general), dict(state.failed)
            self._left_out, self._classes = dict(state.left_out), dict(state.classes)
            self._settings = state.settings
            self._change()
        for plugin in gone:
            close(plugin)

    def close(self) -> None:
        """Close all plugins that have a ``close``; at the end of the program."""
        with self._lock:
            plugins = list(self._general.values())
        for plugin in reversed(plugins):
            close(plugin)

    def _leave_out(self, hooks: Hooks, provider: Provider, hook: str, failure: Failure) -> None:
        """Do without a plugin for one provider class, unless it's required or another thread has been faster."""
        label, cls = failure.plugin, type(provider)
        what = f"{hook} failed: {one_line(failure.error)}"
        if self.is_required(hooks.general[label]):
            raise PluginError(f"{provider.id}: plugin {label!r} is required and {what}") from failure.error
        with self._lock:
            absent, known = self._left_out.get(cls, frozenset()), self._general.get(label)
            if label in absent or known is None or known.target is not hooks.general[label].target:
                return
            self._left_out[cls] = absent | {label}
            self.failed[label] = report(failure.error)
            self._managers.pop(cls, hooks).stale = hooks.stale = True
        text = f"tako left out plugin {label!r} for providers like {provider.id}: {what}"
        warnings.warn(text, PluginWarning, stacklevel=2)

    def _change(self) -> None:
        """Have every provider ask its hooks again."""
        self._changes += 1
        for hooks in self._managers.values():
            hooks.stale = True
        self._managers.clear()


def close(plugin: Plugin) -> None:
    """Call a plugin's ``close``, if it has one; what that raises is a warning."""
    function = getattr(plugin.target, "close", None)
    try:
        if callable(function):
            function()
    except Exception as error:  # noqa: BLE001 - the others are closed all the same
        warnings.warn(f"tako: plugin {plugin.name!r} failed in close: {one_line(error)}", PluginWarning, stacklevel=3)


def _outcome(entry: Entry) -> object:
    """Import a plugin: itself, or the exception that says why that's impossible."""
    if entry.problem is not None:
        return PluginError(entry.problem)
    try:
        return entry.load()
    except BaseException as error:
        if is_interrupt(error):
            raise
        return error


PLUGINS = Plugins()
atexit.register(PLUGINS.close)
register = PLUGINS.register
unregister = PLUGINS.unregister
