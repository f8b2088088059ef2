"""Tools made from functions: their declaration for the model, and calls with the model's arguments."""

from __future__ import annotations

import inspect
import os
import re
from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING, Any

import msgspec

from tako.errors import ConfigurationError, TakoError, kind_of, short_repr
from tako.hooks.failures import one_line, passes_through
from tako.json_values import as_array
from tako.parts import ContentPart, TextPart, ToolResultPart
from tako.signatures import Signature, parse_docstring, unwrap
from tako.typed.reading import MismatchError, read_strictly
from tako.typed.schemas import schema_of_arguments
from tako.typed.shapes import Record, arguments_of
from tako.types import Tool

if TYPE_CHECKING:
    from collections.abc import Callable

    from tako.parts import ToolCallPart

NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


class Function:
    """A Python function behind a tool, with the shape of its arguments."""

    def __init__(self, signature: Signature, arguments: Record) -> None:
        self.signature, self.arguments = signature, arguments

    async def call(self, call: ToolCallPart) -> ToolResultPart:
        """Call it. A failure is a result with ``is_error``. A function that isn't async runs in a thread."""
        try:
            values = self.read(call.args)
            return ToolResultPart(call.id, _as_result(await self.run(values)))
        except MismatchError as error:
            return error_result(call, f"the arguments don't fit: {error}")
        except BaseException as error:
            if passes_through(error) and not isinstance(error, TakoError):
                raise
            return error_result(call, one_line(error))

    def read(self, args: Any) -> dict[str, Any]:
        """Return the arguments in the types of the parameters. Raises MismatchError."""
        if not isinstance(args, dict):
            raise MismatchError(f"they aren't a JSON object: {short_repr(args)}")
        values: dict[str, Any] = read_strictly(self.arguments, args, msgspec.json.encode(args), "$")
        return values

    async def run(self, values: dict[str, Any]) -> Any:
        """Run the function. If it's a generator, the result is a list."""
        result = await call_function(self.signature.function, self.signature.call(values))
        if isinstance(result, AsyncIterator):
            return [item async for item in result]  # pyright: ignore[reportUnknownVariableType] - of anything
        if isinstance(result, Iterator):
            return await _run_in_thread(list, result)
        return result


async def call_function(function: Callable[..., Any], call: Callable[[], Any]) -> Any:
    """Call a function. One that isn't async runs in a thread, since it may block."""
    method = getattr(function, "__call__", None)  # noqa: B004 - of an object the method itself is looked at
    if inspect.iscoroutinefunction(unwrap(function)) or inspect.iscoroutinefunction(method):
        return await call()
    result = await _run_in_thread(call)
    return await result if inspect.isawaitable(result) else result


def error_result(call: ToolCallPart, text: str) -> ToolResultPart:
    """Return an error as the result of a call."""
    return ToolResultPart(call.id, text, is_error=True)


def tool_of(
    function: Callable[..., Any], *, name: str | None, description: str | None, strict: bool | None, cache: bool | str
) -> Tool:
    """Make a tool from a function. Raises ConfigurationError."""
    if not callable(function):
        raise ConfigurationError(f"Tool.of takes a function, not {kind_of(function)}")
    inner = unwrap(function)
    tool_name = name or getattr(inner, "__name__", "") or type(function).__name__
    if not NAME.fullmatch(tool_name):
        raise ConfigurationError(
            f"Tool.of: {tool_name!r} can't be a tool's name (letters, digits, _ and -); give name="
        )
    text, described = parse_docstring(function)
    signature = Signature(function, tool_name)
    arguments = arguments_of(tool_name, signature.describe(described))
    schema = schema_of_arguments(arguments)
    schema.pop("description", None)
    tool = Tool(tool_name, text if description is None else description, schema, strict, cache)
    vars(tool)["function"] = Function(signature, arguments)
    return tool


def function_of(tool: object) -> Function | None:
    """Return the function of a tool, None if it doesn't have one."""
    function: Function | None = vars(tool).get("function") if isinstance(tool, Tool) else None
    return function


async def _run_in_thread(function: Callable[..., Any], *args: Any) -> Any:
    """Call a function in a thread. A GeneratorExit is passed on separately, since a future can't raise it safely."""
    from anyio import to_thread

    def call() -> tuple[Any, GeneratorExit | None]:
        try:
            return function(*args), None
        except GeneratorExit as error:
            return None, error

    result, error = await to_thread.run_sync(call, abandon_on_cancel=True)
    if error is not None:
        raise error
    return result


def _as_result(value: Any) -> Any:
    """Convert a function's return value to JSON, a text, or parts. Raises TypeError."""
    if isinstance(value, ContentPart):
        return [value]
    items = as_array([*value] if isinstance(value, tuple) else value) or []  # pyright: ignore[reportUnknownArgumentType] - of anything
    if any(isinstance(item, ContentPart) for item in items) and all(
        isinstance(item, (ContentPart, str)) for item in items
    ):
        return [TextPart(item) if isinstance(item, str) else item for item in items]
    return value if isinstance(value, str) else msgspec.json.decode(msgspec.json.encode(value, enc_hook=_plain))


def _plain(value: Any) -> Any:
    """Convert a pydantic model, a NumPy array or number, or a path to JSON. Raises TypeError."""
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json")
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, os.PathLike):
        return str(value)  # pyright: ignore[reportUnknownArgumentType] - of text or bytes
    raise TypeError(f"{kind_of(value)} isn't JSON")
