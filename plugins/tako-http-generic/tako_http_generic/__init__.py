"""Any JSON-over-HTTP endpoint as a provider, described by a template and pointers, in Python or in a file.

The modules, as the data passes them:

- ``settings``: the settings of an endpoint; ``file`` reads them from TOML or JSON, ``data`` makes plugins of such files
- ``request``: from a ChatRequest to the URL and the body, with ``address``, ``headers``, ``template`` and ``formats``
- ``reply`` and ``stream``: from the endpoint's JSON to a response or chunks, with ``pointers``, ``content``, ``usage``
"""

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
from tako_http_generic.content import decode_block
from tako_http_generic.file import name_file, read_parameters
from tako_http_generic.formats import PART_ENCODERS
from tako_http_generic.headers import read_headers
from tako_http_generic.reply import ReplyReader, decode_reply
from tako_http_generic.request import RequestEncoder
from tako_http_generic.settings import (
    NdJson,
    OpenAiSse,
    Options,
    StreamConfig,
    ToolCalls,
    read_error_codes,
    read_setting,
)
from tako_http_generic.stream import PointerDecoder, StreamReader

if TYPE_CHECKING:
    from tako.kit.wire import Body, HttpReply
    from tako.translator import PartContext
    from tako_http_generic.file import Readable
    from tako_http_generic.headers import Headers
    from tako_http_generic.pointers import Pointers

__all__ = ["EXAMPLES", "HttpGeneric", "NdJson", "OpenAiSse", "ToolCalls"]

EXAMPLES = files("tako_http_generic") / "examples"
"""Files of endpoints: ``anthropic.toml``, ``cohere.toml``, ``ollama.toml``, ``openai.toml``."""
MAPPINGS = ("error_codes", "finish_reasons", "query", "usage_fields")
"""Options that are mappings."""
OWN_OPTIONS = Options.__annotations__.keys() - {*TransportOptions.__annotations__, "url_prefetch"}


class HttpGeneric(HttpProvider):
    """A model behind an endpoint that accepts JSON and replies with JSON.

    Args:
        id: The name of the provider.
        model: The model. The provider's ``id`` is the name and the model, with a colon between them.
        url: The full address. The model replaces ``{{ model }}`` in it.
        body_template: The request's JSON. A string such as ``"{{ messages }}"`` stands for a value.
        response_text_pointer: Where the reply has its text: a JSON pointer (RFC 6901), or a list of them, of which the
            first that leads to a value counts. It may lead to an array of content blocks.
        headers: Pairs or a mapping. ``$NAME`` in a value is read from the environment.
        stream_config: How replies are streamed: OpenAiSse, NdJson, or a dict with ``kind``. Without it, replies aren't
            streamed.
        capabilities: What the model can do.
        usage_pointer: Where the reply has its usage.
        finish_reason_pointer: Where the reply has its finish reason.
        tool_calls: Where the reply has tool calls: ToolCalls, or a pointer to calls as Chat Completions has them.
        error_pointer: Where the reply has an error, even with status 200. By default "/error".
        method: The HTTP method.
    """

    name = "http-generic"
    needs_event_loop = False

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
        self.__dict__["name"] = _checked_id(id)  # the class has another one
        transport: dict[str, Any] = {name: value for name, value in options.items() if name not in OWN_OPTIONS}
        super().__init__(_checked_model(model, id), **transport)
        own = _own_options(options, id)
        self.add_headers(read_headers(headers, self.id), last=True)
        self.method = _checked_method(method, self.id)
        stream = read_setting(stream_config, StreamConfig, f"{self.id}: stream_config")
        calls = read_setting(tool_calls, ToolCalls | str, f"{self.id}: tool_calls")
        self.reply_reader = ReplyReader(
            self.id,
            own,
            text=response_text_pointer,
            usage=usage_pointer,
            finish_reason=finish_reason_pointer,
            tool_calls=calls,
            error=error_pointer,
        )
        self.stream_reader = (
            StreamReader(stream, self.id, self.reply_reader.error_pointers) if stream is not None else None
        )
        self.encoder = RequestEncoder(self.id, url, body_template, own)
        self.encoder.check(self.model)
        self.secrets += self.encoder.secrets
        self.url = self.encoder.redacted_url
        # so that endpoints that differ in it aren't equal
        self._secret_url = Secret.of(url) if isinstance(url, FromEnvironment) else None
        self.server = server_of(self.url)
        self.__dict__["codes"] = read_error_codes(own.get("error_codes", {}), self.id)
        self.declared: dict[str, Any] = {}
        declared = read_setting(capabilities, Capabilities, f"{self.id}: capabilities")
        if isinstance(capabilities, Capabilities):
            self._user_capabilities = declared if stream is not None else replace(declared, supports_streaming=False)
        elif capabilities is not None:
            self.declared = {name: getattr(declared, name) for name in capabilities}

    @classmethod
    def from_id(
        cls, model: str, *, file: Readable | None = None, name: str | None = None, id: str | None = None, **options: Any
    ) -> Self:
        """Make a provider by name: ``get_provider("http-generic:MODEL", file="acme.toml")``, or with all parameters.

        ``name`` is the same as ``id``. In a tako.toml, the path of a ``file`` is relative to it.
        """
        ids = {"id": name or id} if name or id else {}
        if file is not None:
            return cls.from_file(file, model or None, **ids, **options)
        return cls(**{"id": cls.name, **ids, **options}, model=model)

    @classmethod
    def from_file(cls, path: Readable, model: str | None = None, **options: Any) -> Self:
        """Make a provider from a TOML or JSON file with the same parameters; ``options`` override the file.

        Raises ConfigurationError with the file, the path within it, and the problem.
        """
        with name_file(path):
            return cls(**read_parameters(path, model, options))

    async def send(self, url: str, body: Body, **call: Unpack[CallOptions]) -> HttpReply:
        """Send a request with this endpoint's method."""
        call["method"] = self.method
        return await super().send(url, body, **call)

    def error_facts(self, reply: HttpReply, body: bytes) -> Facts:
        """Read an error's message and codes; its status is a code too if ``error_codes`` has it."""
        try:
            facts = self.reply_reader.facts(msgspec.json.decode(body))
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            facts = read_facts(body)
        if str(reply.status) in self.codes:
            facts.codes = [*facts.codes, str(reply.status)]
        return facts


@hookimpl
def tako_capabilities(provider: HttpGeneric) -> Capabilities:
    """Return the declared capabilities, and those that the settings have placeholders for, except images."""
    placeholders = provider.encoder.placeholders(stream=False)
    streams = provider.stream_reader is not None
    assumed = Capabilities(
        supports_tools=bool(placeholders & {"tools", "request"}) and provider.reply_reader.tool_calls is not None,
        supports_json_mode=bool(placeholders & {"response_format", "request"}),
    )
    origins = dict.fromkeys(provider.declared, "capabilities of the endpoint")
    values = {**provider.declared, "supports_streaming": streams and provider.declared.get("supports_streaming", True)}
    return replace(assumed, **values, origins={**origins, "supports_streaming": "stream_config"})


@hookimpl
def tako_translator(provider: HttpGeneric) -> Translator:
    """Translate into the format of ``messages_format``."""
    return Translator(PART_ENCODERS[provider.encoder.format], decode_block)


@hookimpl
def tako_chat(provider: HttpGeneric, translator: Translator) -> Chat:
    """Request a complete reply."""
    return chat_through(
        provider,
        partial(prepare, provider, translator),
        partial(decode_reply, provider=provider, translator=translator),
    )


@hookimpl
def tako_stream(provider: HttpGeneric, translator: Translator) -> Stream | None:
    """Request a stream, if the endpoint has one. NDJSON may have the content type of JSON, so it's always a stream."""
    reader = provider.stream_reader
    if reader is None:
        return None
    return stream_through(
        provider,
        partial(prepare, provider, translator),
        lambda _, exchange: PointerDecoder(provider, exchange, translator, reader),
        None if reader.is_ndjson else partial(decode_reply, provider=provider, translator=translator),
    )


async def prepare(provider: HttpGeneric, translator: Translator, request: ChatRequest, stream: bool) -> Exchange:
    """Encode a request."""

    def encode(request: ChatRequest, context: PartContext) -> Exchange:
        return provider.encoder.encode(request, provider.model, translator, context, stream=stream)

    return await encode_fetched(provider, request, encode)


def _own_options(options: Options, id: str) -> Options:
    """Return the options of this class. A mapping that is None counts as missing."""
    own = {
        name: value
        for name, value in options.items()
        if name in OWN_OPTIONS and (value is not None or name not in MAPPINGS)
    }
    for name in MAPPINGS:
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
