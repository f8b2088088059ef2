"""Any JSON-over-HTTP endpoint as a provider: described by a template and pointers, in Python or as a file of data."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Self, Unpack, cast

import msgspec
from msgspec.structs import replace

from tako import Capabilities, Chat, ChatRequest, Stream, Translator, hookimpl
from tako.environment import FromEnvironment
from tako.errors import ConfigurationError
from tako.kit.addresses import server_of
from tako.kit.checks import check_kind
from tako.kit.exchange import Exchange, chat_through, stream_through
from tako.kit.failures import Facts, read_facts
from tako.kit.fetching import encode_fetched
from tako.kit.http import CallOptions, HttpProvider, TransportOptions
from tako.kit.keys import Secret
from tako_http_generic.asking import Asking
from tako_http_generic.endpoint import Options, Reader, read_codes
from tako_http_generic.file import naming, settings_of
from tako_http_generic.headers import read_headers
from tako_http_generic.reply import decode_block, decode_reply
from tako_http_generic.request import ENCODERS
from tako_http_generic.settings import NdJson, OpenAiSse, StreamConfig, ToolCalls, read_setting
from tako_http_generic.stream import PointerDecoder, StreamReader

if TYPE_CHECKING:
    from tako.kit.wire import Body, HttpReply
    from tako.translator import PartContext
    from tako_http_generic.file import Readable
    from tako_http_generic.headers import Headers
    from tako_http_generic.pointers import Pointers

__all__ = ["EXAMPLES", "HttpGeneric", "NdJson", "OpenAiSse", "ToolCalls"]

EXAMPLES = files("tako_http_generic") / "examples"
"""Endpoints that ship as data: ``anthropic.toml``, ``cohere.toml``, ``ollama.toml``, ``openai.toml``."""
TABLES = ("error_codes", "finish_reasons", "query", "usage_fields")
"""Options that are mappings."""
OWN = Options.__annotations__.keys() - {*TransportOptions.__annotations__, "url_prefetch"}


class HttpGeneric(HttpProvider):
    """A model behind an endpoint that takes JSON and answers with JSON.

    Args:
        id: The name of the provider.
        model: The model. The provider's ``id`` is both, with a colon between them.
        url: The whole address. ``{{ model }}`` in it is replaced by the model.
        body_template: The request's JSON. A string such as ``"{{ messages }}"`` stands for a value.
        response_text_pointer: Where the reply has its text: a JSON pointer (RFC 6901), or a list of them of which the
            first that finds something counts. It may lead to an array of content blocks.
        headers: Pairs or a mapping. ``$NAME`` in a value is read from the environment.
        stream_config: How replies are streamed: OpenAiSse, NdJson, or a dict with ``kind``. Without it there are no
            streams.
        capabilities: What the model can do.
        usage_pointer: Where the reply has its usage.
        finish_reason_pointer: Where the reply has its finish reason.
        tool_calls: Where the reply has tool calls: ToolCalls, or a pointer to calls in the shape of Chat Completions.
        error_pointer: What makes a reply of status 200 an error. By default "/error".
        method: The HTTP method.
    """

    name = "http-generic"

    def __init__(
        self,
        id: str,
        model: str,
        url: str,
        body_template: Any,
        response_text_pointer: Pointers = "/text",
        *,
        headers: Headers = (),
        stream_config: StreamConfig | Mapping[str, Any] | None = None,
        capabilities: Capabilities | Mapping[str, Any] | None = None,
        usage_pointer: Pointers | None = None,
        finish_reason_pointer: Pointers | None = None,
        tool_calls: ToolCalls | Mapping[str, Any] | str | None = None,
        error_pointer: Pointers | None = None,
        method: str = "POST",
        **options: Unpack[Options],
    ) -> None:
        self.__dict__["name"] = _checked_id(id)  # every object has its own; the class has one for all
        rest: dict[str, Any] = {name: value for name, value in options.items() if name not in OWN}
        super().__init__(_checked_model(model, id), **rest)
        own = _checked_own(options, id)
        self.add_headers(read_headers(headers, self.id), last=True)
        self.method = _checked_method(method, self.id)
        stream = read_setting(stream_config, StreamConfig, f"{self.id}: stream_config")
        calls = read_setting(tool_calls, ToolCalls | str, f"{self.id}: tool_calls")
        self.reader = Reader(
            self.id,
            own,
            text=response_text_pointer,
            usage=usage_pointer,
            finish=finish_reason_pointer,
            tool_calls=calls,
            error=error_pointer,
        )
        self.stream_reader = StreamReader(stream, self.id, self.reader.error_place) if stream is not None else None
        self.asking = Asking(self.id, url, body_template, own)
        self.asking.check(self.model)
        self.secrets += self.asking.secrets
        self.url = self.asking.shown
        self._whole_url = (
            Secret.of(url) if isinstance(url, FromEnvironment) else None
        )  # endpoints that differ in it differ
        self.server = server_of(self.url)
        self.__dict__["codes"] = read_codes(own.get("error_codes", {}), self.id)
        self.known: dict[str, Any] = {}
        given = read_setting(capabilities, Capabilities, f"{self.id}: capabilities")
        if isinstance(capabilities, Capabilities):
            self._given_capabilities = given if stream is not None else replace(given, supports_streaming=False)
        elif capabilities is not None:
            self.known = {name: getattr(given, name) for name in capabilities}

    @classmethod
    def from_id(
        cls, model: str, *, file: Readable | None = None, name: str | None = None, id: str | None = None, **options: Any
    ) -> Self:
        """Make one by name: ``get_provider("http-generic:MODEL", file="acme.toml")``, or with all of its parameters.

        ``name`` is another word for ``id``. In a tako.toml the path of a ``file`` starts from there.
        """
        named = {"id": name or id} if name or id else {}
        if file is not None:
            return cls.from_file(file, model or None, **named, **options)
        return cls(**{"id": cls.name, **named, **options}, model=model)

    @classmethod
    def from_file(cls, path: Readable, model: str | None = None, **options: Any) -> Self:
        """Make one from a TOML or JSON file of the same parameters; ``options`` win over the file.

        Raises ConfigurationError with the file, the path within it, and what is wrong.
        """
        with naming(path):
            return cls(**settings_of(path, model, options))

    async def send(self, url: str, body: Body, **call: Unpack[CallOptions]) -> HttpReply:
        """Send a request; whatever the method is that is asked for, it is this endpoint's own."""
        call["method"] = self.method
        return await super().send(url, body, **call)

    def error_facts(self, reply: HttpReply, body: bytes) -> Facts:
        """Read what the endpoint says of a failure, and its status, which ``error_codes`` may name too."""
        try:
            facts = self.reader.facts(msgspec.json.decode(body))
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            facts = read_facts(body)
        if str(reply.status) in self.codes:
            facts.codes = [*facts.codes, str(reply.status)]
        return facts


@hookimpl
def tako_capabilities(provider: HttpGeneric) -> Capabilities:
    """Say what the settings tell, and assume that the model can do what they carry; images are not assumed."""
    slots = provider.asking.slots(stream=False)
    streams = provider.stream_reader is not None
    assumed = Capabilities(
        supports_tools=bool(slots & {"tools", "request"}) and provider.reader.calls is not None,
        supports_json_mode=bool(slots & {"response_format", "request"}),
    )
    origins = dict.fromkeys(provider.known, "capabilities of the endpoint")
    told = {**provider.known, "supports_streaming": streams and provider.known.get("supports_streaming", True)}
    return replace(assumed, **told, origins={**origins, "supports_streaming": "stream_config"})


@hookimpl
def tako_translator(provider: HttpGeneric) -> Translator:
    """Translate into the shape of ``messages_format``."""
    return Translator(ENCODERS[provider.asking.shape], decode_block)


@hookimpl
def tako_chat(provider: HttpGeneric, translator: Translator) -> Chat:
    """Ask for a whole reply."""
    return chat_through(
        provider,
        partial(prepare, provider, translator),
        partial(decode_reply, provider=provider, translator=translator),
    )


@hookimpl
def tako_stream(provider: HttpGeneric, translator: Translator) -> Stream | None:
    """Ask for a stream, where there is one; lines of JSON may call themselves JSON, so they are always a stream."""
    reader = provider.stream_reader
    if reader is None:
        return None
    return stream_through(
        provider,
        partial(prepare, provider, translator),
        lambda _, exchange: PointerDecoder(provider, exchange, translator, reader),
        None if reader.lines else partial(decode_reply, provider=provider, translator=translator),
    )


async def prepare(provider: HttpGeneric, translator: Translator, request: ChatRequest, stream: bool) -> Exchange:
    """Encode a request."""

    def encode(request: ChatRequest, context: PartContext) -> Exchange:
        return provider.asking.exchange(request, provider.model, translator, context, stream=stream)

    return await encode_fetched(provider, request, encode)


def _checked_own(options: Options, id: str) -> Options:
    """Return this class's own options; a table that is None is one that isn't given."""
    own = {name: value for name, value in options.items() if name in OWN and (value is not None or name not in TABLES)}
    for name in TABLES:
        check_kind(own.get(name), Mapping, name, id, "a dict")
    return cast("Options", own)


def _checked_id(id: str) -> str:
    if not isinstance(id, str) or not re.fullmatch(r"[^\s:]+", id):
        raise ConfigurationError(f"HttpGeneric: id={id!r} isn't a valid name; use one without spaces and colons")
    return id


def _checked_model(model: str, id: str) -> str:
    if not isinstance(model, str) or not model:
        raise ConfigurationError(f"{id}: no model is named; write {id}:MODEL, or pass model=")
    return model


def _checked_method(method: str, owner: str) -> str:
    if not isinstance(method, str) or not re.fullmatch(r"[A-Z]+", method):
        raise ConfigurationError(f"{owner}: method={method!r} isn't an HTTP method; POST is usual")
    return method
