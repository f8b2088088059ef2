"""OpenAI's models on Azure (https://learn.microsoft.com/azure/ai-foundry/openai/reference)."""

from __future__ import annotations

import os
import re
from functools import partial
from typing import TYPE_CHECKING, ClassVar, Unpack
from urllib.parse import quote

from tako import Capabilities, Chat, ChatRequest, Stream, Translator, hookimpl
from tako.errors import ConfigurationError, ContentFilterError, NotFoundError, OverloadedError, RateLimitError
from tako.kit.checks import Default, check_text, given, path_of
from tako.kit.completions import (
    Dialect,
    chat_completions,
    encode_request,
    for_openai,
    stream_completions,
    translator_for,
)
from tako.kit.completions.decode import decode_block
from tako.kit.exchange import Exchange
from tako.kit.http import HttpOptions, HttpProvider, check_url
from tako.kit.keys import Secret, find_key
from tako.kit.models import ModelTable
from tako.translator import PartContext
from tako_azure_openai.entra import TokenProvider, TokenSource
from tako_azure_openai.filters import AzureDecoder

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tako.errors import ProviderError

TABLE = ModelTable(__name__)
API_VERSION = Default("2024-10-21")
"""The last dated version that is generally available."""
V1_VERSIONS = ("v1", "preview", "latest")
"""Names that stand for the v1 form of the API, which has no dates."""
STREAM_USAGE_SINCE = "2024-09-01"
"""Earlier versions refuse ``stream_options``."""


class AzureOpenAI(HttpProvider):
    """A deployment of one of OpenAI's models on Azure.

    ``deployment``: its name; ``model``: the same, or the model that it is of where the name does not say so ("gpt-5").
    ``endpoint``: "https://NAME.openai.azure.com", or None for AZURE_OPENAI_ENDPOINT; one that ends with "/openai/v1",
    or ``api_version="v1"``, asks by the v1 form. ``api_version``: a date, or None for OPENAI_API_VERSION, else
    2024-10-21. One of ``api_key``, ``token`` (of Entra ID; both also as "$ENV:NAME") and ``token_provider``, a callable
    or coroutine function that returns a token and is asked before each request; without any of them
    AZURE_OPENAI_AD_TOKEN is read, else AZURE_OPENAI_API_KEY.
    """

    name = "azure-openai"
    codes: ClassVar[Mapping[str, type[ProviderError]]] = {
        "DeploymentNotFound": NotFoundError,
        "NoCapacity": OverloadedError,
        "RateLimitReached": RateLimitError,
        "ResponsibleAIPolicyViolation": ContentFilterError,
        "too_many_requests": RateLimitError,
    }

    def __init__(
        self,
        model: str | None = None,
        *,
        endpoint: str | None = None,
        deployment: str | None = None,
        api_version: str | None = API_VERSION,
        api_key: str | None = None,
        token: str | None = None,
        token_provider: TokenProvider | None = None,
        **options: Unpack[HttpOptions],
    ) -> None:
        ways = [api_key is not None, token is not None, token_provider is not None]
        source = TokenSource(token_provider) if token_provider is not None else None
        bearer = None if ways[0] or ways[2] else find_key(token, "AZURE_OPENAI_AD_TOKEN", self.name, option="token")
        key = None if bearer or source else find_key(api_key, "AZURE_OPENAI_API_KEY", self.name)
        api_key = token = None  # a traceback with locals shows this frame
        if sum(ways) > 1:
            raise ConfigurationError(f"{self.name} takes one of api_key, token and token_provider")
        if not (key or bearer or source):
            raise ConfigurationError(
                f"{self.name} has no key: set AZURE_OPENAI_API_KEY or AZURE_OPENAI_AD_TOKEN, or pass api_key=, token= "
                "or token_provider="
            )
        if not (deployment or model):
            raise ConfigurationError(f"{self.name} needs deployment=, the name of a model's deployment")
        super().__init__(model or deployment or "", **options)
        check_text(deployment, "deployment", self.id)
        check_text(api_version, "api_version", self.id)
        self.deployment = deployment or self.model
        self._tokens = source
        path_of(self.deployment, "deployment", self.name)
        self._locate(endpoint, given(api_version) or os.environ.get("OPENAI_API_VERSION") or str(API_VERSION))
        self._identify(key, bearer)

    def _locate(self, endpoint: str | None, api_version: str) -> None:
        """Find out the form of the API, and where it is."""
        endpoint = endpoint or os.environ.get("AZURE_OPENAI_ENDPOINT")
        if not endpoint:
            raise ConfigurationError(f"{self.id} has no endpoint: set AZURE_OPENAI_ENDPOINT, or pass endpoint=")
        url = check_url(endpoint, "endpoint", self.id)
        self.is_v1 = f"{url}/".find("/openai/v1/") > 0 or api_version in V1_VERSIONS
        self.endpoint = re.sub(r"/openai(?:/.*)?$", "", url)  # people paste the address of a call
        self.api_version = api_version
        dated = not self.is_v1 and api_version[:1].isdecimal()
        self.dialect = Dialect(stream_usage=not (dated and api_version < STREAM_USAGE_SINCE))

    def _identify(self, key: Secret | None, bearer: Secret | None) -> None:
        """Set the header of a key or a token that stays the same."""
        if bearer is None and key is not None and self.is_v1:
            bearer, key = key, None  # as OpenAI's own clients send it
        if bearer is not None:
            self.add_headers({"authorization": bearer.prefixed("Bearer ")})
        elif key is not None:
            self.add_headers({"api-key": key})

    async def authorize(self, method: str, url: str, body: bytes) -> Mapping[str, str]:
        """Ask the token provider, where there is one."""
        return await self._tokens.headers() if self._tokens is not None else {}

    def hide(self, text: str) -> str:
        """Take all secrets out of a text, tokens of the token provider too."""
        text = super().hide(text)
        return self._tokens.hide(text) if self._tokens is not None else text

    def url_of(self, deployment: str) -> str:
        """Return the address of a deployment's chat completions."""
        if not self.is_v1:
            path = f"/openai/deployments/{path_of(deployment, 'deployment', self.id)}/chat/completions"
            return f"{self.endpoint}{path}?api-version={quote(self.api_version, safe='')}"
        query = f"?api-version={self.api_version}" if self.api_version in V1_VERSIONS[1:] else ""
        return f"{self.endpoint}/openai/v1/chat/completions{query}"


@hookimpl
def tako_capabilities(provider: AzureOpenAI) -> Capabilities:
    """Read the table that this package ships, by ``model``; a deployment may be named like no model."""
    return TABLE.find(provider.model)


@hookimpl
def tako_translator(provider: AzureOpenAI) -> Translator:
    """Translate as the dialect does."""
    return translator_for(partial(decode_block, provider=provider.name), provider.dialect)


@hookimpl
def tako_chat(provider: AzureOpenAI, translator: Translator) -> Chat:
    """Ask for a whole reply."""
    return chat_completions(provider, translator, partial(prepare, provider, translator))


@hookimpl
def tako_stream(provider: AzureOpenAI, translator: Translator) -> Stream:
    """Ask for a reply in Server-Sent Events."""
    return stream_completions(
        provider, translator, partial(prepare, provider, translator), provider.dialect, AzureDecoder
    )


async def prepare(provider: AzureOpenAI, translator: Translator, request: ChatRequest, stream: bool) -> Exchange:
    """Encode a request; its ``model`` names another deployment of the same endpoint."""
    context = PartContext(provider.name, request)
    named = provider.deployment if provider.is_v1 else provider.model
    dialect = for_openai(provider.dialect, request.model or provider.model)
    body = encode_request(request, named, translator, context, dialect, stream=stream)
    return Exchange(provider.url_of(request.model or provider.deployment), body, context.notices)
