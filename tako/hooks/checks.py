"""The implementations of hooks in a plugin, and checks whose messages tell its author what to change."""

from __future__ import annotations

import difflib
import inspect
from types import ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple

from tako import hookspecs
from tako.errors import PluginError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HOOKS = tuple(name for name in vars(hookspecs) if name.startswith("tako_"))
HOOK_PARAMETERS = {hook: tuple(inspect.signature(getattr(hookspecs, hook)).parameters) for hook in HOOKS}
"""The parameters of each hook."""
OPTIONS_ATTRIBUTE = "tako_impl"
"""The attribute in which ``@hookimpl`` keeps its options."""


class Implementation(NamedTuple):
    """A function that implements a hook: the names of its parameters, and the options of its ``@hookimpl``.

    ``needs_event_loop``: whether it may use asyncio, unless its plugin says that it doesn't.
    """

    hook: str
    function: Callable[..., Any]
    parameters: tuple[str, ...]
    options: dict[str, Any]
    needs_event_loop: bool

    @property
    def wrapper(self) -> bool:
        """Whether it's a wrapper."""
        return bool(self.options.get("wrapper"))


def implementations_of(plugin: object, where: str) -> list[Implementation]:
    """Return the implementations in a plugin. ``where`` names the plugin in errors.

    Raises PluginError with a reason if one of them is wrong.
    """
    implementations: list[Implementation] = []
    needs_loop = inspect.getattr_static(plugin, "needs_event_loop", True) is not False
    for attribute, function, options in _functions(plugin):
        if options is not None:
            hook = options.get("specname") or attribute
            if hook in HOOKS or not options.get("optionalhook"):
                parameters = _check(hook, function, options, f"{where}: {attribute}")
                implementations.append(Implementation(hook, function, parameters, options, needs_loop))
        elif attribute in HOOKS and not hasattr(function, "tako_spec"):
            raise PluginError(f"{where}: {attribute} is named like a hook but has no @tako.hookimpl")
    return implementations


def has_hooks(plugin: object) -> bool:
    """Whether a plugin has a hook, or something that was meant to be one."""
    return any(
        options is not None or (attribute in HOOKS and not hasattr(function, "tako_spec"))
        for attribute, function, options in _functions(plugin)
    )


def _functions(plugin: object) -> Iterator[tuple[str, Any, dict[str, Any] | None]]:
    """Iterate over a plugin's functions, with their options if ``@hookimpl`` marks them.

    None of the plugin's code runs: properties and lazy attributes are skipped.
    """
    attributes: dict[str, Any] = getattr(plugin, "__dict__", {})
    for name in list(attributes) if isinstance(plugin, ModuleType) else dir(plugin):
        static = attributes[name] if name in attributes else inspect.getattr_static(plugin, name, None)
        if _is_function(static) or (name in HOOKS and callable(static)):
            function = getattr(plugin, name)
            options = getattr(static, OPTIONS_ATTRIBUTE, None) or getattr(function, OPTIONS_ATTRIBUTE, None)
            yield name, function, options if isinstance(options, dict) else None


def _is_function(static: Any) -> bool:
    return inspect.isroutine(static) or isinstance(static, (staticmethod, classmethod))


def _check(hook: str, function: Callable[..., Any], options: dict[str, Any], where: str) -> tuple[str, ...]:
    """Check an implementation, and return the names of its parameters. Raises PluginError."""
    if hook not in HOOKS:
        matches = difflib.get_close_matches(hook, HOOKS, 1)
        hint = f"did you mean {matches[0]}?" if matches else f"the hooks are {', '.join(HOOKS)}"
        raise PluginError(f"{where}: there is no hook {hook}; {hint}")
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        raise PluginError(f"{where} is async; a hook is a plain def that returns an async function")
    if options.get("hookwrapper"):
        raise PluginError(f"{where} is an old-style wrapper; use @hookimpl(wrapper=True)")
    if inspect.isgeneratorfunction(function) and not options.get("wrapper"):
        raise PluginError(f"{where} yields, so it is a wrapper: use @hookimpl(wrapper=True)")
    if options.get("wrapper") and not inspect.isgeneratorfunction(function):
        raise PluginError(f"{where} is a wrapper, so it must yield: inner = yield")
    return _parameters(hook, function, where)


def _parameters(hook: str, function: Callable[..., Any], where: str) -> tuple[str, ...]:
    """Return the names of the parameters that the hook offers. Raises PluginError for parameters that it doesn't have.

    A parameter with a default may be one that only a newer tako offers.
    """
    parameters = inspect.signature(function).parameters.values()
    for parameter in parameters:
        if parameter.kind is parameter.KEYWORD_ONLY:
            raise PluginError(f"{where} has the keyword-only parameter {parameter.name}, which would get nothing")
        if parameter.kind is parameter.POSITIONAL_ONLY:
            raise PluginError(f"{where}: remove the / after {parameter.name}; tako passes parameters by name")
        if parameter.name not in HOOK_PARAMETERS[hook] and parameter.default is parameter.empty:
            hint = f"{hook} offers {', '.join(HOOK_PARAMETERS[hook])}"
            hint = "register an instance of the class" if parameter.name == "self" else hint
            raise PluginError(f"{where} has the parameter {parameter.name}; {hint}")
    return tuple(parameter.name for parameter in parameters if parameter.name in HOOK_PARAMETERS[hook])
