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
from tako.kit.lease import sent_again
from tako.kit.listing import fetch_models
from tako_vertex.claude import capabilities_of, chat_claude, check_wire, is_claude, stream_claude
from tako_vertex.endpoint import LOCATION, address, check_served, host_of, location_of, model_path
from tako_vertex.generate import GenerateContent
from tako_vertex.sources import Source, check_credentials
from tako_vertex.tokens import Tokens

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tako.kit.http import CallOptions, FetchOptions
    from tako.kit.wire import Body, HttpReply
    from tako.listing import ModelInfo, TokenCount
    from tako.parts import Part
    from tako.state import Origin


class Vertex(GenerateContent):
    """A Gemini model on Vertex AI, or a Claude.

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

    def __init__(
        self,
        model: str,
        *,
        project_id: str | None = None,
        location: str | None = LOCATION,
        endpoint_url: str | None = None,
        access_token: str | None = None,
        credentials: Any = None,
        service_account_file: str | os.PathLike[str] | None = None,
        api_key: str | None = None,
        **options: Unpack[FetchOptions],
    ) -> None:
        ways = {
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
        _check_ways([way for way, there in ways.items() if there], project_id, location, self.id)
        self.project_id = None if key is not None else project_id or os.environ.get("GOOGLE_CLOUD_PROJECT") or None
        self.location = (
            "global" if key is not None else location or os.environ.get("GOOGLE_CLOUD_LOCATION") or str(LOCATION)
        )
        host = host_of(self.location, self.id)
        self._anywhere = endpoint_url is None
        self.endpoint_url = (
            host if endpoint_url is None else check_url(endpoint_url, "endpoint_url", self.id, beyond="/v1(?:/.*)?")
        )
        if key is not None:
            self.add_headers({"x-goog-api-key": key})
        elif token is not None:
            if self.project_id is None:
                raise _no_project(self.id)
            self.add_headers({"authorization": token.prefixed("Bearer ")})
        else:
            if credentials is not None:
                check_credentials(credentials, self.id)
            file = os.fspath(service_account_file) if service_account_file is not None else None
            self.tokens = Tokens(Source(self.id, credentials, file))
        self._express = key is not None

    @property
    def at_vendor(self) -> bool:
        """Whether the address is the vendor's own."""
        return self._anywhere

    async def url(self, model: str, *, verb: str) -> str:
        """Return the address of a call; may have to ask the credentials for their project."""
        check_wire(self.model, model, self.id)
        path = model_path(model, self.id)
        check_served(path, self.id)
        project = self.project_id
        if project is None and not self._express and not path.startswith("projects/"):
            if self.tokens is not None:
                await self.tokens.grant()
                project = self.project_id = self.tokens.project
            if project is None:
                raise _no_project(self.id)
        placed = location_of(path) if self._anywhere else None
        base = self.endpoint_url if placed is None else host_of(placed, self.id)
        return address(base, project, self.location, path, verb=verb)

    def accepts(self, own: Origin, part: Part, origin: Origin) -> bool:
        """Take Gemini's state in Gemini, from the Developer API, too, and Claude's in Claude."""
        same = not origin.model or is_claude(origin.model) == is_claude(own.model)
        return same and super().accepts(own, part, origin)

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
        """Find what a call would need, and return the base URL it would go to; `tako doctor` asks.

        Raises the TakoError that says what is missing.
        """
        if self.tokens is not None:
            await self.tokens.grant()
        return self.endpoint_url

    async def authorize(self, method: str, url: str, body: bytes) -> Mapping[str, str]:
        """Return the headers of a valid token."""
        return {} if self.tokens is None else (await self.tokens.grant()).headers

    def hide(self, text: str) -> str:
        """Take all secrets out of a text, short-lived ones too."""
        text = super().hide(text)
        return text if self.tokens is None else self.tokens.hide(text)

    async def send(self, url: str, body: Body, **call: Unpack[CallOptions]) -> HttpReply:
        """Send a request; where its token is refused, once more with the next one."""
        send = partial(super().send, url, body, **call)
        if self.tokens is None:
            return await send()
        tokens, used = self.tokens, await self.tokens.grant()

        async def renewed(refusal: AuthenticationError) -> bool:
            try:
                return await tokens.renew(used) is not used
            except TakoError as failure:
                raise refusal from failure

        return await sent_again(send, renewed)


def _secret(given: str | None, option: str, owner: str) -> Secret | None:
    """Read a token or a key; without one the environment is not asked, since other sources may be meant."""
    if given is None:
        return None
    found = find_key(given, "", owner, option=option)
    given = None  # a traceback with locals shows this frame
    if found is None:
        raise ConfigurationError(f"{owner}: {option} is empty")
    return found


def _check_ways(ways: list[str], project: str | None, location: str | None, owner: str) -> None:
    if len(ways) > 1:
        raise ConfigurationError(f"{owner}: give one of {', '.join(ways)}, not {len(ways)}")
    if ways == ["api_key"] and (project is not None or location is not None):
        raise ConfigurationError(f"{owner}: an api_key stands for its project: leave project_id and location out")


def _no_project(owner: str) -> ConfigurationError:
    return ConfigurationError(f"{owner} has no project: set GOOGLE_CLOUD_PROJECT, or pass project_id=")


@hookimpl
def tako_capabilities(provider: Vertex) -> Capabilities | None:
    """Say what Claude can do where it is Claude."""
    return capabilities_of(provider) if is_claude(provider.named(provider.model)) else None


@hookimpl
def tako_translator(provider: Vertex) -> Translator | None:
    """Translate Claude's blocks where it is Claude."""
    return messages.translator if is_claude(provider.model) else None


@hookimpl
def tako_chat(provider: Vertex, translator: Translator) -> Chat | None:
    """Ask Claude for a whole reply."""
    return chat_claude(provider, translator) if is_claude(provider.model) else None


@hookimpl
def tako_stream(provider: Vertex, translator: Translator) -> Stream | None:
    """Ask Claude for a reply in Server-Sent Events."""
    return stream_claude(provider, translator) if is_claude(provider.model) else None
