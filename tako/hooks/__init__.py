"""Loading plugins, checking them, and binding the hooks of one provider.

- Loading: `plugins` has the plugins of this process, `settings` their options, `import_lock` lets one thread import
  them, and `required` stops calls if a required plugin is missing.
- Checking: `checks` lists the implementations in a plugin, and what is wrong with them.
- Binding: `manager` has the hooks of one provider class, `hook_calls` calls one, `layers` wraps what it returned, and
  `failures` says which exceptions pass through.
- Calling: `contract` checks every answer, `nested_calls` recognises calls from a provider's own code, and `counting`
  lets a request pass the plugins to be counted.
- Providers: `provider_classes` imports a class, `provider_factory` makes a provider by its id.
"""

from tako.hooks.checks import HOOKS
from tako.hooks.counting import is_counting
from tako.hooks.failures import WrongResultError
from tako.hooks.manager import HookResult, Hooks, NamedPlugins, Plugin, hookimpl
from tako.hooks.plugins import PLUGINS, Plugins, PluginWarning, register, unregister
from tako.hooks.provider_factory import get_provider

__all__ = [
    "HOOKS",
    "PLUGINS",
    "HookResult",
    "Hooks",
    "NamedPlugins",
    "Plugin",
    "PluginWarning",
    "Plugins",
    "WrongResultError",
    "get_provider",
    "hookimpl",
    "is_counting",
    "register",
    "unregister",
]
