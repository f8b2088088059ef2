"""The hooks of one provider class: the only module that talks to pluggy.

Every class has a small plugin manager of its own: the modules that define the class, tako's built-ins, and the general
plugins. Other vendors are absent from it.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import pluggy

from tako import hookspecs
from tako.compatibility import check_version
from tako.errors import PluginError
from tako.hooks.asking import Failure, Place, Question, current, stand_in
from tako.hooks.checks import HOOKS, OFFERED, Implementation, has_hooks, implementations_of
from tako.hooks.failures import is_interrupt, one_line
from tako.output import plugin_output_to_stderr

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tako.installed import Entry
    from tako.provider import Provider
    from tako.translator import Translator

hookimpl = pluggy.HookimplMarker("tako")

Named = Sequence[tuple[str, object]]

OWN_NAMES = ("tako.", "provider ")
"""How the names begin of what isn't a general plugin."""

for _hook in HOOKS:  # marked here, so that no other module needs pluggy
    pluggy.HookspecMarker("tako")(getattr(hookspecs, _hook), firstresult=True)


class Plugin(NamedTuple):
    """A general plugin; ``entry`` is None if code registered it. A required one stops the calls that it fails for.

    ``placed``: the configuration says where it stands, so its wrappers' own ``tryfirst`` and ``trylast`` don't count.
    """

    name: str
    target: object
    implementations: list[Implementation]
    required: bool = False
    entry: Entry | None = None
    placed: bool = False


class Bound(NamedTuple):
    """What a hook returned for one provider.

    ``own`` is that without tako's and general plugins' wrappers, ``wrappers`` are the general plugins that went around
    it, ``failures`` what others did instead of answering.
    """

    value: Any
    own: Any
    wrappers: list[str]
    failures: list[Failure]


class Hooks:
    """The hooks of one provider class. ``stale`` is set once plugins have come or gone."""

    def __init__(
        self, inner: Named = (), built_in: Named = (), general: Iterable[Plugin] = (), outermost: Named = ()
    ) -> None:
        self.stale = False
        self.general = {plugin.name: plugin for plugin in general}
        self._manager = pluggy.PluginManager("tako")
        self._manager.add_hookspecs(hookspecs)
        self._stands: dict[str, _Stand] = {}
        for name, module in inner:
            self._add(name, _implementations(module, f"plugin {name!r}"), "provider")
        for name, module in built_in:
            self._add(name, _implementations(module, name), "tako")
        for plugin in self.general.values():
            self._add(plugin.name, plugin.implementations, "general", placed=plugin.placed)
        for name, module in outermost:
            self._add(name, _implementations(module, name), "tako")

    def _add(self, name: str, implementations: list[Implementation], place: Place, *, placed: bool = False) -> None:
        stand = self._stands[name] = _Stand()
        for i, implementation in enumerate(implementations):
            outermost = placed and implementation.wrapper
            mark = hookimpl(
                specname=implementation.hook,
                wrapper=implementation.wrapper,
                # a provider's own stand innermost, so that others override them
                tryfirst=outermost or (bool(implementation.options.get("tryfirst")) and place != "provider"),
                trylast=not placed and bool(implementation.options.get("trylast")),
            )
            setattr(stand, f"{implementation.hook}_{i}", mark(stand_in(name, implementation, place)))
        self._manager.register(stand, name)

    def ask(
        self, hook: str, provider: Provider, translator: Translator | None = None, *, without: Iterable[str] = ()
    ) -> Bound:
        """Ask one hook for a provider, ``without`` the named plugins; the first one that doesn't decline wins.

        Raises whatever anyone but a general plugin raises.
        """
        question = Question(hook, {"provider": provider, "translator": translator})
        question.refuse_circles()
        removed = [self._stands[name] for name in without if name in self._stands]
        call = self._manager.subset_hook_caller(hook, removed)
        token = current.set(question)
        value = None
        try:
            with plugin_output_to_stderr():
                value = call(**{name: question.arguments[name] for name in OFFERED[hook]})
        except BaseException as error:
            if is_interrupt(error) or not question.failures:
                raise
        finally:
            question.answered, question.outer = True, None
            current.reset(token)
        return Bound(value, question.own, question.wrappers, question.failures)

    def __reduce__(self) -> tuple[Any, ...]:
        """Leave a pickle of a provider without what the plugins of this process made."""
        return _stale, ()

    @property
    def answers(self) -> bool:
        """Whether anyone but tako's defaults implements tako_chat."""
        return any(not wraps and name != "tako.defaults" for name, wraps in self.chain("tako_chat"))

    def chain(self, hook: str) -> list[tuple[str, bool]]:
        """Name the plugins of a hook in the order they are asked, outermost first, and whether each is a wrapper."""
        impls = getattr(self._manager.hook, hook).get_hookimpls()
        return [(impl.plugin_name, impl.wrapper) for impl in reversed(impls)]


def _stale() -> Hooks:
    hooks = Hooks()
    hooks.stale = True
    return hooks


class _Stand:
    """What pluggy sees in place of a plugin: functions that stand for its implementations."""


def checked(plugin: object, name: str, *, required: bool = False) -> Plugin:
    """Check a general plugin; raises PluginError with a reason that its author can act on."""
    where = f"plugin {name!r}"
    if not isinstance(name, str) or name.startswith(OWN_NAMES):
        raise PluginError(
            f"{where} needs another name: a text that begins with none of {', '.join(map(repr, OWN_NAMES))}"
        )
    try:
        implementations = _implementations(plugin, where)
        empty = not implementations and not has_hooks(plugin)
    except PluginError:
        raise
    except BaseException as error:
        if is_interrupt(error):
            raise
        raise PluginError(f"{where} can't be read: {one_line(error)}") from error
    if empty:
        is_function = inspect.isasyncgenfunction(plugin)
        hint = "tako.around makes a plugin of it" if is_function else "none of its functions has @tako.hookimpl"
        raise PluginError(f"{where} has no hooks: {hint}")
    return Plugin(name, plugin, implementations, required)


def _implementations(plugin: object, where: str) -> list[Implementation]:
    check_version(plugin, where)
    return implementations_of(plugin, where)
