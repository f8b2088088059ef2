"""Anthropic's Messages API (https://platform.claude.com/docs/en/api/messages), and servers that speak it."""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, Unpack

from tako import Capabilities, Chat, ChatRequest, Origin, Stream, Translator, hookimpl, notices
from tako.errors import BadRequestError, ConfigurationError, ServerError
from tako.kit.addresses import check_url, server_of
from tako.kit.checks import Default, check_kind, check_text, given
from tako.kit.exchange import Exchange, chat_through, stream_through
from tako.kit.families import rules_of
from tako.kit.fetching import encode_fetched
from tako.kit.http import FetchOptions, HttpProvider
from tako.kit.keys import read_key
from tako.kit.messages import MessagesDecoder, decode_block, decode_reply
from tako.kit.models import ModelTable
from tako.loose import as_array
from tako_anthropic.altered import BETA, DROPPED, dropping, is_refused
from tako_anthropic.blocks import encode_part
from tako_anthropic.request import encode_request

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tako.parts import Part
    from tako.translator import PartContext

BASE_URL = Default("https://api.anthropic.com")
TABLE = ModelTable(__name__)


class Anthropic(HttpProvider):
    """A model of Anthropic's, or of any server that speaks the Messages API by ``base_url``.

    - ``api_key``: the key, "$ENV:NAME", or None for ANTHROPIC_API_KEY.
    - ``base_url``: without the ``/v1``; ANTHROPIC_BASE_URL goes before the default.
    - ``default_max_tokens``: sent where a request has no ``max_tokens``, since the API insists on one.
    - ``version``: the API version (a date); from 2026-10-21 on there are no sampling parameters.
    - ``beta``: names of beta features that every request asks for; a request adds its own by ``extra={"betas": […]}``.
    - ``on_altered_thinking``: what to do if Claude refuses earlier thinking because the conversation before it has
      changed. "drop" sends the request once more and lets Claude leave that thinking out, with a notice; "error"
      raises, and so do strict requests.
    - ``require_finish``: False accepts streams that end after the stop reason, without ``message_stop``.
    """

    name = "anthropic"
    codes = {"request_too_large": BadRequestError, "timeout_error": ServerError}  # noqa: RUF012 - read-only by its type

    def __init__(
        self,
        model: str,
        *,
        api_key: str | None = None,
        base_url: str | None = BASE_URL,
        default_max_tokens: int = 4096,
        version: str = "2023-06-01",
        beta: Sequence[str] = (),
        on_altered_thinking: Literal["drop", "error"] = "drop",
        require_finish: bool = True,
        **options: Unpack[FetchOptions],
    ) -> None:
        key = read_key(api_key, "ANTHROPIC_API_KEY", self.name)
        api_key = None  # a traceback with locals shows this frame
        super().__init__(model, **options)
        if type(default_max_tokens) is not int or default_max_tokens < 1:
            raise ConfigurationError(f"{self.id}: default_max_tokens is a number of tokens, not {default_max_tokens!r}")
        check_text(version, "version", self.id)
        if on_altered_thinking not in ("drop", "error"):
            raise ConfigurationError(
                f"{self.id}: on_altered_thinking is 'drop' or 'error', not {on_altered_thinking!r}"
            )
        url, option = (given(base_url), "base_url") if given(base_url) is not None else _from_environment()
        self.base_url = check_url(url, option, self.id, beyond="/v1(?:/messages)?")
        self.server = server_of(self.base_url)
        self.default_max_tokens = default_max_tokens
        self.version = version
        self.on_altered_thinking = on_altered_thinking
        check_kind(require_finish, bool, "require_finish", self.id, "True or False")
        self.require_finish = require_finish
        self.add_headers({"x-api-key": key, "anthropic-version": version})
        names = [beta] if isinstance(beta, str) else beta
        if not isinstance(names, (list, tuple)) or not all(isinstance(name, str) for name in names):
            raise ConfigurationError(f"{self.id}: beta is a list of names, not {beta!r}")
        if names:
            self.add_headers({"anthropic-beta": ",".join(names)})

    def accepts(self, own: Origin, part: Part, origin: Origin) -> bool:
        """Claude models take each other's thinking and blocks, and the API itself drops what a model can't read.

        Leaving it out here would change what comes before later thinking, which is bound to that
        (https://platform.claude.com/docs/en/build-with-claude/preserved-thinking, "Switching models").
        """
        both = rules_of(own.model).family == rules_of(origin.model).family == "claude"
        return origin.matches(Origin(own.provider, "", own.server) if both else own)

    def second_try(self, exchange: Exchange, error: BadRequestError) -> Exchange | None:
        """Let Claude leave out the thinking that it refuses because the conversation before it has changed."""
        request = exchange.context.request
        if self.on_altered_thinking == "error" or request.strict or not is_refused(exchange.body, error):
            return None
        DROPPED.set(request)
        return self.dropping(exchange)

    def dropping(self, exchange: Exchange) -> Exchange | None:
        """Return a request that lets Claude leave out thinking, with a notice; None if it says itself what happens."""
        body = dropping(exchange.body)
        if body is None:
            return None
        text = "Claude refused earlier thinking, since the conversation before it has changed: it was left out"
        exchange.context.notice(notices.ALTERED_THINKING, text, "messages")
        betas = exchange.headers.get("anthropic-beta", "").split(",")
        return Exchange(exchange.url, body, exchange.context, self.beta_header([*filter(None, betas), BETA]))

    def beta_header(self, names: Any) -> dict[str, str]:
        """Return the header for the beta features that one request asks for beside the provider's own."""
        if not names:
            return {}
        more = [names] if isinstance(names, str) else as_array(names)
        if not more or not all(isinstance(name, str) and name.isascii() and name.isprintable() for name in more):
            raise ConfigurationError(f"{self.id}: betas is a list of names, not {names!r}")
        own = self._sent_headers.get("anthropic-beta", "").split(",")
        return {"anthropic-beta": ",".join(dict.fromkeys(filter(None, [*own, *more])))}


def _from_environment() -> tuple[str, str]:
    return os.environ.get("ANTHROPIC_BASE_URL") or BASE_URL, "ANTHROPIC_BASE_URL"


@hookimpl
def tako_capabilities(provider: Anthropic) -> Capabilities:
    """Read the table that this package ships."""
    return TABLE.find(provider.model)


@hookimpl
def tako_translator() -> Translator:
    """Translate parts to content blocks and back."""
    return Translator(encode_part, decode_block)


@hookimpl
def tako_chat(provider: Anthropic, translator: Translator) -> Chat:
    """Ask for a whole reply."""
    return chat_through(
        provider,
        partial(prepare, provider, translator),
        partial(decode_reply, provider=provider, translator=translator),
    )


@hookimpl
def tako_stream(provider: Anthropic, translator: Translator) -> Stream:
    """Ask for a reply in Server-Sent Events."""
    return stream_through(
        provider,
        partial(prepare, provider, translator),
        lambda _, exchange: MessagesDecoder(provider, exchange, translator, require_finish=provider.require_finish),
        partial(decode_reply, provider=provider, translator=translator),
    )


async def prepare(provider: Anthropic, translator: Translator, request: ChatRequest, stream: bool) -> Exchange:
    """Encode a request."""

    def encode(request: ChatRequest, context: PartContext) -> Exchange:
        body = encode_request(
            request,
            provider.model,
            translator,
            context,
            version=provider.version,
            default_max_tokens=provider.default_max_tokens,
            stream=stream,
        )
        headers = provider.beta_header(body.pop("betas", None))
        return Exchange(f"{provider.base_url}/v1/messages", body, context, headers)

    exchange = await encode_fetched(provider, request, encode)
    if DROPPED.get() is request and provider.on_altered_thinking == "drop":
        return provider.dropping(exchange) or exchange
    return exchange
