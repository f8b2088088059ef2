"""The parameters of a function, by its signature and docstring, and calls with values for them."""

from __future__ import annotations

import inspect
from functools import partial
from types import SimpleNamespace
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

from tako.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

ParameterInfo = tuple[str, Any, "Callable[[], Any] | None", str]
"""A parameter's name, type, default and description."""


class Signature:
    """The parameters of a function, without ``**kwargs``, since a model can't know what they accept.

    Raises ConfigurationError if they can't be read.
    """

    def __init__(self, function: Callable[..., Any], name: str) -> None:
        self.function = function
        inner = unwrap(function)
        annotated = inner if inspect.isroutine(inner) or isinstance(inner, type) else type(inner).__call__
        try:
            self.hints = _hints(inspect.unwrap(annotated))
            self.parameters = list(inspect.signature(function).parameters.values())
        except (NameError, TypeError, ValueError) as error:
            raise ConfigurationError(f"Tool.of: {name}: its parameters can't be read: {error}") from None
        bound = function.keywords if isinstance(function, partial) else {}
        self.parameters = [
            parameter
            for parameter in self.parameters
            if parameter.kind is not parameter.VAR_KEYWORD and parameter.name not in bound
        ]

    def describe(self, descriptions: Mapping[str, str]) -> list[ParameterInfo]:
        """List the parameters with their descriptions, for the model."""
        return [self._describe(parameter, descriptions.get(parameter.name, "")) for parameter in self.parameters]

    def call(self, values: Mapping[str, Any]) -> Callable[[], Any]:
        """Return the call with these values. Missing parameters have their default."""
        named = dict(values)
        has_varargs = any(parameter.kind is parameter.VAR_POSITIONAL for parameter in self.parameters)
        positional: list[Any] = []
        for parameter in self.parameters:
            if parameter.kind is parameter.VAR_POSITIONAL:
                positional += named.pop(parameter.name, ())
            elif parameter.kind is parameter.POSITIONAL_ONLY or (
                has_varargs and parameter.kind is parameter.POSITIONAL_OR_KEYWORD
            ):
                positional.append(named.pop(parameter.name) if parameter.name in named else _default(parameter))
            elif _is_pydantic_field(parameter.default):
                named.setdefault(parameter.name, _default(parameter))
        return partial(self.function, *positional, **named)

    def _describe(self, parameter: inspect.Parameter, text: str) -> ParameterInfo:
        hint: Any = self.hints.get(parameter.name, Any)
        wrap: Any = Annotated
        if parameter.kind is parameter.VAR_POSITIONAL:
            wrap = list
            return parameter.name, wrap[hint], tuple, text
        if _is_pydantic_field(parameter.default):
            default = None if parameter.default.is_required() else partial(_default, parameter)
            return parameter.name, wrap[hint, parameter.default], default, text
        return (
            parameter.name,
            hint,
            None if parameter.default is parameter.empty else partial(_default, parameter),
            text,
        )


def _hints(function: Any) -> dict[str, Any]:
    """Return the types of parameters. The result's type is skipped, since it may be undefined at run time."""
    if isinstance(function, type):
        return get_type_hints(function, include_extras=True)
    annotations = {
        name: annotation for name, annotation in getattr(function, "__annotations__", {}).items() if name != "return"
    }
    variables = getattr(function, "__type_params__", ())
    stand_in = SimpleNamespace(__annotations__=annotations, __type_params__=variables)
    return get_type_hints(stand_in, getattr(function, "__globals__", None), include_extras=True)


def unwrap(function: Any) -> Any:
    """Return the function of a ``partial``."""
    while isinstance(function, partial):
        function = function.func
    return function


def parse_docstring(function: Any) -> tuple[str, dict[str, str]]:
    """Return the descriptions of a function and its parameters from a docstring in Google, NumPy or Sphinx style."""
    text = _docstring(unwrap(function))
    import docstring_parser

    try:
        docstring = docstring_parser.parse(text)
    except docstring_parser.ParseError:
        return text, {}
    descriptions = {
        parameter.arg_name.lstrip("*"): " ".join((parameter.description or "").split())
        for parameter in docstring.params
    }
    return (docstring.description or "").strip(), descriptions


def _docstring(function: Any) -> str:
    """Return the docstring of a function, or of a class if it's its own, not inherited or generated."""
    if inspect.isroutine(function):
        return inspect.getdoc(function) or ""
    cls = function if isinstance(function, type) else type(function)
    call = "" if function is cls else getattr(vars(cls).get("__call__"), "__doc__", "")
    class_docstring = vars(cls).get("__doc__") or ""
    return inspect.cleandoc(call or ("" if class_docstring.startswith(f"{cls.__name__}(") else class_docstring))


def _default(parameter: inspect.Parameter) -> Any:
    """Return a parameter's default, which may be in a ``pydantic.Field``."""
    return (
        parameter.default.get_default(call_default_factory=True)
        if _is_pydantic_field(parameter.default)
        else parameter.default
    )


def _is_pydantic_field(default: Any) -> bool:
    return type(default).__module__ == "pydantic.fields" and hasattr(default, "get_default")
