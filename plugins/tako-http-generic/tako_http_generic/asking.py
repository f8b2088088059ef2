"""How an endpoint is asked: its addresses and templates, compiled."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tako import notices
from tako.environment import values_in
from tako.errors import ConfigurationError
from tako.json_values import as_object
from tako.kit.encoding import merge_extra
from tako.kit.keys import Secret
from tako_http_generic.address import Address, keys_in
from tako_http_generic.request import Asked, values_of
from tako_http_generic.settings import FORMATS
from tako_http_generic.template import Template

if TYPE_CHECKING:
    from tako import ChatRequest
    from tako.translator import PartContext, Translator
    from tako_http_generic.endpoint import Options
    from tako_http_generic.settings import Format


class Asking:
    """Makes requests. ``shape`` is the one of messages, tools and their kin, ``shown`` the address without its keys."""

    def __init__(self, owner: str, url: str, body: Any, options: Options) -> None:
        query = options.get("query", {})
        stream_url = options.get("stream_url")
        stream_body = options.get("stream_body_template")
        self.shape: Format = options.get("messages_format", "tako")
        if self.shape not in FORMATS:
            raise ConfigurationError(
                f"{owner}: messages_format={self.shape!r} isn't known (known: {', '.join(FORMATS)})"
            )
        self._address = Address(url, query, "url", owner)
        self._template = Template(body, f"{owner}: body_template")
        self._stream_address = Address(stream_url, query, "stream_url", owner) if stream_url else self._address
        self._stream_template = self._template
        if stream_body is not None:
            self._stream_template = Template(stream_body, f"{owner}: stream_body_template")
        self.shown = self._address.shown
        self.secrets = [*self._address.secrets, *self._stream_address.secrets]
        self.secrets += [Secret.of(value) for value in values_in([body, stream_body])]
        self.secrets += [Secret(value) for value in keys_in([body, stream_body])]

    def slots(self, *, stream: bool) -> set[str]:
        """Return the placeholders that a request fills."""
        template, address = self._parts(stream)
        return template.slots | address.slots

    def check(self, model: str) -> None:
        """Refuse a model that can't be in the addresses. Raises ConfigurationError."""
        self._address.of(model)
        self._stream_address.of(model)

    def exchange(
        self, request: ChatRequest, model: str, translator: Translator, context: PartContext, *, stream: bool
    ) -> Asked:
        """Encode a request."""
        template, address = self._parts(stream)
        values = values_of(request, model, translator, context, slots=template.slots | address.slots, shape=self.shape)
        body = template.render({**values, "stream": stream})
        if request.extra and as_object(body) is None:
            context.notice(notices.UNSUPPORTED_PARAMETER, "extra was left out: the body isn't an object", "extra")
        else:
            body = merge_extra(body, request.extra)
        return Asked(address.of(values["model"]), body, context, model=values["model"])

    def _parts(self, stream: bool) -> tuple[Template, Address]:
        return (self._stream_template, self._stream_address) if stream else (self._template, self._address)
