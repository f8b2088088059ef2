"""Anthropic's Messages API (https://platform.claude.com/docs/en/api/messages), and servers that speak it."""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING, Unpack

from tako import Capabilities, Chat, ChatRequest, Stream, Translator, hookimpl
from tako.errors import BadRequestError, ConfigurationError, ServerError
from tako.kit.checks import Default, check_text, given
from tako.kit.exchange import Exchange, chat_through, stream_through
from tako.kit.http import HttpOptions, HttpProvider, check_url
from tako.kit.keys import read_key
from tako.kit.messages import encode_part
from tako.kit.models import ModelTable
from tako.translator import PartContext
from tako_anthropic.blocks import decode_block
from tako_anthropic.reply import decode_reply
from tako_anthropic.request import encode_request
from tako_anthropic.stream import MessagesDecoder

if TYPE_CHECKING:
    from collections.abc import Sequence

BASE_URL = Default("https://api.anthropic.com")
TABLE = ModelTable(__name__)


class Anthropic(HttpProvider):
    """A model of Anthropic's, or of any server that speaks the Messages API by ``base_url``.

    ``api_key``: the key, "$ENV:NAME", or None for ANTHROPIC_API_KEY. ``base_url``: without the ``/v1``;
    ANTHROPIC_BASE_URL goes before the default. ``default_max_tokens``: sent where a request has no
    ``max_tokens``, since the API insists on one. ``version``: the API version (a date); from 2026-10-21 on there are no
    sampling parameters. ``beta``: names of beta features that every request asks for.
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
        **options: Unpack[HttpOptions],
    ) -> None:
        key = read_key(api_key, "ANTHROPIC_API_KEY", self.name)
        api_key = None  # a traceback with locals shows this frame
        super().__init__(model, **options)
        if type(default_max_tokens) is not int or default_max_tokens < 1:
            raise ConfigurationError(f"{self.id}: default_max_tokens is a number of tokens, not {default_max_tokens!r}")
        check_text(version, "version", self.id)
        url, option = (given(base_url), "base_url") if given(base_url) is not None else _from_environment()
        self.base_url = check_url(url, option, self.id, beyond="/v1(?:/messages)?")
        self.default_max_tokens = default_max_tokens
        self.version = version
        self.add_headers({"x-api-key": key, "anthropic-version": version})
        names = [beta] if isinstance(beta, str) else beta
        if not isinstance(names, (list, tuple)) or not all(isinstance(name, str) for name in names):
            raise ConfigurationError(f"{self.id}: beta is a list of names, not {beta!r}")
        if names:
            self.add_headers({"anthropic-beta": ",".join(names)})


def _from_environment() -> tuple[str, str]:
    return os.environ.get("ANTHROPIC_BASE_URL") or BASE_URL, "ANTHROPIC_BASE_URL"


@hookimpl
def tako_capabilities(provider: Anthropic) -> Capabilities:
    """Read the table that this package ships."""
    return TABLE.find(provider.model)


@hookimpl
def tako_translator(provider: Anthropic) -> Translator:
    """Translate parts to content blocks and back."""
    return Translator(encode_part, partial(decode_block, provider=provider.name))


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
        lambda _, exchange: MessagesDecoder(provider, exchange),
        partial(decode_reply, provider=provider, translator=translator),
    )


async def prepare(provider: Anthropic, translator: Translator, request: ChatRequest, stream: bool) -> Exchange:
    """Encode a request."""
    context = PartContext(provider.name, request)
    body = encode_request(
        request,
        provider.model,
        translator,
        context,
        version=provider.version,
        default_max_tokens=provider.default_max_tokens,
        stream=stream,
    )
    return Exchange(f"{provider.base_url}/v1/messages", body, context.notices)
