"""The plugin manager of one provider class: the only module that talks to pluggy."""

from __future__ import annotations

import inspect
import traceback
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pluggy

from tako import hookspecs
from tako.capabilities import Capabilities
from tako.compatibility import check_version
from tako.errors import PluginError
from tako.hooks.checks import HOOKS, check_attribute, one_line
from tako.translator import Translator

if TYPE_CHECKING:
    from types import FrameType

hookimpl = pluggy.HookimplMarker("tako")

Named = Sequence[tuple[str, object]]

for _hook in HOOKS:  # marked here, so that no other module needs pluggy
    pluggy.HookspecMarker("tako")(getattr(hookspecs, _hook), firstresult=True)

_KINDS: dict[str, type] = {"tako_capabilities": Capabilities, "tako_translator": Translator}
"""What hooks return that do not return functions."""


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
            options = self.parse_hookimpl_opts(plugin, attribute)
            check_attribute(plugin, attribute, options, f"plugin {name or plugin!r}: {attribute}")
        try:
            return super().register(plugin, name)
        except (ValueError, pluggy.PluginValidationError) as error:
            raise PluginError(f"plugin {name or plugin!r}: {one_line(error)}") from error

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


class WrongResultError(PluginError):
    """A hook returned something else than it promises."""


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


def _kind(value: object) -> str:
    return "nothing" if value is None else f"a {type(value).__name__}"
