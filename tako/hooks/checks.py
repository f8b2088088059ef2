"""What is wrong with a plugin's implementation of a hook, in words that its author can act on."""

from __future__ import annotations

import difflib
import inspect
from typing import Any

from tako import hookspecs
from tako.errors import PluginError

HOOKS = tuple(name for name in vars(hookspecs) if name.startswith("tako_"))


def check_attribute(plugin: object, attribute: str, options: Any, where: str) -> None:
    """Refuse an attribute that implements a hook wrongly; ``options`` are those of its ``@hookimpl``, None without."""
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


def one_line(error: BaseException) -> str:
    """Return an exception as one line: its class and its text."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
