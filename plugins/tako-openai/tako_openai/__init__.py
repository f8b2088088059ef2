"""OpenAI, and every server that speaks its Chat Completions wire (https://platform.openai.com/docs/api-reference/chat)."""

from __future__ import annotations

import os
from functools import partial
from typing import Any, Unpack

from tako import Capabilities, Chat, ChatRequest, Stream, Translator, hookimpl
from tako.kit.checks import Default, check_text, given
from tako.kit.completions import (
    Dialect,
    chat_completions,
    encode_request,
    for_openai,
    stream_completions,
    translator_for,
)
from tako.kit.completions.decode import decode_block
from tako.kit.completions.listing import ask_listing
from tako.kit.exchange import Exchange
from tako.kit.http import HttpOptions, HttpProvider, check_url
from tako.kit.keys import read_key
from tako.kit.models import ModelTable, refine
from tako.translator import PartContext

BASE_URL = Default("https://api.openai.com/v1")
TABLE = ModelTable(__name__)


class OpenAI(HttpProvider):
    """A model of OpenAI, or of any compatible server by ``base_url``.

    ``api_key``: the key, "$ENV:NAME", or None for OPENAI_API_KEY. ``base_url``: OPENAI_BASE_URL goes before the
    default. ``organization`` and ``project``: ids that usage is
    booked on. ``require_finish=False`` accepts streams of servers that end them without a finish reason and without
    ``[DONE]``. ``reasoning_field``: the field in which a compatible server wants its own reasoning back, as in
    "reasoning_content"; OpenAI itself wants none.
    """

    name = "openai"

    def __init__(
        self,
        model: str,
        *,
        api_key: str | None = None,
        base_url: str | None = BASE_URL,
        organization: str | None = None,
        project: str | None = None,
        require_finish: bool = True,
        reasoning_field: str | None = None,
        **options: Unpack[HttpOptions],
    ) -> None:
        key = read_key(api_key, "OPENAI_API_KEY", self.name)
        api_key = None  # a traceback with locals shows this frame
        super().__init__(model, **options)
        base_url = given(base_url) or os.environ.get("OPENAI_BASE_URL") or BASE_URL
        self.base_url = check_url(base_url, "base_url", self.id, beyond="/chat/completions|/responses")
        check_text(organization, "organization", self.id)
        check_text(project, "project", self.id)
        check_text(reasoning_field, "reasoning_field", self.id)
        self.discovered: dict[str, Any] = {}
        self.dialect = Dialect(require_finish=require_finish, reasoning_text=reasoning_field)
        self.add_headers({"authorization": key.prefixed("Bearer ")})
        if organization is not None:
            self.add_headers({"openai-organization": organization})
        if project is not None:
            self.add_headers({"openai-project": project})

    def dialect_of(self, model: str) -> Dialect:
        """Return how this model's wire differs."""
        return for_openai(self.dialect, model)

    async def discover(self) -> Capabilities:
        """Ask the server for its models, and remember what it says of this one. Raises ProviderError.

        OpenAI itself says nothing but that the model is there; other servers say how long its context is, and more.
        """
        self.discovered = await ask_listing(self, f"{self.base_url}/models")
        self.refresh()
        return self.capabilities


@hookimpl
def tako_capabilities(provider: OpenAI) -> Capabilities:
    """Read the table that this package ships, and what the server said when it was asked."""
    return refine(TABLE.find(provider.model), provider.discovered, f"{provider.base_url}/models")


@hookimpl
def tako_translator(provider: OpenAI) -> Translator:
    """Translate as the dialect does."""
    return translator_for(partial(decode_block, provider=provider.name), provider.dialect)


@hookimpl
def tako_chat(provider: OpenAI, translator: Translator) -> Chat:
    """Ask for a whole reply."""
    return chat_completions(provider, translator, partial(prepare, provider, translator))


@hookimpl
def tako_stream(provider: OpenAI, translator: Translator) -> Stream:
    """Ask for a reply in Server-Sent Events."""
    return stream_completions(provider, translator, partial(prepare, provider, translator), provider.dialect)


async def prepare(provider: OpenAI, translator: Translator, request: ChatRequest, stream: bool) -> Exchange:
    """Encode a request."""
    context = PartContext(provider.name, request)
    dialect = provider.dialect_of(request.model or provider.model)
    body = encode_request(request, provider.model, translator, context, dialect, stream=stream)
    return Exchange(f"{provider.base_url}/chat/completions", body, context.notices)
