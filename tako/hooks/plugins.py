"""The plugins of this process: those that are installed, and those that code registers."""

from __future__ import annotations

import threading
import traceback
import warnings
from typing import TYPE_CHECKING, Any

from tako.discovery import plugin_entries
from tako.errors import PluginError, TakoError
from tako.hooks.checks import one_line
from tako.hooks.finding import import_provider
from tako.hooks.manager import Hooks, WrongResultError

if TYPE_CHECKING:
    from tako.discovery import Entry
    from tako.provider import Provider

Registered = tuple[dict[str, object], dict[str, str], "dict[str, type[Provider]]"]
"""General plugins, tracebacks of failures, and provider classes, by their names."""

_NO_PLUGINS = (str, bytes, int, float, tuple, list, dict, set)
"""What has no hooks, though it may have been meant to name or to hold a plugin."""


class PluginWarning(UserWarning):
    """A plugin was left out; everything else works."""


class Plugins:
    """The plugins of this process. All methods may be called from any thread."""

    def __init__(self) -> None:
        self.generation = 0  # grows whenever a plugin comes or goes
        self.failed: dict[str, str] = {}  # plugin name -> the traceback of its failure
        self._general: dict[str, object] = {}
        self._classes: dict[str, type[Provider]] = {}
        self._managers: dict[type[Provider], tuple[int, Hooks]] = {}
        self._loaded = False
        self._loading: set[int] = set()  # the threads that are importing general plugins
        self._lock = threading.RLock()

    def register(self, plugin: object, name: str | None = None) -> None:
        """Add a general plugin that is not packaged: a module, or any object with hook implementations."""
        label = name or getattr(plugin, "__name__", None) or f"{type(plugin).__name__}-{id(plugin):x}"
        if plugin is None or isinstance(plugin, _NO_PLUGINS):
            raise PluginError(f"a plugin is a module, or an object with hooks, not {plugin!r}")
        Hooks(general=[(label, plugin)])  # raises what is wrong with it before anything changes
        with self._lock:
            if label in self._general or any(plugin is known for known in self._general.values()):
                raise PluginError(f"plugin {label!r} is registered already")
            self._general[label] = plugin
            self.generation += 1

    def unregister(self, plugin: object) -> None:
        """Remove a plugin (the object, or its name)."""
        self.load()
        with self._lock:
            labels = [name for name, known in self._general.items() if known is plugin or name == plugin]
            if not labels:
                raise PluginError(f"plugin {plugin!r} is not registered")
            del self._general[labels[0]]
            self.generation += 1

    def install(self, name: str, cls: type[Provider]) -> None:
        """Let a name stand for a provider class that no distribution brings."""
        with self._lock:
            self._classes[name] = cls

    def snapshot(self) -> Registered:
        """Return what is registered, has failed, and was imported by name, for ``restore``."""
        self.load()
        with self._lock:
            return dict(self._general), dict(self.failed), dict(self._classes)

    def restore(self, registered: Registered) -> None:
        """Go back to what ``snapshot`` returned; tests are isolated by that."""
        with self._lock:
            general, failed, classes = registered
            self._general, self.failed, self._classes = dict(general), dict(failed), dict(classes)
            self._managers.clear()
            self.generation += 1

    def load(self) -> None:
        """Import the installed general plugins, once; a broken one is recorded, warned about, and left out.

        Imports run outside of the lock: a module that is being imported in another thread may be waiting for it.
        """
        me = threading.get_ident()
        if self._loaded or me in self._loading:
            return
        self._loading.add(me)
        try:
            found = [(entry, _outcome(entry)) for entry in plugin_entries() if entry.barred is None]
        finally:
            self._loading.discard(me)
        with self._lock:
            if self._loaded:
                return
            warned = [text for entry, plugin in found if (text := self._admit(entry, plugin)) is not None]
            self._loaded = True
        for text in warned:
            warnings.warn(text, PluginWarning, stacklevel=2)

    def _admit(self, entry: Entry, plugin: object) -> str | None:
        """Register an installed plugin, or record why not and return the warning about it."""
        label = entry.name if entry.name not in self._general else f"{entry.distribution}:{entry.name}"
        failure = plugin if isinstance(plugin, BaseException) else None
        try:
            if failure is None:
                self.register(plugin, label)
        except Exception as error:  # noqa: BLE001 - one bad plugin must not take the others down
            failure = error
        return self._fail(label, failure, f" of {entry.distribution} {entry.version}") if failure is not None else None

    def provider_class(self, key: str) -> type[Provider]:
        """Import the provider of that name ("openai") or class ("OpenAI"), once."""
        known = self._classes.get(key)
        return known if known is not None else self._classes.setdefault(key, import_provider(key, self.failed))

    def hooks(self, cls: type[Provider]) -> Hooks:
        """Return the plugin manager of a provider class, built anew after plugins changed."""
        self.load()
        with self._lock:
            generation, hooks = self._managers.get(cls, (-1, None))
            if hooks is None or generation != self.generation:
                own = cls.own_plugins()
                inner = [module for _, module in own["inner"]]
                general = [(name, it) for name, it in self._general.items() if not any(it is one for one in inner)]
                hooks = Hooks(**own, general=general)
                self._managers[cls] = self.generation, hooks
            return hooks

    def ask(self, hook: str, provider: Provider, **arguments: object) -> Any:
        """Ask one hook for a provider; a general plugin that raises is left out from then on."""
        arguments["provider"] = provider
        while True:
            hooks = self.hooks(type(provider))
            try:
                return hooks.ask(hook, arguments)
            except Exception as error:
                culprit = hooks.culprit(hook, arguments, error)
                if culprit is None or culprit not in hooks.general:
                    if isinstance(error, TakoError) and not isinstance(error, WrongResultError):
                        raise
                    raise PluginError(f"{provider.id}: {hook} failed: {one_line(error)}") from error
                self._drop(culprit, error, f" in {hook}")

    def _drop(self, label: str, error: Exception, where: str) -> None:
        """Leave a general plugin out, unless another thread has been faster."""
        with self._lock:
            if label not in self._general:
                return
            del self._general[label]
            self.generation += 1
            text = self._fail(label, error, where)
        warnings.warn(text, PluginWarning, stacklevel=2)

    def _fail(self, label: str, error: BaseException, where: str) -> str:
        """Record a failure and return the warning about it."""
        self.failed[label] = "".join(traceback.format_exception(error))
        return f"tako left out plugin {label!r}{where}: {one_line(error)} (`tako providers` shows more)"


def _outcome(entry: Entry) -> object:
    """Import a plugin: itself, or the exception that says why it cannot be."""
    try:
        return entry.point.load()
    except (Exception, SystemExit) as error:  # noqa: BLE001 - one bad plugin must not take the others down
        return error


PLUGINS = Plugins()
register = PLUGINS.register
unregister = PLUGINS.unregister
