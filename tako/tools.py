"""Tools made of functions: what a model is told of one, and calling it with what the model says."""

from __future__ import annotations

import inspect
import re
from functools import partial
from typing import TYPE_CHECKING, Any, get_type_hints

import msgspec

from tako.errors import ConfigurationError, TakoError, one_line, shown
from tako.loose import as_array
from tako.parts import ContentPart, ToolResultPart
from tako.typed.reading import MismatchError, read_closely
from tako.typed.schemas import schema_of_arguments
from tako.typed.shapes import Record, arguments_of
from tako.types import Tool

if TYPE_CHECKING:
    from collections.abc import Callable

    from tako.parts import ToolCallPart

NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_NAMED = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


class Function:
    """A Python function behind a tool, with the shape of its arguments."""

    def __init__(self, function: Callable[..., Any], arguments: Record) -> None:
        self.function, self.arguments = function, arguments

    async def call(self, call: ToolCallPart) -> ToolResultPart:
        """Call it; a failure is a result with ``is_error``. What isn't async runs in a thread."""
        try:
            values = self.read(call.args)
            return ToolResultPart(call.id, _as_result(await self.run(values)))
        except MismatchError as error:
            return failed(call, f"the arguments don't fit: {error}")
        except TakoError as error:
            return failed(call, f"{type(error).__name__}: {error}")
        except Exception as error:  # noqa: BLE001 - whatever the function raises, the model is told
            return failed(call, f"{type(error).__name__}: {one_line(str(error))}")

    def read(self, args: Any) -> dict[str, Any]:
        """Return the arguments as the function wants them. Raises MismatchError."""
        if not isinstance(args, dict):
            raise MismatchError(f"they aren't a JSON object: {shown(args)}")
        values: dict[str, Any] = read_closely(self.arguments, args, msgspec.json.encode(args), "$")
        return values

    async def run(self, values: dict[str, Any]) -> Any:
        """Run the function."""
        function = self.function
        called = getattr(function, "__call__", None)  # noqa: B004 - of an object the method itself is looked at
        if inspect.iscoroutinefunction(_unwrapped(function)) or inspect.iscoroutinefunction(called):
            return await function(**values)
        from anyio import to_thread

        result = await to_thread.run_sync(partial(function, **values), abandon_on_cancel=True)
        return await result if inspect.isawaitable(result) else result


def failed(call: ToolCallPart, text: str) -> ToolResultPart:
    """Return the result of a call that failed, or wasn't made."""
    return ToolResultPart(call.id, text, is_error=True)


def tool_of(
    function: Callable[..., Any], *, name: str | None, description: str | None, strict: bool | None, cache: bool | str
) -> Tool:
    """Make a tool of a function. Raises ConfigurationError."""
    if not callable(function):
        raise ConfigurationError(f"Tool.of takes a function, not a {type(function).__name__}")
    plain = _unwrapped(function)
    own = name or getattr(plain, "__name__", "") or type(function).__name__
    if not NAME.fullmatch(own):
        raise ConfigurationError(f"Tool.of: {own!r} can't be a tool's name (letters, digits, _ and -); give name=")
    text, documented = _documented(function, plain)
    arguments = arguments_of(own, _parameters(function, plain, own, documented))
    schema = schema_of_arguments(arguments)
    schema.pop("description", None)
    tool = Tool(own, text if description is None else description, schema, strict, cache)
    vars(tool)["function"] = Function(function, arguments)
    return tool


def function_of(tool: object) -> Function | None:
    """Return the function behind a tool; None for one that was made without."""
    found: Function | None = vars(tool).get("function") if isinstance(tool, Tool) else None
    return found


def _unwrapped(function: Any) -> Any:
    while isinstance(function, partial):
        function = function.func
    return function


def _parameters(
    function: Callable[..., Any], plain: Any, name: str, documented: dict[str, str]
) -> list[tuple[str, Any, Callable[[], Any] | None, str]]:
    """List a function's parameters with their types, defaults and descriptions."""
    try:
        hinted = plain if inspect.isroutine(plain) or isinstance(plain, type) else type(plain).__call__
        hints = get_type_hints(inspect.unwrap(hinted), include_extras=True)
        parameters = inspect.signature(function).parameters.values()
    except (NameError, TypeError, ValueError) as error:
        raise ConfigurationError(f"Tool.of: {name}: its parameters can't be read: {error}") from None
    fixed = function.keywords if isinstance(function, partial) else {}
    found: list[tuple[str, Any, Callable[[], Any] | None, str]] = []
    for one in parameters:
        if one.kind is one.VAR_KEYWORD or one.name in fixed:
            continue
        if one.kind not in _NAMED:
            raise ConfigurationError(f"Tool.of: {name}: parameter {one.name} can't be given by name; give it one")
        default = None if one.default is one.empty else partial(_same, one.default)
        found.append((one.name, hints.get(one.name, Any), default, documented.get(one.name, "")))
    return found


def _documented(function: Any, plain: Any) -> tuple[str, dict[str, str]]:
    """Return what a docstring says of a function, and of each parameter; Google, NumPy and Sphinx styles are known."""
    text = inspect.getdoc(plain if inspect.isroutine(plain) or isinstance(plain, type) else type(plain).__call__) or ""
    if not text and function is not plain:
        text = inspect.getdoc(plain) or ""
    import docstring_parser

    try:
        read = docstring_parser.parse(text)
    except docstring_parser.ParseError:
        return text, {}
    described = {one.arg_name.lstrip("*"): " ".join((one.description or "").split()) for one in read.params}
    return (read.description or "").strip(), described


def _same(value: Any) -> Any:
    return value


def _as_result(value: Any) -> Any:
    """Return what a function returned as the result of a call: JSON, a text, or parts. Raises TypeError."""
    if isinstance(value, ContentPart):
        return [value]
    items = as_array(value)
    if items and all(isinstance(one, ContentPart) for one in items):
        return items
    return value if isinstance(value, str) else msgspec.json.decode(msgspec.json.encode(value, enc_hook=_plain))


def _plain(value: Any) -> Any:
    """Return a pydantic model as JSON."""
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json")
    raise TypeError(f"a {type(value).__name__} isn't JSON")
