"""Loading plugins, checking them, and binding the hooks of one provider.

The only module that talks to pluggy. Every provider class has a small plugin manager of its own: the module that
defines the class, then tako's built-ins, then the general plugins; other vendors are absent from it.
"""

from __future__ import annotations

import difflib
import inspect
import sys
import threading
import traceback
import warnings
from typing import TYPE_CHECKING, Any

import pluggy

from tako import hookspecs
from tako.discovery import find_provider, plugin_entries, provider_entries
from tako.errors import ConfigurationError, PluginError, TakoError

if TYPE_CHECKING:
    from types import ModuleType

    from tako.discovery import Entry
    from tako.provider import Provider

hookimpl = pluggy.HookimplMarker("tako")

HOOKS = tuple(name for name in vars(hookspecs) if name.startswith("tako_"))


class PluginWarning(UserWarning):
    """A plugin was left out; everything else works."""


class Hooks(pluggy.PluginManager):
    """A plugin manager that refuses what pluggy would accept and then misbehave on."""

    def __init__(self, plugins: list[tuple[str, object]]) -> None:
        super().__init__("tako")
        self.add_hookspecs(hookspecs)
        for name, plugin in plugins:
            self.register(plugin, name)

    def register(self, plugin: object, name: str | None = None) -> str | None:
        """Check a plugin and add it; raises PluginError with a reason that its author can act on."""
        for attribute in dir(plugin):
            self._check(plugin, attribute, name)
        try:
            return super().register(plugin, name)
        except (ValueError, pluggy.PluginValidationError) as error:
            raise PluginError(f"plugin {name or plugin!r}: {_one_line(error)}") from error

    def _check(self, plugin: object, attribute: str, name: str | None) -> None:
        options = self.parse_hookimpl_opts(plugin, attribute)
        where = f"plugin {name or plugin!r}: {attribute}"
        if options is None:
            function = getattr(plugin, attribute, None) if attribute in HOOKS else None
            if inspect.isfunction(function) and not hasattr(function, "tako_spec"):
                raise PluginError(f"{where} is named like a hook but lacks @tako.hookimpl")
            return
        hook = options.get("specname") or attribute
        if hook not in HOOKS:
            close = difflib.get_close_matches(hook, HOOKS, 1)
            hint = f"did you mean {close[0]}?" if close else f"the hooks are {', '.join(HOOKS)}"
            raise PluginError(f"{where}: there is no hook {hook}; {hint}")
        function = getattr(plugin, attribute)
        if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
            raise PluginError(f"{where} is async; a hook is a plain def that returns an async function")
        if options.get("hookwrapper"):
            raise PluginError(f"{where} is an old-style wrapper; use @hookimpl(wrapper=True)")
        takes = inspect.signature(function).parameters.values()
        known = inspect.signature(getattr(hookspecs, hook)).parameters
        for parameter in takes:
            if parameter.kind is parameter.KEYWORD_ONLY:
                raise PluginError(f"{where} has the keyword-only parameter {parameter.name}, which would get nothing")
            if parameter.name not in known:
                raise PluginError(f"{where} has the parameter {parameter.name}; {hook} offers {', '.join(known)}")

    def ask(self, hook: str, **arguments: object) -> Any:
        """Ask one hook; the first plugin that does not decline wins."""
        return getattr(self.hook, hook)(**arguments)

    def culprit(self, error: BaseException) -> str | None:
        """Name the plugin whose implementation raised: the last one in the traceback."""
        owners = {
            impl.function.__code__: impl.plugin_name
            for hook in HOOKS
            for impl in getattr(self.hook, hook).get_hookimpls()
            if hasattr(impl.function, "__code__")
        }
        found = [owners.get(frame.f_code) for frame, _ in traceback.walk_tb(error.__traceback__)]
        return next((name for name in reversed(found) if name), None)

    def chain(self, hook: str) -> list[tuple[str, bool]]:
        """Name the plugins of a hook in the order they are asked, outermost first, and whether each is a wrapper."""
        impls = getattr(self.hook, hook).get_hookimpls()
        return [(impl.plugin_name, impl.wrapper) for impl in reversed(impls)]


class Plugins:
    """The plugins of this process. All methods may be called from any thread."""

    def __init__(self) -> None:
        self.generation = 0  # grows whenever a plugin comes or goes
        self.failed: dict[str, str] = {}  # plugin name -> the traceback of its failure
        self._general: dict[str, object] = {}
        self._classes: dict[str, type[Provider]] = {}
        self._managers: dict[type[Provider], tuple[int, Hooks]] = {}
        self._loaded = False
        self._lock = threading.RLock()

    def register(self, plugin: object, name: str | None = None) -> None:
        """Add a general plugin that is not packaged: a module, or any object with hook implementations."""
        label = name or getattr(plugin, "__name__", None) or f"{type(plugin).__name__}-{id(plugin):x}"
        with self._lock:
            if plugin in self._general.values() or label in self._general:
                raise PluginError(f"plugin {label!r} is registered already")
            Hooks([(label, plugin)])  # raises what is wrong with it before anything changes
            self._general[label] = plugin
            self.generation += 1

    def unregister(self, plugin: object) -> None:
        """Remove a plugin (the object, or its name)."""
        with self._lock:
            labels = [name for name, known in self._general.items() if known is plugin or name == plugin]
            if not labels:
                raise PluginError(f"plugin {plugin!r} is not registered")
            del self._general[labels[0]]
            self.generation += 1

    def load(self) -> None:
        """Import the installed general plugins, once; a broken one is recorded, warned about, and left out."""
        with self._lock:
            if self._loaded:
                return
            self._loaded = True
            for entry in plugin_entries():
                if entry.barred is not None:
                    continue
                label = entry.name if entry.name not in self._general else f"{entry.distribution}:{entry.name}"
                try:
                    self.register(entry.point.load(), label)
                except (Exception, SystemExit) as error:  # noqa: BLE001 - one bad plugin must not take the others down
                    self._fail(label, error, f" of {entry.distribution} {entry.version}")

    def provider_class(self, key: str) -> type[Provider]:
        """Import the provider of that name ("openai") or class ("OpenAI"), once."""
        known = self._classes.get(key)
        if known is not None:
            return known
        entry = find_provider(key)
        if entry is None:
            raise UnknownProviderError(_unknown(key))
        with self._lock:
            self._classes[key] = found = self._import(entry)
        return found

    def _import(self, entry: Entry) -> type[Provider]:
        from tako.provider import Provider

        owner = f"provider {entry.name!r} of {entry.distribution} {entry.version}"
        try:
            found = entry.point.load()
        except (Exception, SystemExit) as error:
            self.failed[entry.name] = "".join(traceback.format_exception(error))
            raise PluginError(f"{owner} could not be imported: {_one_line(error)}") from error
        if not (isinstance(found, type) and issubclass(found, Provider)):
            raise PluginError(f"{owner}: {entry.point.value} is no subclass of tako.Provider")
        return found

    def hooks(self, cls: type[Provider]) -> Hooks:
        """Return the plugin manager of a provider class, built anew after plugins changed."""
        self.load()
        with self._lock:
            generation, hooks = self._managers.get(cls, (-1, None))
            if hooks is None or generation != self.generation:
                from tako.builtin import BUILTINS

                own = [(module.__name__, module) for module in defining_modules(cls)]
                hooks = Hooks([*own, *BUILTINS, *self._general.items()])
                self._managers[cls] = self.generation, hooks
            return hooks

    def ask(self, hook: str, provider: Provider, **arguments: object) -> Any:
        """Ask one hook for a provider; a general plugin that raises is left out from then on."""
        while True:
            hooks = self.hooks(type(provider))
            try:
                return hooks.ask(hook, provider=provider, **arguments)
            except Exception as error:
                culprit = hooks.culprit(error)
                with self._lock:
                    if culprit not in self._general:
                        if isinstance(error, TakoError):
                            raise
                        raise PluginError(f"{provider.id}: {hook} failed: {_one_line(error)}") from error
                    self.unregister(culprit)
                    self._fail(culprit, error, f" in {hook}")

    def _fail(self, label: str, error: BaseException, where: str) -> None:
        self.failed[label] = "".join(traceback.format_exception(error))
        text = f"tako left out plugin {label!r}{where}: {_one_line(error)} (`tako providers` shows more)"
        warnings.warn(text, PluginWarning, stacklevel=2)


class UnknownProviderError(PluginError, AttributeError):
    """Nothing installed provides that name."""


def defining_modules(cls: type[Provider]) -> list[ModuleType]:
    """List the modules that define a provider class and its bases, base first; they hold its hooks."""
    from tako.provider import Provider

    chain = [base for base in reversed(cls.__mro__) if issubclass(base, Provider) and base is not Provider]
    return list(dict.fromkeys(sys.modules[base.__module__] for base in chain))


def get_provider(id: str, **options: Any) -> Provider:
    """Make a provider by name from whatever is installed: ``get_provider("openai:gpt-5", timeout=30)``.

    Raises PluginError where nothing of that name is installed or it is broken, and ConfigurationError where the
    options do not fit.
    """
    name, _, model = id.partition(":")
    cls = PLUGINS.provider_class(name)
    try:
        return cls.from_id(model, **options)
    except TypeError as error:
        text = str(error).replace(f"{cls.__name__}.__init__() ", "")
        raise ConfigurationError(f"{id}: {cls.__name__} {text}") from None


def _unknown(key: str) -> str:
    """Say what is installed and what to install."""
    names = sorted({entry.name for entry in provider_entries()})
    close = difflib.get_close_matches(key, names, 1)
    hint = f"did you mean {close[0]!r}?" if close else f"pip install tako-{key.lower()} may provide it"
    return f"no provider {key!r} is installed (installed: {', '.join(names) or 'none'}); {hint}"


def _one_line(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


PLUGINS = Plugins()
register = PLUGINS.register
unregister = PLUGINS.unregister
