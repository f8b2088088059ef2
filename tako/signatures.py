"""What a function's signature and docstring say of its parameters, and how it's called with values of them."""

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
    """The parameters of a function. ``**kwargs`` aren't among them: a model can't know what they take.

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
        self.parameters = [one for one in self.parameters if one.kind is not one.VAR_KEYWORD and one.name not in bound]

    def describe(self, descriptions: Mapping[str, str]) -> list[ParameterInfo]:
        """List what a model is told of each parameter."""
        return [self._describe(one, descriptions.get(one.name, "")) for one in self.parameters]

    def call(self, values: Mapping[str, Any]) -> Callable[[], Any]:
        """Return the call with these values; what isn't among them has its default."""
        named = dict(values)
        has_varargs = any(one.kind is one.VAR_POSITIONAL for one in self.parameters)
        positional: list[Any] = []
        for one in self.parameters:
            if one.kind is one.VAR_POSITIONAL:
                positional += named.pop(one.name, ())
            elif one.kind is one.POSITIONAL_ONLY or (has_varargs and one.kind is one.POSITIONAL_OR_KEYWORD):
                positional.append(named.pop(one.name) if one.name in named else _default(one))
            elif _is_pydantic_field(one.default):
                named.setdefault(one.name, _default(one))
        return partial(self.function, *positional, **named)

    def _describe(self, one: inspect.Parameter, text: str) -> ParameterInfo:
        hint: Any = self.hints.get(one.name, Any)
        wrap: Any = Annotated
        if one.kind is one.VAR_POSITIONAL:
            wrap = list
            return one.name, wrap[hint], tuple, text
        if _is_pydantic_field(one.default):
            default = None if one.default.is_required() else partial(_default, one)
            return one.name, wrap[hint, one.default], default, text
        return one.name, hint, None if one.default is one.empty else partial(_default, one), text


def _hints(function: Any) -> dict[str, Any]:
    """Return the types of parameters. That of the result may be a name that's there for type checkers alone."""
    if isinstance(function, type):
        return get_type_hints(function, include_extras=True)
    annotations = {name: one for name, one in getattr(function, "__annotations__", {}).items() if name != "return"}
    variables = getattr(function, "__type_params__", ())
    stand_in = SimpleNamespace(__annotations__=annotations, __type_params__=variables)
    return get_type_hints(stand_in, getattr(function, "__globals__", None), include_extras=True)


def unwrap(function: Any) -> Any:
    """Return the function of a ``partial``."""
    while isinstance(function, partial):
        function = function.func
    return function


def parse_docstring(function: Any) -> tuple[str, dict[str, str]]:
    """Return what a docstring says of a function, and of each parameter; Google, NumPy and Sphinx styles are known."""
    text = _docstring(unwrap(function))
    import docstring_parser

    try:
        docstring = docstring_parser.parse(text)
    except docstring_parser.ParseError:
        return text, {}
    descriptions = {one.arg_name.lstrip("*"): " ".join((one.description or "").split()) for one in docstring.params}
    return (docstring.description or "").strip(), descriptions


def _docstring(plain: Any) -> str:
    """Return a function's docstring, or that of a class if it's the class's own: neither inherited nor made up."""
    if inspect.isroutine(plain):
        return inspect.getdoc(plain) or ""
    cls = plain if isinstance(plain, type) else type(plain)
    call = "" if plain is cls else getattr(vars(cls).get("__call__"), "__doc__", "")
    class_docstring = vars(cls).get("__doc__") or ""
    return inspect.cleandoc(call or ("" if class_docstring.startswith(f"{cls.__name__}(") else class_docstring))


def _default(one: inspect.Parameter) -> Any:
    """Return a parameter's default, which may be what ``pydantic.Field`` says."""
    return one.default.get_default(call_default_factory=True) if _is_pydantic_field(one.default) else one.default


def _is_pydantic_field(default: Any) -> bool:
    return type(default).__module__ == "pydantic.fields" and hasattr(default, "get_default")
