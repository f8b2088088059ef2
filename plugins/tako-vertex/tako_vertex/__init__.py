"""Gemini on Google Cloud's Vertex AI (https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/inference)."""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING, Any, Unpack

from tako import Capabilities, Chat, ChatRequest, Provider, Stream, Translator, hookimpl
from tako.errors import AuthenticationError, ConfigurationError, TakoError
from tako.kit import messages
from tako.kit.addresses import check_url
from tako.kit.checks import check_text, explicit
from tako.kit.keys import Secret, find_key
from tako.kit.lease import send_with_renewal
from tako.kit.listing import fetch_models
from tako_vertex.claude import capabilities_of, chat_claude, check_same_wire, is_claude, stream_claude
from tako_vertex.credentials import CredentialSource, check_credentials
from tako_vertex.endpoint import DEFAULT_LOCATION, call_url, check_publisher, host_of, location_of, model_path
from tako_vertex.generate_content import GenerateContentProvider
from tako_vertex.tokens import Tokens

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tako.kit.http import CallOptions, FetchOptions
    from tako.kit.wire import Body, HttpReply
    from tako.listing import ModelInfo, TokenCount
    from tako.parts import Part
    from tako.state import Origin


class Vertex(GenerateContentProvider):
    """A Gemini or Claude model on Vertex AI, which Google now calls Gemini Enterprise Agent Platform.

    Give at most one of ``access_token``, ``credentials``, ``service_account_file`` and ``api_key``. Without them,
    Google's application default credentials are used.

    Args:
        model: The model, such as "gemini-3.8-flash".
        project_id: The project. None reads GOOGLE_CLOUD_PROJECT, and otherwise takes that of the credentials.
        location: A region, "eu", "us" or "global". None reads GOOGLE_CLOUD_LOCATION, and otherwise is "global". A
            location in the model's path wins.
        endpoint_url: Another host than the location's.
        access_token: A token, or "$ENV:NAME". It's never refreshed.
        credentials: Credentials of google.auth.
        service_account_file: The path of a service account's file.
        api_key: A key for express mode, which has no project and no location.
    """

    name = "vertex"
    needs_event_loop = False

    def __init__(
        self,
        model: str,
        *,
        project_id: str | None = None,
        location: str | None = DEFAULT_LOCATION,
        endpoint_url: str | None = None,
        access_token: str | None = None,
        credentials: Any = None,
        service_account_file: str | os.PathLike[str] | None = None,
        api_key: str | None = None,
        **options: Unpack[FetchOptions],
    ) -> None:
        credentials_given = {
            "access_token": access_token is not None,
            "credentials": credentials is not None,
            "service_account_file": service_account_file is not None,
            "api_key": api_key is not None,
        }
        location = explicit(location)
        token = _secret(access_token, "access_token", self.name)
        key = _secret(api_key, "api_key", self.name)
        access_token = api_key = None  # a traceback with locals shows this frame
        super().__init__(model, **options)
        model_path(model, self.name)
        check_text(project_id, "project_id", self.id)
        check_text(location, "location", self.id)
        self.tokens: Tokens | None = None
        options_given = [name for name, is_given in credentials_given.items() if is_given]
        _check_one_credential(options_given, project_id, location, self.id)
        self.project_id = None if key is not None else project_id or os.environ.get("GOOGLE_CLOUD_PROJECT") or None
        self.location = (
            "global"
            if key is not None
            else location or os.environ.get("GOOGLE_CLOUD_LOCATION") or str(DEFAULT_LOCATION)
        )
        google_url = host_of(self.location, self.id)
        self._at_google = endpoint_url is None
        self.endpoint_url = (
            check_url(endpoint_url, "endpoint_url", self.id, beyond="/v1(?:/.*)?")
            if endpoint_url is not None
            else google_url
        )
        if key is not None:
            self.add_headers({"x-goog-api-key": key})
        elif token is not None:
            if self.project_id is None:
                raise _missing_project(self.id)
            self.add_headers({"authorization": token.prefixed("Bearer ")})
        else:
            if credentials is not None:
                check_credentials(credentials, self.id)
            file = os.fspath(service_account_file) if service_account_file is not None else None
            self.tokens = Tokens(CredentialSource(self.id, credentials, file))
        self._is_express = key is not None

    @property
    def at_vendor(self) -> bool:
        """Whether the address is the vendor's own."""
        return self._at_google

    async def url(self, model: str, *, verb: str) -> str:
        """Return the URL of a call. May fetch credentials, to learn their project."""
        check_same_wire(self.model, model, self.id)
        path = model_path(model, self.id)
        check_publisher(path, self.id)
        project = self.project_id
        if project is None and not self._is_express and not path.startswith("projects/"):
            if self.tokens is not None:
                await self.tokens.grant()
                project = self.project_id = self.tokens.project
            if project is None:
                raise _missing_project(self.id)
        location = location_of(path) if self._at_google else None
        base = self.endpoint_url if location is None else host_of(location, self.id)
        return call_url(base, project, self.location, path, verb=verb)

    def accepts(self, own: Origin, part: Part, origin: Origin) -> bool:
        """Gemini accepts the state of Gemini models, also from the Developer API. Claude accepts that of Claude."""
        same_family = not origin.model or is_claude(origin.model) == is_claude(own.model)
        return same_family and super().accepts(own, part, origin)

    async def count(self, request: ChatRequest) -> TokenCount:
        """Ask how many tokens a request to Gemini has. Raises ProviderError, and UnsupportedError for Claude."""
        if is_claude(self.named(request.model or self.model)):
            return await Provider.count(self, request)
        return await super().count(request)

    async def list_models(self) -> list[ModelInfo]:
        """List Google's models in the Model Garden. Raises ProviderError."""
        prefix = "publishers/google/models/"
        return await fetch_models(self, f"{self.endpoint_url}/v1beta1/{prefix[:-1]}", "publisherModels", prefix)

    async def find_credentials(self) -> str:
        """Find the credentials of a call, and return its base URL, for `tako doctor`.

        Raises the TakoError that says what is missing.
        """
        if self.tokens is not None:
            await self.tokens.grant()
        return self.endpoint_url

    async def authorize(self, method: str, url: str, body: bytes) -> Mapping[str, str]:
        """Return the headers with a valid token."""
        return {} if self.tokens is None else (await self.tokens.grant()).headers

    def hide(self, text: str) -> str:
        """Remove all secrets from a text, also short-lived ones."""
        text = super().hide(text)
        return text if self.tokens is None else self.tokens.hide(text)

    async def send(self, url: str, body: Body, **call: Unpack[CallOptions]) -> HttpReply:
        """Send a request, and send it once more with a new token if Google refuses the first."""
        send = partial(super().send, url, body, **call)
        if self.tokens is None:
            return await send()
        tokens, grant = self.tokens, await self.tokens.grant()

        async def renew(error: AuthenticationError) -> bool:
            try:
                return await tokens.renew(grant) is not grant
            except TakoError as renewal_error:
                raise error from renewal_error

        return await send_with_renewal(send, renew)


def _secret(value: str | None, option: str, owner: str) -> Secret | None:
    """Read a token or a key. Without one, the environment isn't read, because there are other sources."""
    if value is None:
        return None
    secret = find_key(value, "", owner, option=option)
    value = None  # a traceback with locals shows this frame
    if secret is None:
        raise ConfigurationError(f"{owner}: {option} is empty")
    return secret


def _check_one_credential(options: list[str], project: str | None, location: str | None, owner: str) -> None:
    if len(options) > 1:
        raise ConfigurationError(f"{owner}: give one of {', '.join(options)}, not {len(options)}")
    if options == ["api_key"] and (project is not None or location is not None):
        raise ConfigurationError(f"{owner}: an api_key belongs to a project: leave project_id and location out")


def _missing_project(owner: str) -> ConfigurationError:
    return ConfigurationError(f"{owner} has no project: set GOOGLE_CLOUD_PROJECT, or pass project_id=")


@hookimpl
def tako_capabilities(provider: Vertex) -> Capabilities | None:
    """Return Claude's capabilities if the model is a Claude."""
    return capabilities_of(provider) if is_claude(provider.named(provider.model)) else None


@hookimpl
def tako_translator(provider: Vertex) -> Translator | None:
    """Translate Claude's blocks if the model is a Claude."""
    return messages.translator if is_claude(provider.model) else None


@hookimpl
def tako_chat(provider: Vertex, translator: Translator) -> Chat | None:
    """Ask for a whole reply if the model is a Claude."""
    return chat_claude(provider, translator) if is_claude(provider.model) else None


@hookimpl
def tako_stream(provider: Vertex, translator: Translator) -> Stream | None:
    """Ask for a reply in Server-Sent Events if the model is a Claude."""
    return stream_claude(provider, translator) if is_claude(provider.model) else None
