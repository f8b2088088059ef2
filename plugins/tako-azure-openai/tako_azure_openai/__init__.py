"""OpenAI's models on Azure (https://learn.microsoft.com/azure/ai-foundry/openai/reference)."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, ClassVar, Unpack
from urllib.parse import quote

from tako.errors import (
    ConfigurationError,
    ContentFilterError,
    MissingKeyError,
    NotFoundError,
    OverloadedError,
    RateLimitError,
)
from tako.kit.addresses import check_url, server_of
from tako.kit.checks import check_text, path_of
from tako.kit.completions import Dialect, for_openai
from tako.kit.http import HttpProvider
from tako.kit.keys import Secret, find_key
from tako.kit.responses import Api, ResponsesProvider, check_api
from tako.kit.schemas import AZURE
from tako.provider import Provider
from tako_azure_openai.entra import TokenProvider, TokenSource

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tako.capabilities import Capabilities
    from tako.errors import ProviderError
    from tako.kit.http import FetchOptions
    from tako.listing import TokenCount
    from tako.types import ChatRequest

V1_VERSIONS = ("v1", "preview", "latest")
"""Names of the v1 API, which has no dates."""
STREAM_USAGE_SINCE = "2024-09-01"
"""Earlier versions refuse ``stream_options``."""


class AzureOpenAI(ResponsesProvider):
    """A deployment of one of OpenAI's models on Azure.

    Without a key or a token, AZURE_OPENAI_AD_TOKEN is read, else AZURE_OPENAI_API_KEY.

    Args:
        model: The deployment's name, or the model behind it if the name doesn't tell ("gpt-5").
        endpoint: "https://NAME.openai.azure.com". None reads AZURE_OPENAI_ENDPOINT.
        deployment: The deployment's name, if ``model`` is the model.
        api_version: A date selects a dated API. None reads OPENAI_API_VERSION, and otherwise uses the v1 API.
        api: "responses", "chat" (Chat Completions), or "auto". "auto" uses the Responses API at Azure's own addresses
            in the v1 API, except for models before gpt-5 that don't reason.
        api_key: The key, or "$ENV:NAME".
        token: A token of Entra ID, or "$ENV:NAME".
        token_provider: A function, async or not, that returns a token. It's called before each request.
    """

    name = "azure-openai"
    needs_event_loop = False
    file_purpose = "assistants"
    """Files with this purpose can be in requests. Azure doesn't have OpenAI's "user_data".

    https://learn.microsoft.com/en-us/azure/ai-foundry/openai/how-to/responses#file-input
    """
    conformance = "completions"  # tests use another server than Azure's own
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
        api_version: str | None = None,
        api: Api = "auto",
        api_key: str | None = None,
        token: str | None = None,
        token_provider: TokenProvider | None = None,
        **options: Unpack[FetchOptions],
    ) -> None:
        has_key, has_token, has_source = api_key is not None, token is not None, token_provider is not None
        source = TokenSource(token_provider) if token_provider is not None else None
        bearer = None
        if not (has_key or has_source):
            bearer = find_key(token, "AZURE_OPENAI_AD_TOKEN", self.name, option="token")
        key = None if bearer or source else find_key(api_key, "AZURE_OPENAI_API_KEY", self.name)
        api_key = token = None  # a traceback with locals shows this frame
        if has_key + has_token + has_source > 1:
            raise ConfigurationError(f"{self.name} accepts only one of api_key, token and token_provider")
        if not (key or bearer or source):
            raise MissingKeyError(
                f"{self.name} has no key: set AZURE_OPENAI_API_KEY or AZURE_OPENAI_AD_TOKEN",
                "pass api_key=, token= or token_provider=",
            )
        if not (deployment or model):
            raise ConfigurationError(f"{self.name} needs deployment=, the name of a model's deployment")
        HttpProvider.__init__(self, model or deployment or "", **options)  # the key and the address follow below
        check_text(deployment, "deployment", self.id)
        check_text(api_version, "api_version", self.id)
        self.deployment = deployment or self.model
        self._tokens = source
        path_of(self.deployment, "deployment", self.name)
        self._locate(endpoint, api_version or os.environ.get("OPENAI_API_VERSION") or "v1")
        self._set_credentials(key, bearer)
        self.api = check_api(api, self.id)

    def _locate(self, endpoint: str | None, api_version: str) -> None:
        """Set the endpoint, and which form of the API it has."""
        endpoint = endpoint or os.environ.get("AZURE_OPENAI_ENDPOINT")
        if not endpoint:
            raise ConfigurationError(f"{self.id} has no endpoint: set AZURE_OPENAI_ENDPOINT, or pass endpoint=")
        url = check_url(endpoint, "endpoint", self.id)
        self.is_v1 = f"{url}/".find("/openai/v1/") > 0 or api_version in V1_VERSIONS
        self.endpoint = re.sub(r"/openai(?:/.*)?$", "", url)  # people paste the address of a request
        self.server = server_of(self.endpoint)
        self.api_version = api_version
        is_dated = not self.is_v1 and api_version[:1].isdecimal()
        self.dialect = Dialect(wire=AZURE, stream_usage=not (is_dated and api_version < STREAM_USAGE_SINCE))

    def _set_credentials(self, key: Secret | None, bearer: Secret | None) -> None:
        """Set the header of a key or a fixed token."""
        if bearer is None and key is not None and self.is_v1:
            bearer, key = key, None  # as OpenAI's own clients send it
        if bearer is not None:
            self.add_headers({"authorization": bearer.prefixed("Bearer ")})
        elif key is not None:
            self.add_headers({"api-key": key})

    async def authorize(self, method: str, url: str, body: bytes) -> Mapping[str, str]:
        """Return the header with the token provider's token, if there is a provider."""
        return await self._tokens.headers() if self._tokens is not None else {}

    def hide(self, text: str) -> str:
        """Hide all secrets in a text, and the token provider's tokens."""
        text = super().hide(text)
        return self._tokens.hide(text) if self._tokens is not None else text

    @property
    def wire_model(self) -> str:
        """The model in a body: the deployment, if the address doesn't name it."""
        return self.deployment if self.is_v1 or self.speaks_responses() else self.model

    def dialect_of(self, model: str) -> Dialect:
        """Return the differences of this model's API."""
        return for_openai(self.dialect, model)

    def speaks_responses(self, model: str | None = None) -> bool:
        """Whether requests go to the Responses API; dated versions only if ``api`` is "responses"."""
        return super().speaks_responses(model) and (self.is_v1 or self.api == "responses")

    def url_of(self, model: str | None) -> str:
        """Return the address of a deployment; a request's model may name another one of the same endpoint."""
        is_responses = self.speaks_responses(model)
        if not self.is_v1 and is_responses:
            return f"{self.endpoint}/openai/responses?api-version={quote(self.api_version, safe='')}"
        if not self.is_v1:
            path = f"/openai/deployments/{path_of(model or self.deployment, 'deployment', self.id)}/chat/completions"
            return f"{self.endpoint}{path}?api-version={quote(self.api_version, safe='')}"
        query = f"?api-version={self.api_version}" if self.api_version in V1_VERSIONS[1:] else ""
        return f"{self.endpoint}/openai/v1/{'responses' if is_responses else 'chat/completions'}{query}"

    @property
    def models_url(self) -> str:
        """The address of the list of models, which doesn't say which of them are deployed."""
        return self._resource_url("models")

    @property
    def files_url(self) -> str:
        """The address of the resource's files."""
        return self._resource_url("files")

    def _resource_url(self, name: str) -> str:
        """Return the address of something that belongs to the resource, not to a deployment."""
        if self.is_v1:
            return f"{self.endpoint}/openai/v1/{name}"
        return f"{self.endpoint}/openai/{name}?api-version={quote(self.api_version, safe='')}"

    async def count(self, request: ChatRequest) -> TokenCount:
        """Raise UnsupportedError: Azure's Responses API has no ``input_tokens`` (it answers 404, as of May 2026)."""
        return await Provider.count(self, request)

    async def discover(self) -> Capabilities:
        """Return the known capabilities: Azure doesn't say which model a deployment has."""
        return self.capabilities
