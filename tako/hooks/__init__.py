"""Loading plugins, checking them, and binding the hooks of one provider.

Every provider class has a small plugin manager of its own (`manager`): the module that defines the class, then tako's
built-ins, then the general plugins (`plugins`); other vendors are absent from it. `checks` says what is wrong with an
implementation, `finding` imports the class of a provider, `getting` makes one by its id.
"""

from tako.hooks.checks import HOOKS
from tako.hooks.finding import UnknownProviderError
from tako.hooks.getting import get_provider
from tako.hooks.manager import Hooks, Named, WrongResultError, hookimpl
from tako.hooks.plugins import PLUGINS, Plugins, PluginWarning, register, unregister

__all__ = [
    "HOOKS",
    "PLUGINS",
    "Hooks",
    "Named",
    "PluginWarning",
    "Plugins",
    "UnknownProviderError",
    "WrongResultError",
    "get_provider",
    "hookimpl",
    "register",
    "unregister",
]
