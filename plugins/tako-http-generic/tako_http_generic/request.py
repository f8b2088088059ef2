"""From a ChatRequest to the URL and the body that are sent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec.structs import fields, replace

from tako import ChatRequest, Role, notices
from tako.environment import iter_secrets
from tako.errors import ConfigurationError
from tako.json_values import as_object
from tako.kit.encoding import merge_extra, refuse_empty
from tako.kit.exchange import Exchange
from tako.kit.keys import Secret
from tako.kit.parameters import PARAMETERS
from tako_http_generic.address import Address, keys_in
from tako_http_generic.formats import REQUEST_ENCODERS
from tako_http_generic.settings import FORMATS
from tako_http_generic.template import Template
from tako_http_generic.text import plain_text

if TYPE_CHECKING:
    from tako.provider import Provider
    from tako.translator import PartContext, Translator
    from tako_http_generic.settings import Format, Options

FIELDS = ("tools", *PARAMETERS)
"""Fields of a request that a template may have a placeholder for. If a field has no value, the body doesn't have it."""
DEFAULTS = {field.name: field.default for field in fields(ChatRequest)}


class EncodedRequest(Exchange):
    """A request, encoded, with its model."""

    model: str = ""


def requested_model(exchange: Exchange, provider: Provider) -> str:
    """Return the model of a request."""
    return exchange.model if isinstance(exchange, EncodedRequest) else provider.model


class RequestEncoder:
    """An endpoint's addresses and templates, compiled. ``redacted_url`` is the address without its keys."""

    def __init__(self, owner: str, url: str, body: Any, options: Options) -> None:
        query = options.get("query", {})
        stream_url = options.get("stream_url")
        stream_body = options.get("stream_body_template")
        self.format: Format = options.get("messages_format", "tako")
        if self.format not in FORMATS:
            raise ConfigurationError(
                f"{owner}: messages_format={self.format!r} isn't known (known: {', '.join(FORMATS)})"
            )
        self._address = Address(url, query, "url", owner)
        self._template = Template(body, f"{owner}: body_template")
        self._stream_address = Address(stream_url, query, "stream_url", owner) if stream_url else self._address
        self._stream_template = self._template
        if stream_body is not None:
            self._stream_template = Template(stream_body, f"{owner}: stream_body_template")
        self.redacted_url = self._address.redacted
        self.secrets = [*self._address.secrets, *self._stream_address.secrets]
        self.secrets += [Secret.of(value) for value in iter_secrets([body, stream_body])]
        self.secrets += [Secret(value) for value in keys_in([body, stream_body])]

    def placeholders(self, *, stream: bool) -> set[str]:
        """Return the names of the placeholders that a request fills."""
        template, address = self._parts(stream)
        return template.placeholders | address.placeholders

    def check(self, model: str) -> None:
        """Raise ConfigurationError for a model that can't be in the addresses."""
        self._address.url(model)
        self._stream_address.url(model)

    def encode(
        self, request: ChatRequest, model: str, translator: Translator, context: PartContext, *, stream: bool
    ) -> EncodedRequest:
        """Encode a request. The context gets a notice for each thing that has no placeholder."""
        template, address = self._parts(stream)
        model = request.model or model
        values = self._values(request, model, translator, context, self.placeholders(stream=stream))
        body = template.render({**values, "stream": stream})
        if request.extra and as_object(body) is None:
            context.notice(notices.UNSUPPORTED_PARAMETER, "extra was left out: the body isn't an object", "extra")
        else:
            body = merge_extra(body, request.extra)
        return EncodedRequest(address.url(model), body, context, model=model)

    def _parts(self, stream: bool) -> tuple[Template, Address]:
        return (self._stream_template, self._stream_address) if stream else (self._template, self._address)

    def _values(
        self, request: ChatRequest, model: str, translator: Translator, context: PartContext, placeholders: set[str]
    ) -> dict[str, Any]:
        """Return the value of each placeholder that has one."""
        used = _used_fields(request, placeholders, context)
        encode = REQUEST_ENCODERS[self.format]
        values = encode(used, translator, context, separate_system="system" in placeholders)
        values["model"] = model
        if "request" in placeholders:
            values["request"] = {name: value for name, value in values.items() if name != "system"}
        if "text" in placeholders:
            values["text"] = plain_text(values["messages"], context)
        _refuse_empty(values, placeholders, context)
        return values


def _used_fields(request: ChatRequest, placeholders: set[str], context: PartContext) -> ChatRequest:
    """Return a request without the fields that the template has no placeholder for; each gets a notice."""
    changes: dict[str, Any] = {"extra": {}}
    if "request" not in placeholders:
        for name in FIELDS:
            if name not in placeholders and getattr(request, name) not in (None, [], {}):
                changes[name] = None if DEFAULTS[name] is None else type(getattr(request, name))()
                context.notice(notices.UNSUPPORTED_PARAMETER, f"the template has no placeholder for {name}", name)
        if request.model is not None and "model" not in placeholders:
            context.notice(notices.UNSUPPORTED_PARAMETER, "the template has no placeholder for model", "model")
        if placeholders.isdisjoint(("messages", "text")):
            _note_messages(request, placeholders, context)
    return replace(request, **changes)


def _refuse_empty(values: dict[str, Any], placeholders: set[str], context: PartContext) -> None:
    """Raise ConfigurationError if the template has a place for content, and nothing is left to put there."""
    places = placeholders & {"request", "messages", "text", "system"}
    fields = {"messages" if place == "request" else place for place in places}
    if fields:
        refuse_empty([name for name in fields if values.get(name)], context)


def _note_messages(request: ChatRequest, placeholders: set[str], context: PartContext) -> None:
    for i, message in enumerate(request.messages):
        if message.role is not Role.SYSTEM or "system" not in placeholders:
            text = "a message was left out: the template has no placeholder for messages"
            context.notice(notices.UNSUPPORTED_PART, text, f"messages[{i}]")
