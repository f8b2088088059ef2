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
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pluggy

from tako import hookspecs
from tako.capabilities import Capabilities
from tako.compatibility import check_version
from tako.discovery import find_provider, plugin_entries, provider_entries
from tako.errors import ConfigurationError, PluginError, TakoError
from tako.translator import Translator

if TYPE_CHECKING:
    from types import FrameType

    from tako.discovery import Entry
    from tako.provider import Provider

hookimpl = pluggy.HookimplMarker("tako")

Named = Sequence[tuple[str, object]]
Registered = tuple[dict[str, object], dict[str, str], "dict[str, type[Provider]]"]
"""General plugins, tracebacks of failures, and provider classes, by their names."""

HOOKS = tuple(name for name in vars(hookspecs) if name.startswith("tako_"))

for _hook in HOOKS:  # marked here, so that no other module needs pluggy
    pluggy.HookspecMarker("tako")(getattr(hookspecs, _hook), firstresult=True)

_KINDS: dict[str, type] = {"tako_capabilities": Capabilities, "tako_translator": Translator}
"""What hooks return that do not return functions."""


_NO_PLUGINS = (str, bytes, int, float, tuple, list, dict, set)
"""What has no hooks, though it may have been meant to name or to hold a plugin."""


class PluginWarning(UserWarning):
    """A plugin was left out; everything else works."""


class Hooks(pluggy.PluginManager):
    """A plugin manager that refuses what pluggy would accept and then misbehave on.

    ``inner`` are the plugins that stand innermost whatever they say of themselves, ``general`` the ones that may be
    left out when they fail.
    """

    def __init__(self, inner: Named = (), built_in: Named = (), general: Named = (), outermost: Named = ()) -> None:
        super().__init__("tako")
        self.add_hookspecs(hookspecs)
        self.general = dict(general)
        self._inner = [plugin for _, plugin in inner]
        self._parts = (inner, built_in, outermost)
        for name, plugin in (*inner, *built_in, *general, *outermost):
            self.register(plugin, name)

    def register(self, plugin: object, name: str | None = None) -> str | None:
        """Check a plugin and add it; raises PluginError with a reason that its author can act on."""
        check_version(plugin, f"plugin {name or plugin!r}")
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
            if inspect.isroutine(function) and not hasattr(function, "tako_spec"):
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
        if inspect.isgeneratorfunction(function) and not options.get("wrapper"):
            raise PluginError(f"{where} yields, so it is a wrapper: use @hookimpl(wrapper=True)")
        _check_parameters(function, hook, where)

    def parse_hookimpl_opts(self, plugin: object, name: str) -> Any:
        """Read what a plugin says of an implementation; a provider's own stand innermost, so that others override."""
        options = super().parse_hookimpl_opts(plugin, name)
        if options is not None and any(plugin is one for one in self._inner):
            options["tryfirst"] = False
        return options

    def ask(self, hook: str, arguments: dict[str, object]) -> Any:
        """Ask one hook; the first plugin that does not decline wins.

        Raises WrongResultError where what comes of it is of another kind than the hook promises.
        """
        found = getattr(self.hook, hook)(**arguments)
        wanted = _KINDS.get(hook)
        if not (isinstance(found, wanted) if wanted else callable(found)):
            if inspect.iscoroutine(found):
                found.close()
            what = f"a {wanted.__name__}" if wanted else "an async function"
            raise WrongResultError(f"it must return {what}, not {_kind(found)}")
        return found

    def culprit(self, hook: str, arguments: dict[str, object], error: Exception) -> str | None:
        """Name the plugin that made a hook fail: the last one in the traceback, else the one without which it works."""
        frames = [] if isinstance(error, WrongResultError) else [*traceback.walk_tb(error.__traceback__)]
        impls = getattr(self.hook, hook).get_hookimpls()
        for frame, _ in reversed(frames):
            if str(frame.f_globals.get("__name__")).startswith(
                "pluggy."
            ):  # it failed there; what is further out looked on
                break
            for impl in impls:
                if _runs(impl.function, frame):
                    return str(impl.plugin_name)
        inner, built_in, outermost = self._parts
        for name in reversed(self.general):
            others = [(other, plugin) for other, plugin in self.general.items() if other != name]
            with suppress(Exception):
                Hooks(inner, built_in, others, outermost).ask(hook, arguments)
                return name
        return None

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
        if known is not None:
            return known
        entry = find_provider(key)
        if entry is None:
            raise UnknownProviderError(_unknown(key))
        return self._classes.setdefault(key, self._import(entry))

    def _import(self, entry: Entry) -> type[Provider]:
        owner = f"provider {entry.name!r} of {entry.distribution} {entry.version}"
        try:
            found = entry.point.load()
        except (Exception, SystemExit) as error:
            self.failed[entry.name] = "".join(traceback.format_exception(error))
            raise PluginError(f"{owner} could not be imported: {_one_line(error)}") from error
        if not (isinstance(found, type) and hasattr(found, "own_plugins")):
            raise PluginError(f"{owner}: {entry.point.value} is no subclass of tako.Provider")
        check_version(sys.modules.get(found.__module__), owner)
        return found

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
                    raise PluginError(f"{provider.id}: {hook} failed: {_one_line(error)}") from error
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
        return f"tako left out plugin {label!r}{where}: {_one_line(error)} (`tako providers` shows more)"


class WrongResultError(PluginError):
    """A hook returned something else than it promises."""


class UnknownProviderError(PluginError, AttributeError):
    """Nothing installed provides that name."""


def get_provider(id: str, **options: Any) -> Provider:
    """Make a provider by name from whatever is installed: ``get_provider("openai:gpt-5", timeout=30)``.

    Raises PluginError where nothing of that name is installed or it is broken, and ConfigurationError where the
    options do not fit.
    """
    if not isinstance(id, str) or not id.partition(":")[0]:
        raise PluginError(f"a provider's id is text, as in 'openai:gpt-5', not {id!r}")
    name, _, model = id.partition(":")
    try:
        cls = PLUGINS.provider_class(name)
        return _made(cls, id, model, options)
    except TakoError as error:
        failure = error.with_traceback(None)
    options.clear()  # a traceback with locals shows this frame, and keys are options
    raise failure


def _made(cls: type[Provider], id: str, model: str, options: dict[str, Any]) -> Provider:
    try:
        return cls.from_id(model, **options)
    except TypeError as error:
        text = str(error).replace(f"{cls.__name__}.__init__() ", "")
        hint = "" if model else f"; the model is a part of the id: {id.partition(':')[0]}:MODEL"
        raise ConfigurationError(f"{id}: {cls.__name__} {text}{hint}") from None


def _check_parameters(function: Any, hook: str, where: str) -> None:
    """Refuse parameters that would get nothing."""
    known = list(inspect.signature(getattr(hookspecs, hook)).parameters)
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind is parameter.KEYWORD_ONLY:
            raise PluginError(f"{where} has the keyword-only parameter {parameter.name}, which would get nothing")
        if parameter.name not in known:
            hint = f"{hook} offers {', '.join(known)}"
            hint = "register an instance of the class" if parameter.name == "self" else hint
            raise PluginError(f"{where} has the parameter {parameter.name}; {hint}")
        if parameter.default is not parameter.empty:
            raise PluginError(f"{where} has a default for {parameter.name}, which would get nothing else")


def _outcome(entry: Entry) -> object:
    """Import a plugin: itself, or the exception that says why it cannot be."""
    try:
        return entry.point.load()
    except (Exception, SystemExit) as error:  # noqa: BLE001 - one bad plugin must not take the others down
        return error


def _runs(function: Any, frame: FrameType) -> bool:
    """Tell whether a frame runs this very function: same code, same ``self``, same closure."""
    code = frame.f_code
    if getattr(function, "__code__", None) is not code:
        return False
    here = frame.f_locals
    owner = getattr(function, "__self__", None)
    if owner is not None and here.get(code.co_varnames[0], owner) is not owner:
        return False
    cells = zip(code.co_freevars, function.__closure__ or (), strict=True)
    return all(here.get(name, cell.cell_contents) is cell.cell_contents for name, cell in cells)


def _unknown(key: str) -> str:
    """Say what is installed and what to install."""
    names = sorted({entry.name for entry in provider_entries()})
    close = difflib.get_close_matches(key, names, 1)
    hint = f"did you mean {close[0]!r}?" if close else f"pip install tako-{key.lower()} may provide it"
    return f"no provider {key!r} is installed (installed: {', '.join(names) or 'none'}); {hint}"


def _kind(value: object) -> str:
    return "nothing" if value is None else f"a {type(value).__name__}"


def _one_line(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


PLUGINS = Plugins()
register = PLUGINS.register
unregister = PLUGINS.unregister
