"""``get_provider``: makes a provider by its id, and explains why a constructor refused its options."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from tako.errors import ConfigurationError, PluginError, TakoError, UnknownProviderError, short_repr
from tako.hooks.plugins import PLUGINS
from tako.keywords import ID_PARAMETERS, option_hint, read_defaults
from tako.names import unknown_provider
from tako.output import plugin_output_to_stderr

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tako.provider import Provider


RESERVED_PARAMETERS = ("id", "self", "cls")
"""Parameters that options can't set."""


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
        raise PluginError(f"a provider's id is text, as in 'openai:gpt-6.2-sol', not {short_repr(id)}")
    name, _, model = id.partition(":")
    try:
        cls = PLUGINS.provider_class(name)
        return _make(cls, id, model, options)
    except UnknownProviderError:
        failure: TakoError = UnknownProviderError(unknown_provider(id))
    except TakoError as error:
        failure = error.with_traceback(None)
    options.clear()  # a traceback with locals shows this frame, and keys are options
    raise failure


def _make(cls: type[Provider], id: str, model: str, options: dict[str, Any]) -> Provider:
    # options of every provider, so no constructor needs these parameters
    defaults, label = options.pop("defaults", None), options.pop("label", None)
    try:
        with plugin_output_to_stderr():
            provider = cls.from_id(model, **options)
    except UnknownProviderError as error:  # the name of another provider that this one consists of
        raise PluginError(f"{cls.name}: {error}") from None
    except TypeError as error:
        raise ConfigurationError(explain_type_error(cls, id, options, error)) from None
    if defaults is not None:
        provider.defaults = {**provider.defaults, **read_defaults(defaults, provider)}
    if label is not None:
        provider.label = label
    return provider


def explain_type_error(cls: type, id: str, options: Mapping[str, Any], error: TypeError) -> str:
    """Explain a TypeError of ``cls.from_id``, since Python's own text is about positional and keyword arguments."""
    name, _, model = id.partition(":")
    if "model" in options:
        return f"{name}: model isn't an option; it's a part of the id, as in {name}:MODEL"
    reserved = next((option for option in RESERVED_PARAMETERS if option in options), None)
    if reserved is not None:
        return f"{id}: {cls.__name__} has no option {reserved!r}"
    parameters = inspect.signature(cls).parameters.values()
    accepted = [
        parameter.name
        for parameter in parameters
        if parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    ]
    missing = [
        parameter.name
        for parameter in parameters
        if parameter.name in accepted and parameter.default is parameter.empty and parameter.name not in options
    ]
    if not model and "model" in missing:
        return f"{name} needs a model, as in {name}:MODEL"
    missing = [option for option in missing if option not in ID_PARAMETERS]
    if missing:
        return f"{id} needs the option{'s' * (len(missing) > 1)} {_join_names(missing)}"
    unknown = next((option for option in options if option not in accepted), None)
    if unknown is not None and len(accepted) == len(parameters):
        return f"{id}: {cls.__name__} has no option {unknown!r}{option_hint(unknown, accepted)}"
    return f"{id}: {cls.__name__} failed: {error}"


def _join_names(names: Iterable[str]) -> str:
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last
