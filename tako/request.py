"""What callers may pass as a request, and the check that it is one."""

from __future__ import annotations

from math import inf
from types import NoneType
from typing import TYPE_CHECKING, Any

from tako.errors import ConfigurationError
from tako.loose import as_array, as_object
from tako.parts import ContentPart, ImagePart, ImageUrlPart, ReasoningPart, TextPart, ToolCallPart, ToolResultPart
from tako.types import ChatRequest, JsonSchema, Message, Role, Tool

if TYPE_CHECKING:
    from collections.abc import Mapping

CHOICES = ("auto", "none", "required")
KINDS: tuple[tuple[str, tuple[type, ...], str], ...] = (
    ("model", (str,), "a str"),
    ("tool_choice", (str,), "a str"),
    ("temperature", (int, float), "a number"),
    ("top_p", (int, float), "a number"),
    ("max_tokens", (int,), "a number of tokens"),
    ("seed", (int,), "an int"),
    ("response_format", (str, JsonSchema), '"json" or a JsonSchema'),
    ("reasoning", (int, str), "a word or a number of tokens"),
)
"""Fields that may be None, what else they hold, and how that is called."""

_TEXT, _MAY_BE_TEXT = ((str,), "a str"), ((str, NoneType), "a str")
_TABLE = ((dict,), "a dict")
FIELDS: Mapping[type, Mapping[str, tuple[tuple[type, ...], str]]] = {
    TextPart: {"text": _TEXT},
    ImagePart: {"mime": _TEXT, "data_b64": _TEXT},
    ImageUrlPart: {"url": _TEXT, "mime": _MAY_BE_TEXT},
    ToolCallPart: {"id": _TEXT, "name": _TEXT, "signature": _MAY_BE_TEXT},
    ToolResultPart: {"id": _TEXT},
    ReasoningPart: {
        "text": _TEXT,
        "signature": _MAY_BE_TEXT,
        "provider": _MAY_BE_TEXT,
        "data": ((dict, NoneType), "a dict"),
    },
    Tool: {"name": _TEXT, "description": _TEXT, "input_schema": _TABLE},
    JsonSchema: {"name": _TEXT, "schema": _TABLE},
}
"""What is inside of parts, tools and schemas; those of plugins are theirs to check."""


def as_request(given: ChatRequest | str | list[Message] | Message) -> ChatRequest:
    """Make a ChatRequest of whatever stands for one, and check it.

    Raises ConfigurationError with the path of what is wrong, before anything is sent.
    """
    if isinstance(given, str):
        return ChatRequest([Message.user(given)])
    request = ChatRequest([given]) if isinstance(given, Message) else given
    if isinstance(request, list):
        request = ChatRequest(request)
    if not isinstance(request, ChatRequest):
        raise ConfigurationError(f"a request is a ChatRequest, a str or a list of Messages, not a {_kind(given)}")
    if not isinstance(request.messages, list):
        raise ConfigurationError(f"messages is a {_kind(request.messages)}, not a list")
    if not request.messages:
        raise ConfigurationError("the request has no messages")
    for i, message in enumerate(request.messages):
        _check_message(message, f"messages[{i}]")
    _check_options(request)
    return request


def _check_message(message: Any, path: str) -> None:
    if not isinstance(message, Message):
        raise ConfigurationError(f"{path} is a {_kind(message)}, not a Message")
    if message.role.__class__ is not Role:
        raise ConfigurationError(f"{path}.role is {message.role!r}, none of {', '.join(Role)}")
    content: Any = message.content
    if isinstance(content, str):
        return
    parts = as_array(content)
    if parts is None:
        raise ConfigurationError(f"{path}.content is a {_kind(content)}, neither a str nor a list of parts")
    for j, part in enumerate(parts):
        if not isinstance(part, ContentPart):
            raise ConfigurationError(f"{path}.content[{j}] is a {_kind(part)}, not a part: use ContentPart.text(…)")
        _check_fields(part, f"{path}.content[{j}]")
        if isinstance(part, ToolResultPart):
            for k, inner in enumerate(as_array(part.result) or ()):
                _check_fields(inner, f"{path}.content[{j}].result[{k}]")


def _check_fields(value: Any, path: str) -> None:
    for name, (kinds, words) in FIELDS.get(value.__class__, {}).items():
        field = getattr(value, name)
        if not isinstance(field, kinds):
            raise ConfigurationError(f"{path}.{name} is a {_kind(field)}, not {words}")


def _check_options(request: ChatRequest) -> None:
    for name, kinds, words in KINDS:
        value = getattr(request, name)
        if value is not None and (not isinstance(value, kinds) or isinstance(value, bool)):
            raise ConfigurationError(f"{name} is a {_kind(value)}, not {words}")
    _check_numbers(request)
    if request.model is not None and not request.model.isprintable():
        raise ConfigurationError(f"model {request.model!r} holds a character that no name has")
    _check_items(request.stop, str, "stop")
    if "" in request.stop:
        raise ConfigurationError(f"stop[{request.stop.index('')}] is empty")
    _check_tables(request)
    if isinstance(request.response_format, str) and request.response_format != "json":
        raise ConfigurationError(f'response_format is {request.response_format!r}, neither "json" nor a JsonSchema')
    _check_fields(request.response_format, "response_format")
    if not isinstance(request.strict, bool):
        raise ConfigurationError(f"strict is a {_kind(request.strict)}, not True or False")
    _check_tools(request)


def _check_numbers(request: ChatRequest) -> None:
    for name in ("temperature", "top_p"):
        value = getattr(request, name)
        if value is not None and not -inf < value < inf:
            raise ConfigurationError(f"{name} is {value}, not a finite number")
    if request.max_tokens is not None and request.max_tokens < 0:
        raise ConfigurationError(f"max_tokens is {request.max_tokens}, not a number of tokens")


def _check_tools(request: ChatRequest) -> None:
    _check_items(request.tools, Tool, "tools")
    names: list[str] = []
    for i, tool in enumerate(request.tools):
        _check_fields(tool, f"tools[{i}]")
        if tool.name in names:
            raise ConfigurationError(f"tools[{i}] has the name {tool.name!r}, as tools[{names.index(tool.name)}] has")
        names.append(tool.name)
    if request.tool_choice is not None and request.tool_choice not in (*CHOICES, *names):
        known = ", ".join([*CHOICES, *names])
        raise ConfigurationError(f"tool_choice {request.tool_choice!r} names no tool (known: {known})")


def _check_tables(request: ChatRequest) -> None:
    for name in ("metadata", "extra"):
        value = getattr(request, name)
        table = as_object(value)
        if table is None:
            raise ConfigurationError(f"{name} is a {_kind(value)}, not a dict")
        for key in table:
            if not isinstance(key, str):
                raise ConfigurationError(f"{name} has a key that is a {_kind(key)}, not a str")
    for key, text in request.metadata.items():
        if not isinstance(text, str):
            raise ConfigurationError(f"metadata[{key!r}] is a {_kind(text)}, not a str")


def _check_items(items: Any, kind: type, path: str) -> None:
    array = as_array(items)
    if array is None:
        raise ConfigurationError(f"{path} is a {_kind(items)}, not a list")
    for i, item in enumerate(array):
        if not isinstance(item, kind):
            raise ConfigurationError(f"{path}[{i}] is a {_kind(item)}, not a {kind.__name__}")


def _kind(value: Any) -> str:
    return type(value).__name__
