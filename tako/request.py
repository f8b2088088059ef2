"""Conversion of what callers pass into a request, and its checks."""

from __future__ import annotations

from math import inf
from types import NoneType
from typing import TYPE_CHECKING, Any

from msgspec.structs import astuple

from tako.errors import ConfigurationError, kind_of, short_repr
from tako.json_values import DEEPEST, NESTING, as_array, as_object, is_deep
from tako.parts import (
    ContentPart,
    FileIdPart,
    FilePart,
    FileUrlPart,
    ImagePart,
    ImageUrlPart,
    ReasoningPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
    VendorPart,
)
from tako.state import State
from tako.types import ChatRequest, JsonSchema, Message, Role, Tool, VendorTool

if TYPE_CHECKING:
    from collections.abc import Mapping

TOOL_CHOICES = ("auto", "none", "required")
OPTION_TYPES: tuple[tuple[str, tuple[type, ...], str], ...] = (
    ("model", (str,), "a str"),
    ("tool_choice", (str,), "a str"),
    ("temperature", (int, float), "a number"),
    ("top_p", (int, float), "a number"),
    ("max_tokens", (int,), "a number of tokens"),
    ("seed", (int,), "an int"),
    ("response_format", (str, JsonSchema), '"json" or a JsonSchema'),
    ("reasoning", (int, str), "a word or a number of tokens"),
    ("timeout", (int, float), "a number of seconds"),
    ("deadline", (int, float), "a number of seconds"),
)
"""Fields that may be None, their types, and the names of these in messages."""

_Fields = tuple[tuple[str, type | tuple[type, ...], str], ...]
_TEXT_OR_NONE = (str, NoneType)
_COMMON: _Fields = (("state", (State, NoneType), "a State"), ("extra", dict, "a dict"))
_SENT: _Fields = (*_COMMON, ("cache", (bool, str), "True, False or a duration"))
FIELDS: Mapping[type, _Fields] = {
    TextPart: (("text", str, "a str"), ("citations", list, "a list"), *_SENT),
    ImagePart: (("mime", str, "a str"), ("data_b64", str, "a str"), *_SENT),
    ImageUrlPart: (("url", str, "a str"), ("mime", _TEXT_OR_NONE, "a str"), *_SENT),
    FilePart: (("mime", str, "a str"), ("data_b64", str, "a str"), ("name", _TEXT_OR_NONE, "a str"), *_SENT),
    FileUrlPart: (("url", str, "a str"), ("mime", _TEXT_OR_NONE, "a str"), ("name", _TEXT_OR_NONE, "a str"), *_SENT),
    FileIdPart: (("id", str, "a str"), ("provider", str, "a str"), ("mime", _TEXT_OR_NONE, "a str"), *_SENT),
    ToolCallPart: (("id", str, "a str"), ("name", str, "a str"), *_SENT),
    ToolResultPart: (("id", str, "a str"), *_SENT),
    ReasoningPart: (("text", str, "a str"), *_COMMON),
    VendorPart: (("kind", str, "a str"), ("state", State, "a State"), ("extra", dict, "a dict")),
    Tool: (
        ("name", str, "a str"),
        ("description", str, "a str"),
        ("input_schema", dict, "a dict"),
        ("strict", (bool, NoneType), "True, False or None"),
        ("cache", (bool, str), "True, False or a duration"),
        ("extra", dict, "a dict"),
    ),
    VendorTool: (("provider", str, "a str"), ("block", dict, "a dict")),
    JsonSchema: (("name", str, "a str"), ("schema", dict, "a dict")),
}
"""The types of fields of parts, tools and schemas. Plugins check their own classes."""

MAX_SECONDS = 1e9
"""Seconds. Every timeout and deadline is smaller."""
SECONDS = "a number of seconds above 0 and below a billion"
"""The description of a timeout or a deadline in messages."""
TOO_DEEP = f"is nested deeper than {DEEPEST} levels"

_DEFAULT_OPTIONS = astuple(ChatRequest([]))[1:-2]
"""The fields of a request without options, between its messages and what is never compared: headers and context."""


def as_request(prompt: ChatRequest | str | list[Message] | Message) -> ChatRequest:
    """Turn a prompt into a ChatRequest, and check it.

    Raises ConfigurationError with the path of the problem.
    """
    if isinstance(prompt, str):
        return ChatRequest([Message.user(prompt)])
    request = ChatRequest([prompt]) if isinstance(prompt, Message) else prompt
    if isinstance(request, list):
        request = ChatRequest(request)
    if not isinstance(request, ChatRequest):
        raise ConfigurationError(f"a request is a ChatRequest, a str or a list of Messages, not {kind_of(prompt)}")
    if not isinstance(request.messages, list):
        raise ConfigurationError(f"messages is {kind_of(request.messages)}, not a list")
    if not request.messages:
        raise ConfigurationError("the request has no messages")
    for i, message in enumerate(request.messages):
        _check_message(message, i)
    _check_options(request)
    return request


def _check_message(message: Any, i: int) -> None:
    """Check a message. Paths are only built if there's a problem, since most messages are valid."""
    if not isinstance(message, Message):
        raise ConfigurationError(f"messages[{i}] is {kind_of(message)}, not a Message: {_how_to_write(message)}")
    if message.role.__class__ is not Role:
        raise ConfigurationError(f"messages[{i}].role is {short_repr(message.role)}, not one of {', '.join(Role)}")
    content: Any = message.content
    if isinstance(content, str):
        return
    parts = as_array(content)
    if parts is None:
        raise ConfigurationError(f"messages[{i}].content is {kind_of(content)}, not a str or a list of parts")
    for j, part in enumerate(parts):
        if part.__class__ is TextPart and part == TextPart(part.text) and part.text.__class__ is str:
            continue  # fast path: most parts are plain text
        problem = _field_problem(part)
        if problem is None and not isinstance(part, ContentPart):
            problem = f" is {kind_of(part)}, not a part: use ContentPart.text(…), ContentPart.image_file(…), …"
        if problem is None and isinstance(part, ToolResultPart):
            inner = [(k, _field_problem(inner_part)) for k, inner_part in enumerate(as_array(part.result) or ())]
            problem = next(
                (f".result[{k}]{field_problem}" for k, field_problem in inner if field_problem is not None), None
            )
        if problem is not None:
            raise ConfigurationError(f"messages[{i}].content[{j}]{problem}")


def _how_to_write(value: Any) -> str:
    """Say how to write what stands in a message's place: a dict of another library, a text, or a part."""
    if isinstance(value, (str, ContentPart)):
        return "put texts and parts into tako.Message.user([…])"
    role = (as_object(value) or {}).get("role")
    maker = role if role in ("assistant", "system", "tool") else "user"
    return f"write tako.Message.{maker}(…)"


def _field_problem(value: Any) -> str | None:
    """Return the problem with a field of a part, a tool or a schema, None if they're all valid."""
    for name, kinds, expected in FIELDS.get(value.__class__, ()):
        field = getattr(value, name)
        if not isinstance(field, kinds):
            return f".{name} is {kind_of(field)}, not {expected}"
    for name in getattr(value, "__struct_fields__", ()):
        field = getattr(value, name)
        if isinstance(field, NESTING) and field and is_deep(field):
            return f".{name} {TOO_DEEP}"
    return None


def _check_options(request: ChatRequest) -> None:
    _check_headers(request.headers)
    if astuple(request)[1:-2] == _DEFAULT_OPTIONS:
        return
    for name, kinds, expected in OPTION_TYPES:
        value = getattr(request, name)
        if value is not None and (not isinstance(value, kinds) or isinstance(value, bool)):
            raise ConfigurationError(f"{name} is {kind_of(value)}, not {expected}")
    _check_numbers(request)
    if request.model is not None and not (request.model and is_model_name(request.model)):
        problem = "isn't a model's name" if request.model else "is empty; leave it out, or name one"
        raise ConfigurationError(f"model {request.model!r} {problem}")
    _check_items(request.stop, str, "stop")
    if "" in request.stop:
        raise ConfigurationError(f"stop[{request.stop.index('')}] is empty")
    _check_tables(request)
    if isinstance(request.response_format, str) and request.response_format != "json":
        raise ConfigurationError(f'response_format is {request.response_format!r}, neither "json" nor a JsonSchema')
    wrong_format = _field_problem(request.response_format)
    if wrong_format is not None:
        raise ConfigurationError(f"response_format{wrong_format}")
    if not isinstance(request.strict, bool):
        raise ConfigurationError(f"strict is {kind_of(request.strict)}, not True or False")
    if not isinstance(request.parallel_tool_calls, (bool, NoneType)):
        raise ConfigurationError(f"parallel_tool_calls is {kind_of(request.parallel_tool_calls)}, not True or False")
    _check_tools(request)


def _check_numbers(request: ChatRequest) -> None:
    for name, value in (("temperature", request.temperature), ("top_p", request.top_p)):
        if value is not None and not -inf < value < inf:
            raise ConfigurationError(f"{name} is {value}, not a finite number")
    for name, value in (("timeout", request.timeout), ("deadline", request.deadline)):
        if value is not None and not is_seconds(value):
            raise ConfigurationError(f"{name} is {short_repr(value)}, not {SECONDS}")
    if request.max_tokens is not None and request.max_tokens < 0:
        raise ConfigurationError(f"max_tokens is {request.max_tokens}, not a number of tokens")


def is_model_name(name: object) -> bool:
    """Whether it can be a model's name: printable text, and not a step of a path."""
    return isinstance(name, str) and name.isprintable() and name not in {".", ".."}


def is_seconds(value: object) -> bool:
    """Whether a value can be a timeout or a deadline."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value < MAX_SECONDS


def _check_tools(request: ChatRequest) -> None:
    _check_items(
        request.tools, (Tool, VendorTool), "tools", ": pass a function or a tako.Tool(name, description, schema)"
    )
    names: list[str] = []
    for i, tool in enumerate(request.tools):
        problem = _field_problem(tool)
        if problem is not None:
            raise ConfigurationError(f"tools[{i}]{problem}")
        if tool.name in names and isinstance(tool, Tool):
            raise ConfigurationError(f"tools[{i}] has the name {tool.name!r}, as tools[{names.index(tool.name)}] has")
        names.append(tool.name)
    if request.tool_choice is not None and request.tool_choice not in (*TOOL_CHOICES, *names):
        choices = ", ".join([*TOOL_CHOICES, *names])
        raise ConfigurationError(f"tool_choice {request.tool_choice!r} names no tool (known: {choices})")


def _check_tables(request: ChatRequest) -> None:
    value: Any
    for name, value in (("metadata", request.metadata), ("extra", request.extra)):
        table = as_object(value)
        if table is None:
            raise ConfigurationError(f"{name} is {kind_of(value)}, not a dict")
        if table and is_deep(table):
            raise ConfigurationError(f"{name} {TOO_DEEP}")
        for key in table:
            if not isinstance(key, str):
                raise ConfigurationError(f"{name} has a key that is {kind_of(key)}, not a str")
    for key, text in request.metadata.items():
        if not isinstance(text, str):
            raise ConfigurationError(f"metadata[{key!r}] is {kind_of(text)}, not a str")


def _check_headers(headers: Any) -> None:
    if not isinstance(headers, dict):
        raise ConfigurationError(f"headers is {kind_of(headers)}, not a dict")
    if not headers:  # most requests
        return
    for name, value in headers.items():  # pyright: ignore[reportUnknownVariableType] - checked here
        if not isinstance(name, str) or not isinstance(value, str):
            raise ConfigurationError(f"headers[{name!r}] is {kind_of(value)}: names and values are text")  # pyright: ignore[reportUnknownArgumentType] - the same


def _check_items(items: Any, kinds: type | tuple[type, ...], path: str, advice: str = "") -> None:
    array = as_array(items)
    if array is None:
        hint = f": write {path}=[{short_repr(items)}]" if isinstance(items, str) and kinds is str else ""
        raise ConfigurationError(f"{path} is {kind_of(items)}, not a list{hint}")
    for i, item in enumerate(array):
        if not isinstance(item, kinds):
            expected_type = kinds[0] if isinstance(kinds, tuple) else kinds
            raise ConfigurationError(f"{path}[{i}] is {kind_of(item)}, not a {expected_type.__name__}{advice}")
