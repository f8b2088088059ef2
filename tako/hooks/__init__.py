"""Loading plugins, checking them, and binding the hooks of one provider.

- Loading: `plugins` are those of this process, `turn` lets one thread import them, `required` stops calls without one.
- Checking: `checks` finds the implementations in a plugin, and what is wrong with them.
- Binding: `manager` has the hooks of one provider class, `asking` asks one, `layers` stand around what came of it, and
  `failures` decides whose fault an exception is.
- Providers: `finding` imports the class of one, `getting` makes one by its id.
"""

from tako.hooks.checks import HOOKS
from tako.hooks.failures import WrongResultError
from tako.hooks.finding import UnknownProviderError
from tako.hooks.getting import get_provider
from tako.hooks.manager import Bound, Hooks, Named, Plugin, hookimpl
from tako.hooks.plugins import PLUGINS, Plugins, PluginWarning, register, unregister

__all__ = [
    "HOOKS",
    "PLUGINS",
    "Bound",
    "Hooks",
    "Named",
    "Plugin",
    "PluginWarning",
    "Plugins",
    "UnknownProviderError",
    "WrongResultError",
    "get_provider",
    "hookimpl",
    "register",
    "unregister",
]
