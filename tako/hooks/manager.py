"""The hooks of one provider class: the only module that talks to pluggy.

Every class has a small plugin manager of its own, with the modules that define the class, tako's built-ins, and the
general plugins. Plugins of other vendors aren't in it.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import pluggy

from tako import hookspecs
from tako.compatibility import check_version
from tako.errors import PluginError
from tako.hooks.checks import HOOK_PARAMETERS, HOOKS, Implementation, has_hooks, implementations_of
from tako.hooks.failures import is_interrupt, one_line
from tako.hooks.hook_calls import Failure, HookCall, Owner, current_call, make_proxy
from tako.output import plugin_output_to_stderr

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tako.installed import Entry
    from tako.provider import Provider
    from tako.translator import Translator

hookimpl = pluggy.HookimplMarker("tako")

NamedPlugins = Sequence[tuple[str, object]]

RESERVED_PREFIXES = ("tako.", "provider ")
"""Prefixes that names of general plugins mustn't have."""

for _hook in HOOKS:  # marked here, so that no other module needs pluggy
    pluggy.HookspecMarker("tako")(getattr(hookspecs, _hook), firstresult=True)


class Plugin(NamedTuple):
    """A general plugin. ``entry`` is None if code registered it. If a required plugin fails, so does the call.

    ``is_ordered``: the configuration says where it goes, so its wrappers' own ``tryfirst`` and ``trylast`` don't count.
    """

    name: str
    target: object
    implementations: list[Implementation]
    required: bool = False
    entry: Entry | None = None
    is_ordered: bool = False


class HookResult(NamedTuple):
    """What a hook returned for one provider.

    ``own_result`` is the result without the wrappers of tako and of general plugins, ``wrappers`` are the general
    plugins around it, ``failures`` are the exceptions of others, and
    ``needs_event_loop`` says whether a general plugin with a part in it may use asyncio.
    """

    value: Any
    own_result: Any
    needs_event_loop: bool
    wrappers: list[str]
    failures: list[Failure]


class Hooks:
    """The hooks of one provider class. ``stale`` is set once plugins were added or removed."""

    def __init__(
        self,
        inner: NamedPlugins = (),
        built_in: NamedPlugins = (),
        general: Iterable[Plugin] = (),
        outermost: NamedPlugins = (),
    ) -> None:
        self.stale = False
        self.general = {plugin.name: plugin for plugin in general}
        self._manager = pluggy.PluginManager("tako")
        self._manager.add_hookspecs(hookspecs)
        self._proxies: dict[str, _Proxies] = {}
        for name, module in inner:
            self._add(name, _implementations(module, f"plugin {name!r}"), "provider")
        for name, module in built_in:
            self._add(name, _implementations(module, name), "tako")
        for plugin in self.general.values():
            self._add(plugin.name, plugin.implementations, "general", is_ordered=plugin.is_ordered)
        for name, module in outermost:
            self._add(name, _implementations(module, name), "tako")

    def _add(self, name: str, implementations: list[Implementation], owner: Owner, *, is_ordered: bool = False) -> None:
        proxies = self._proxies[name] = _Proxies()
        for i, implementation in enumerate(implementations):
            outermost = is_ordered and implementation.wrapper
            mark = hookimpl(
                specname=implementation.hook,
                wrapper=implementation.wrapper,
                # a provider's own go innermost, so that others can override them
                tryfirst=outermost or (bool(implementation.options.get("tryfirst")) and owner != "provider"),
                trylast=not is_ordered and bool(implementation.options.get("trylast")),
            )
            setattr(proxies, f"{implementation.hook}_{i}", mark(make_proxy(name, implementation, owner)))
        self._manager.register(proxies, name)

    def ask(
        self, hook: str, provider: Provider, translator: Translator | None = None, *, without: Iterable[str] = ()
    ) -> HookResult:
        """Call one hook for a provider, ``without`` the named plugins. The first result that isn't None wins.

        Exceptions of general plugins are recorded, all others are raised.
        """
        hook_call = HookCall(hook, {"provider": provider, "translator": translator})
        hook_call.refuse_recursion()
        excluded = [self._proxies[name] for name in without if name in self._proxies]
        caller = self._manager.subset_hook_caller(hook, excluded)
        token = current_call.set(hook_call)
        value = None
        try:
            with plugin_output_to_stderr():
                value = caller(**{name: hook_call.arguments[name] for name in HOOK_PARAMETERS[hook]})
        except BaseException as error:
            if is_interrupt(error) or not hook_call.failures:
                raise
        finally:
            hook_call.is_answered, hook_call.outer = True, None
            current_call.reset(token)
        return HookResult(
            value, hook_call.own_result, hook_call.needs_event_loop, hook_call.wrappers, hook_call.failures
        )

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle as stale hooks: what the plugins of this process made isn't pickled."""
        return _stale, ()

    @property
    def answers(self) -> bool:
        """Whether a plugin other than tako's defaults implements tako_chat."""
        return any(not wraps and name != "tako.defaults" for name, wraps in self.chain("tako_chat"))

    def chain(self, hook: str) -> list[tuple[str, bool]]:
        """Name the plugins of a hook in the order of calls, outermost first, and whether each is a wrapper."""
        impls = getattr(self._manager.hook, hook).get_hookimpls()
        return [(impl.plugin_name, impl.wrapper) for impl in reversed(impls)]


def _stale() -> Hooks:
    hooks = Hooks()
    hooks.stale = True
    return hooks


class _Proxies:
    """What pluggy sees in place of a plugin: proxies of its implementations."""


def check_plugin(plugin: object, name: str, *, required: bool = False) -> Plugin:
    """Check a general plugin. Raises PluginError with a reason that tells its author what to change."""
    where = f"plugin {name!r}"
    if not isinstance(name, str) or name.startswith(RESERVED_PREFIXES):
        raise PluginError(
            f"{where} needs another name: a text that begins with none of {', '.join(map(repr, RESERVED_PREFIXES))}"
        )
    try:
        implementations = _implementations(plugin, where)
        is_empty = not implementations and not has_hooks(plugin)
    except PluginError:
        raise
    except BaseException as error:
        if is_interrupt(error):
            raise
        raise PluginError(f"{where} can't be read: {one_line(error)}") from error
    if is_empty:
        is_function = inspect.isasyncgenfunction(plugin)
        hint = "tako.around makes a plugin of it" if is_function else "none of its functions has @tako.hookimpl"
        raise PluginError(f"{where} has no hooks: {hint}")
    return Plugin(name, plugin, implementations, required)


def _implementations(plugin: object, where: str) -> list[Implementation]:
    check_version(plugin, where)
    return implementations_of(plugin, where)
