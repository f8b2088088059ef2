"""``get_provider``: a provider by its id."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tako.errors import ConfigurationError, PluginError, TakoError, shown
from tako.hooks.finding import UnknownProviderError
from tako.hooks.misfit import misfit
from tako.hooks.plugins import PLUGINS
from tako.keywords import read_defaults
from tako.names import unknown_provider
from tako.output import plugin_output_to_stderr

if TYPE_CHECKING:
    from tako.provider import Provider


def get_provider(id: str, /, **options: Any) -> Provider:
    """Make a provider by its id: ``get_provider("openai:gpt-6.2-sol", timeout=30)``.

    Args:
        id: The provider's name, a colon, and the model.
        **options: The options of the provider's class, and ``defaults`` and ``label``.

    Raises:
        PluginError: The provider isn't installed, or is broken.
        ConfigurationError: An option is wrong.
    """
    if not isinstance(id, str) or not id.partition(":")[0]:
        raise PluginError(f"a provider's id is text, as in 'openai:gpt-5', not {shown(id)}")
    name, _, model = id.partition(":")
    try:
        cls = PLUGINS.provider_class(name)
        return _made(cls, id, model, options)
    except UnknownProviderError:
        failure: TakoError = UnknownProviderError(unknown_provider(id))
    except TakoError as error:
        failure = error.with_traceback(None)
    options.clear()  # a traceback with locals shows this frame, and keys are options
    raise failure


def _made(cls: type[Provider], id: str, model: str, options: dict[str, Any]) -> Provider:
    # of every provider, so that no constructor has to take them
    defaults, label = options.pop("defaults", None), options.pop("label", None)
    try:
        with plugin_output_to_stderr():
            provider = cls.from_id(model, **options)
    except UnknownProviderError as error:  # another that this one is made of: its name is meant
        raise PluginError(f"{cls.name}: {error}") from None
    except TypeError as error:
        raise ConfigurationError(misfit(cls, id, options, error)) from None
    if defaults is not None:
        provider.defaults = {**provider.defaults, **read_defaults(defaults, provider)}
    if label is not None:
        provider.label = label
    return provider
