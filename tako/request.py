"""What callers may pass as a request, and the check that it is one."""

from __future__ import annotations

from typing import Any

from tako.errors import ConfigurationError
from tako.loose import as_array
from tako.parts import ContentPart
from tako.types import ChatRequest, JsonSchema, Message, Role, Tool

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


def _check_options(request: ChatRequest) -> None:
    for name, kinds, words in KINDS:
        value = getattr(request, name)
        if value is not None and not isinstance(value, kinds):
            raise ConfigurationError(f"{name} is a {_kind(value)}, not {words}")
    _check_items(request.tools, Tool, "tools")
    _check_items(request.stop, str, "stop")
    for name in ("metadata", "extra"):
        value = getattr(request, name)
        if not isinstance(value, dict):
            raise ConfigurationError(f"{name} is a {_kind(value)}, not a dict")
    if isinstance(request.response_format, str) and request.response_format != "json":
        raise ConfigurationError(f'response_format is {request.response_format!r}, neither "json" nor a JsonSchema')
    if request.tool_choice is not None and request.tool_choice not in CHOICES:
        names = [tool.name for tool in request.tools]
        if request.tool_choice not in names:
            known = ", ".join([*CHOICES, *names])
            raise ConfigurationError(f"tool_choice {request.tool_choice!r} names no tool (known: {known})")


def _check_items(items: Any, kind: type, path: str) -> None:
    array = as_array(items)
    if array is None:
        raise ConfigurationError(f"{path} is a {_kind(items)}, not a list")
    for i, item in enumerate(array):
        if not isinstance(item, kind):
            raise ConfigurationError(f"{path}[{i}] is a {_kind(item)}, not a {kind.__name__}")


def _kind(value: Any) -> str:
    return type(value).__name__
