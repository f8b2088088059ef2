"""A ChatRequest as the values of a template's placeholders, and what of it the template has no place for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from msgspec.structs import fields, replace

from tako import ChatRequest, Role, notices
from tako.kit.exchange import Exchange
from tako.kit.messages import encode_part
from tako.kit.parameters import PARAMETERS
from tako_http_generic import anthropic, completions, native

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tako.provider import Provider
    from tako.translator import Encode, PartContext, Translator
    from tako_http_generic.settings import Format

FIELDS = ("tools", *PARAMETERS)
"""Fields of a request that a template may have a placeholder for; each is left out of the body if it has no value."""
EMPTY = {field.name: field.default for field in fields(ChatRequest)}


class Shape(Protocol):
    """Encodes messages and parameters. With ``split`` system messages are a value of their own, ``system``."""

    def __call__(
        self, request: ChatRequest, translator: Translator, context: PartContext, *, split: bool
    ) -> dict[str, Any]:
        """Return the values of the placeholders that the request has something for."""
        ...


SHAPES: Mapping[Format, Shape] = {
    "tako": native.values,
    "openai": completions.openai_values,
    "anthropic": anthropic.values,
    "ollama": completions.ollama_values,
}
"""From a request to its messages and parameters in one vendor's words, by placeholder."""
ENCODERS: Mapping[Format, Encode] = {
    "tako": native.encode,
    "openai": completions.encode_openai,
    "anthropic": encode_part,
    "ollama": completions.encode_ollama,
}
"""From a part to its block."""


class Asked(Exchange):
    """A request, encoded, with the model that it asked for."""

    model: str = ""


def asked_model(exchange: Exchange, provider: Provider) -> str:
    """Return the model that a request asked for."""
    return exchange.model if isinstance(exchange, Asked) else provider.model


def values_of(
    request: ChatRequest, model: str, translator: Translator, context: PartContext, *, slots: set[str], shape: Format
) -> dict[str, Any]:
    """Return the value of each placeholder that has one; whatever no placeholder takes is noted in the context."""
    asked = _without(request, slots, context)
    values = SHAPES[shape](asked, translator, context, split="system" in slots)
    values["model"] = request.model or model
    if "request" in slots:
        values["request"] = {name: value for name, value in values.items() if name != "system"}
    return values


def _without(request: ChatRequest, slots: set[str], context: PartContext) -> ChatRequest:
    """Leave out what the template has no place for, with a notice each."""
    changes: dict[str, Any] = {"extra": {}}
    if "request" not in slots:
        for name in FIELDS:
            if name not in slots and getattr(request, name) not in (None, [], {}):
                changes[name] = None if EMPTY[name] is None else type(getattr(request, name))()
                context.notice(notices.UNSUPPORTED_PARAMETER, f"the template has no placeholder for {name}", name)
        if request.model is not None and "model" not in slots:
            context.notice(notices.UNSUPPORTED_PARAMETER, "the template has no placeholder for model", "model")
        if "messages" not in slots:
            _note_messages(request, slots, context)
    return replace(request, **changes)


def _note_messages(request: ChatRequest, slots: set[str], context: PartContext) -> None:
    for i, message in enumerate(request.messages):
        if message.role is not Role.SYSTEM or "system" not in slots:
            text = "a message was left out: the template has no placeholder for messages"
            context.notice(notices.UNSUPPORTED_PART, text, f"messages[{i}]")
