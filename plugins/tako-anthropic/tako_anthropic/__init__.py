"""Anthropic's Messages API (https://platform.claude.com/docs/en/api/messages), and servers that speak it."""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, Unpack
from urllib.parse import quote

from tako import Capabilities, Chat, ChatRequest, Origin, Stream, Translator, hookimpl, notices
from tako.errors import BadRequestError, ConfigurationError, MissingKeyError, ServerError
from tako.json_values import as_array
from tako.kit.addresses import check_url, server_of
from tako.kit.checks import Default, check_kind, check_text, explicit
from tako.kit.exchange import Exchange, chat_through, stream_through
from tako.kit.families import rules_of
from tako.kit.fetching import encode_fetched
from tako.kit.file_limits import MB, Limit
from tako.kit.http import FetchOptions, HttpProvider
from tako.kit.keys import Secret, find_key
from tako.kit.listing import MOST_PAGES, decode_models, fetch_json, fetch_token_count
from tako.kit.messages import MessagesDecoder, decode_block, decode_reply, encode_request
from tako.kit.models import ModelTable
from tako.kit.uploads import delete_file, file_path, open_file, upload_form
from tako.parts import FileIdPart
from tako_anthropic.altered_thinking import BINDING_BETA, REFUSED_REQUEST, drop_altered_blocks, refuses_thinking
from tako_anthropic.blocks import encode_part

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tako.files import FilePath
    from tako.listing import ModelInfo, TokenCount
    from tako.parts import Part
    from tako.translator import PartContext

BASE_URL = Default("https://api.anthropic.com")
VERSION = Default("2026-10-21")
"""Since this version the API answers 400 to temperature, top_p and top_k."""
OLDER_VERSION = "2023-06-01"
SAMPLING_PARAMETERS = {"temperature", "top_p", "top_k"}
OAUTH_BETA, OAUTH_TOKEN_PREFIX = "oauth-2025-04-20", "sk-ant-oat"
"""The beta feature that OAuth tokens need, and the prefix of Anthropic's (SDK 2.14, lib/credentials)."""
TABLE = ModelTable(__name__)
COUNTED_FIELDS = frozenset(
    (
        "cache_control",
        "context_management",
        "mcp_servers",
        "messages",
        "model",
        "output_config",
        "speed",
        "system",
        "thinking",
        "tool_choice",
        "tools",
    )
)
"""The fields of a request that count_tokens accepts: ``MessageCountTokensParams`` of anthropic 2.14."""
LIMITS = (Limit("https://platform.claude.com/docs/en/api/errors#request-size-limits", total=24 * MB),)
"""A request may have 32 MB, and base64 is a third larger than the files."""
FILES_BETA, FILES_STABLE_SINCE = "files-api-2025-04-14", "2026-10-21"
"""The beta feature of files, and the API version since which it isn't a beta."""


class Anthropic(HttpProvider):
    """A model of Anthropic, or of any server that speaks the Messages API.

    Args:
        model: The model, such as "claude-sonnet-5-5".
        api_key: The key, or "$ENV:NAME". None reads ANTHROPIC_API_KEY.
        auth_token: An OAuth token instead of a key, sent as Bearer. None reads ANTHROPIC_AUTH_TOKEN.
        base_url: Another server, without the ``/v1``. By default ANTHROPIC_BASE_URL, else Anthropic's own.
        default_max_tokens: Sent if a request has no ``max_tokens``, since the API requires one. None depends on the
            model, with room for thinking.
        version: The API version (a date). Since 2026-10-21 the API has no sampling parameters. Unless you set this
            option, requests with sampling parameters use the version before, if the model takes them. So do all
            requests to models of other vendors.
        beta: Names of beta features for every request. A request adds its own with ``extra={"betas": […]}``.
        on_altered_thinking: What to do if Claude refuses earlier thinking because the conversation before it has
            changed. "drop" sends the request again without that thinking, and adds a notice. "error" raises, and so do
            strict requests.
        require_finish: False accepts streams that end after the stop reason, without ``message_stop``.
    """

    name = "anthropic"
    needs_event_loop = False
    codes = {"request_too_large": BadRequestError, "timeout_error": ServerError}  # noqa: RUF012 - read-only by its type

    def __init__(
        self,
        model: str,
        *,
        api_key: str | None = None,
        auth_token: str | None = None,
        base_url: str | None = BASE_URL,
        default_max_tokens: int | None = None,
        version: str = VERSION,
        beta: Sequence[str] = (),
        on_altered_thinking: Literal["drop", "error"] = "drop",
        require_finish: bool = True,
        **options: Unpack[FetchOptions],
    ) -> None:
        credential = _credential(api_key, auth_token, self.name)
        api_key = auth_token = None  # a traceback with locals shows this frame
        super().__init__(model, **options)
        if default_max_tokens is not None and (type(default_max_tokens) is not int or default_max_tokens < 1):
            raise ConfigurationError(f"{self.id}: default_max_tokens is a number of tokens, not {default_max_tokens!r}")
        check_text(version, "version", self.id)
        if on_altered_thinking not in ("drop", "error"):
            raise ConfigurationError(
                f"{self.id}: on_altered_thinking is 'drop' or 'error', not {on_altered_thinking!r}"
            )
        url, option = (explicit(base_url), "base_url") if explicit(base_url) is not None else _url_from_environment()
        self.base_url = check_url(url, option, self.id, beyond="/v1(?:/messages)?")
        self.server = server_of(self.base_url)
        self.default_max_tokens = default_max_tokens
        self.version = str(version)
        self._has_user_version = explicit(version) is not None or "anthropic-version" in self._user_headers
        self.on_altered_thinking = on_altered_thinking
        check_kind(require_finish, bool, "require_finish", self.id, "True or False")
        self.require_finish = require_finish
        self.add_headers({**credential, "anthropic-version": self.version})
        names = [beta] if isinstance(beta, str) else beta
        if not isinstance(names, (list, tuple)) or not all(isinstance(name, str) for name in names):
            raise ConfigurationError(f"{self.id}: beta is a list of names, not {beta!r}")
        if "anthropic-beta" in credential:
            names = list(dict.fromkeys([*names, OAUTH_BETA]))
        if names:
            self.add_headers({"anthropic-beta": ",".join(names)})

    def version_for(self, request: ChatRequest) -> str:
        """Return the API version of one request: the newest, unless that refuses parameters that the model accepts."""
        if self._has_user_version:
            return self.version
        rules = rules_of(self.named(request.model or self.model))
        has_sampling = (
            request.temperature is not None
            or request.top_p is not None
            or bool(SAMPLING_PARAMETERS & request.extra.keys())
        )
        return OLDER_VERSION if rules.family != "claude" or (rules.sampling and has_sampling) else self.version

    async def list_models(self) -> list[ModelInfo]:
        """List the models, page by page (GET /v1/models). Raises ProviderError."""
        models: list[ModelInfo] = []
        after_id = ""
        for _ in range(MOST_PAGES):
            page = await fetch_json(self, f"{self.base_url}/v1/models?limit=1000{after_id}")
            models += decode_models(page.get("data"), provider=self)
            last = page.get("last_id")
            if not (page.get("has_more") and isinstance(last, str)):
                break
            after_id = f"&after_id={quote(last, safe='')}"
        return models

    async def count(self, request: ChatRequest) -> TokenCount:
        """Ask how many tokens a request has (POST /v1/messages/count_tokens). Raises ProviderError."""
        exchange = await prepare(self, self.translator, request, False)
        body = {name: value for name, value in exchange.body.items() if name in COUNTED_FIELDS}
        return await fetch_token_count(self, exchange, f"{exchange.url}/count_tokens", body, "input_tokens")

    async def upload_file(self, path: FilePath, mime: str | None, name: str | None) -> FileIdPart:
        """Upload a file to Anthropic, which stores it, and return its part."""
        file = await open_file(path, mime, name)
        return await upload_form(self, f"{self.base_url}/v1/files", file, {}, self.beta_header([], files=True))

    async def delete(self, file: FileIdPart) -> None:
        """Delete a file that was uploaded."""
        await delete_file(self, f"{self.base_url}/v1/files/{file_path(file, self)}", self.beta_header([], files=True))

    @property
    def at_vendor(self) -> bool:
        """Whether the address is the vendor's own."""
        return self.base_url == str(BASE_URL)

    def accepts(self, own: Origin, part: Part, origin: Origin) -> bool:
        """Claude models accept each other's thinking and blocks. The API itself drops what a model can't read.

        If tako left it out, the conversation before later thinking would change, and Claude would refuse that thinking
        (https://platform.claude.com/docs/en/build-with-claude/preserved-thinking, "Switching models").
        """
        both_claude = rules_of(own.model).family == rules_of(origin.model).family == "claude"
        return origin.matches(Origin(own.provider, "", own.server) if both_claude else own)

    def limits_for(self, model: str) -> Sequence[Limit]:
        """Return the API's limits for the files of one request."""
        return LIMITS

    def second_try(self, exchange: Exchange, error: BadRequestError) -> Exchange | None:
        """Let Claude leave out thinking that it refuses because the conversation before it has changed."""
        request = exchange.context.request
        if self.on_altered_thinking == "error" or request.strict or not refuses_thinking(exchange.body, error):
            return None
        REFUSED_REQUEST.set(request)
        return self.drop_altered_thinking(exchange)

    def drop_altered_thinking(self, exchange: Exchange) -> Exchange | None:
        """Return a request that lets Claude leave out thinking, with a notice. None if it has its own setting."""
        body = drop_altered_blocks(exchange.body)
        if body is None:
            return None
        text = "earlier thinking was left out: Claude refused it, because the conversation before it has changed"
        exchange.context.notice(notices.ALTERED_THINKING, text, "messages")
        betas = exchange.headers.get("anthropic-beta", "").split(",")
        headers = {**exchange.headers, **self.beta_header([*filter(None, betas), BINDING_BETA])}
        return Exchange(exchange.url, body, exchange.context, headers)

    def beta_header(self, names: Any, *, files: bool = False, version: str | None = None) -> dict[str, str]:
        """Return the header with the beta features of the provider and of one request.

        ``files``: the request uses files that Anthropic stores, which are a beta in earlier versions of the API.
        ``version``: the API version of the request, by default the provider's.
        """
        betas = [names] if isinstance(names, str) else as_array(names or [])
        if betas is None or not all(isinstance(name, str) and name.isascii() and name.isprintable() for name in betas):
            raise ConfigurationError(f"{self.id}: betas is a list of names, not {names!r}")
        betas = [*betas, FILES_BETA] if files and (version or self.version) < FILES_STABLE_SINCE else betas
        if not betas:
            return {}
        provider_betas = self._all_headers.get("anthropic-beta", "").split(",")
        return {"anthropic-beta": ",".join(dict.fromkeys(filter(None, [*provider_betas, *betas])))}


def _credential(key: str | None, token: str | None, owner: str) -> dict[str, str | Secret]:
    """Return the headers of a key or a token. In the environment, a key wins over a token."""
    if key is not None and token is not None:
        key = token = None  # a traceback with locals shows this frame
        raise ConfigurationError(f"{owner} takes one of api_key and auth_token, not both")
    api_key = None if token is not None else find_key(key, "ANTHROPIC_API_KEY", owner)
    key = None  # as above
    if api_key is not None:
        return {"x-api-key": api_key}
    bearer = find_key(token, "ANTHROPIC_AUTH_TOKEN", owner, option="auth_token")
    token = None  # as above
    if bearer is None:
        names = "ANTHROPIC_API_KEY or ANTHROPIC_AUTH_TOKEN"
        raise MissingKeyError(f"{owner} has no key: set {names}", "pass api_key= or auth_token=")
    headers: dict[str, str | Secret] = {"authorization": bearer.prefixed("Bearer ")}
    return {**headers, "anthropic-beta": OAUTH_BETA} if bearer.reveal().startswith(OAUTH_TOKEN_PREFIX) else headers


def _url_from_environment() -> tuple[str, str]:
    return os.environ.get("ANTHROPIC_BASE_URL") or BASE_URL, "ANTHROPIC_BASE_URL"


@hookimpl
def tako_capabilities(provider: Anthropic) -> Capabilities:
    """Read the table that this package ships."""
    return TABLE.find(provider.named(provider.model))


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
    version = provider.version_for(request)

    def encode(request: ChatRequest, context: PartContext) -> Exchange:
        body = encode_request(
            request,
            provider.model,
            translator,
            context,
            stream=stream,
            default_max_tokens=provider.default_max_tokens,
            no_sampling=f"the API version {version} refuses it" if version >= VERSION else "",
        )
        has_files = any(isinstance(part, FileIdPart) for message in request.messages for part in message.parts)
        headers = provider.beta_header(body.pop("betas", None), files=has_files, version=version)
        if version != provider.version:
            headers["anthropic-version"] = version
        return Exchange(f"{provider.base_url}/v1/messages", body, context, headers)

    exchange = await encode_fetched(provider, request, encode)
    if REFUSED_REQUEST.get() is request and provider.on_altered_thinking == "drop":
        return provider.drop_altered_thinking(exchange) or exchange
    return exchange
