"""What callers may pass as a request, and the check that it is one."""

from __future__ import annotations

from typing import Any

from tako.errors import ConfigurationError
from tako.parts import ContentPart
from tako.types import ChatRequest, Message

CHOICES = ("auto", "none", "required")


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
        raise ConfigurationError(f"a request is a ChatRequest, a str or a list of Messages, not {_kind(given)}")
    _check(request)
    return request


def _check(request: ChatRequest) -> None:
    if not request.messages:
        raise ConfigurationError("the request has no messages")
    for i, message in enumerate(request.messages):
        if not isinstance(message, Message):
            raise ConfigurationError(f"messages[{i}] is a {_kind(message)}, not a Message")
        content = message.content
        if isinstance(content, str):
            continue
        if not isinstance(content, list):
            raise ConfigurationError(f"messages[{i}].content is a {_kind(content)}, neither a str nor a list of parts")
        for j, part in enumerate(content):
            if not isinstance(part, ContentPart):
                raise ConfigurationError(
                    f"messages[{i}].content[{j}] is a {_kind(part)}, not a part: use ContentPart.text(…)"
                )
    if request.tool_choice is not None and request.tool_choice not in CHOICES:
        names = [tool.name for tool in request.tools]
        if request.tool_choice not in names:
            known = ", ".join([*CHOICES, *names])
            raise ConfigurationError(f"tool_choice {request.tool_choice!r} names no tool (known: {known})")


def _kind(value: Any) -> str:
    return type(value).__name__
