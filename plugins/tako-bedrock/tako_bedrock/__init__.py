"""AWS Bedrock's Converse API (https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html)."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Unpack
from urllib.parse import unquote

from anyio import to_thread

from tako import Capabilities, Chat, ChatRequest, Origin, Stream, Translator, UrlPrefetch, hookimpl
from tako.direct_calls import event_loop
from tako.errors import AuthenticationError, BadRequestError, ConfigurationError, ProviderError
from tako.kit.addresses import check_url
from tako.kit.checks import check_text, path_of
from tako.kit.encoding import merge_extra
from tako.kit.exchange import Exchange, chat_through, refuse_if_strict, stream_through
from tako.kit.families import Rules, rules_of
from tako.kit.fetching import encode_fetched
from tako.kit.http import CallOptions, HttpOptions, HttpProvider
from tako.kit.keys import find_key
from tako.kit.lease import send_with_renewal
from tako.kit.listing import decode_models, fetch_json, fetch_token_count
from tako.kit.models import ModelTable
from tako.parts import Part, ReasoningPart
from tako_bedrock.blocks import decode_block, encode_part
from tako_bedrock.credentials import Account, Session
from tako_bedrock.documents import document_limits
from tako_bedrock.failures import CODES, REFUSED, refusal_facts
from tako_bedrock.reply import decode_reply
from tako_bedrock.request import encode_request
from tako_bedrock.signing import check_bearer, signature
from tako_bedrock.stream import ConverseDecoder

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tako.kit.failures import Facts
    from tako.kit.file_limits import Limit
    from tako.kit.wire import Body, HttpReply
    from tako.listing import ModelInfo, TokenCount
    from tako.translator import PartContext

BEARER = "AWS_BEARER_TOKEN_BEDROCK"
TABLE = ModelTable(__name__)
CHAT_PATH, STREAM_PATH = "/converse", "/converse-stream"
COUNTED_FIELDS = frozenset(("messages", "system", "toolConfig", "additionalModelRequestFields"))
"""The fields of a request that CountTokens accepts: ConverseTokensRequest of the API."""
LARGE_BODY = 1024 * 1024
"""Bytes. Larger bodies are signed in a thread, because signing hashes the body."""
_ARN = re.compile(r"arn:[^:]*:[^:]*:([a-z0-9-]+):")


class Bedrock(HttpProvider):
    """A model on AWS Bedrock.

    boto3 is imported at the first call, and works in threads. A bearer key in AWS_BEARER_TOKEN_BEDROCK is used instead
    of AWS credentials.

    Args:
        model: A model id, an inference profile, or the ARN of either.
        region: The region, as boto3 takes it. An ARN's own region wins.
        profile_name: The profile of your AWS configuration.
        endpoint_url: Another endpoint. A path is kept.
        session: Your own ``boto3.Session``.
        url_prefetch: Whether tako fetches images and files by their addresses: True, False, or a UrlPrefetch.
    """

    name = "bedrock"
    needs_event_loop = False
    codes: ClassVar[Mapping[str, type[ProviderError]]] = CODES

    def __init__(
        self,
        model: str,
        *,
        region: str | None = None,
        profile_name: str | None = None,
        endpoint_url: str | None = None,
        session: Session | None = None,
        url_prefetch: bool | UrlPrefetch = False,
        **options: Unpack[HttpOptions],
    ) -> None:
        super().__init__(model, url_prefetch=url_prefetch, **options)
        path_of(model, "model", self.name)
        if session is not None and profile_name is not None:
            raise ConfigurationError(f"{self.id}: a session has its profile; give session= or profile_name=, not both")
        check_text(region, "region", self.id)
        check_text(profile_name, "profile_name", self.id)
        self.region = region
        self.profile_name = profile_name
        if endpoint_url is not None:
            endpoint_url = check_url(endpoint_url, "endpoint_url", self.id, beyond="/model/.*")
        self.endpoint_url = endpoint_url
        self._session = session
        self._bearer = find_key(None, BEARER, self.id)
        if self._bearer is not None:
            self.secrets.append(self._bearer)
            if self.endpoint_url is not None:
                check_bearer(self.endpoint_url, self.id)
        self.account = self._new_account()

    async def endpoint(self, model: str | None = None) -> str:
        """Return the base URL of requests to a model, by default the provider's own.

        Raises ConfigurationError if no region is set.
        """
        if self.endpoint_url is not None and not self._uses_signature:
            return self.endpoint_url
        return (await self.account.endpoint(region_of(model or self.model))).url

    async def list_models(self) -> list[ModelInfo]:
        """List the foundation models of the region. AWS doesn't say which of them work with Converse.

        Raises ProviderError, and ConfigurationError if no region is set.
        """
        base = (await self.endpoint()).replace("://bedrock-runtime", "://bedrock", 1)
        reply = await fetch_json(self, f"{base}/foundation-models")
        return decode_models(reply.get("modelSummaries"), "modelId", provider=self)

    async def count(self, request: ChatRequest) -> TokenCount:
        """Ask how many tokens a request has (CountTokens). Raises ProviderError."""
        exchange = await prepare(self, self.translator, request, False)
        body = {name: value for name, value in exchange.body.items() if name in COUNTED_FIELDS}
        url = f"{exchange.url.removesuffix(CHAT_PATH)}/count-tokens"
        return await fetch_token_count(self, exchange, url, {"input": {"converse": body}}, "inputTokens")

    def rules_for(self, model: str) -> Rules:
        """Return what a model takes. For the provider's own model, ``base_model`` wins over its name."""
        return rules_of(self.named(model))

    def accepts(self, own: Origin, part: Part, origin: Origin) -> bool:
        """Claude models accept each other's thinking and blocks. Reasoning only goes to models that accept it back."""
        rules = self.rules_for(own.model)
        reasoning_rule = rules.converse.reasoning
        if isinstance(part, ReasoningPart) and (
            reasoning_rule == "refused" or (reasoning_rule == "own" and origin.model != own.model)
        ):
            return False
        both_claude = rules.family == self.rules_for(origin.model).family == "claude"
        return origin.matches(Origin(own.provider, "", own.server) if both_claude else own)

    def limits_for(self, model: str) -> Sequence[Limit]:
        """Return Converse's limits for documents. PDF has no limits on Nova, and on Claude 4 and later."""
        return document_limits(self.rules_for(model).family, self.base_model or model)

    def second_try(self, exchange: Exchange, error: BadRequestError) -> Exchange | None:
        """Ask for a whole reply if a model can't stream, or can't stream with tools. The API has no code for that."""
        if not exchange.url.endswith(STREAM_PATH) or "stream" not in str(error.args[0]).lower():
            return None
        return Exchange(
            exchange.url.removesuffix(STREAM_PATH) + CHAT_PATH, exchange.body, exchange.context, exchange.headers
        )

    async def find_credentials(self) -> str:
        """Find the credentials and region of a call, and return its base URL, for `tako doctor`.

        Raises the TakoError that says what is missing.
        """
        if self._uses_signature:
            await self.account.credentials()
        return await self.endpoint()

    async def authorize(self, method: str, url: str, body: bytes) -> Mapping[str, str]:
        """Return the headers of a signature, or of the bearer key. An ``authorization`` header of the user's wins."""
        if self._bearer is not None and "authorization" not in self._user_headers:
            check_bearer(url, self.id)
            return {"authorization": self._bearer.prefixed("Bearer ").reveal()}
        if not self._uses_signature:
            return {}
        endpoint = await self.account.endpoint(region_of(unquote(url.rpartition("/model/")[2].partition("/")[0])))
        credentials = await self.account.credentials()
        headers = self._all_headers
        signed_headers = {name: headers[name] for name in ("content-type", *self._user_headers)}
        if len(body) < LARGE_BODY:
            return signature(credentials.keys, endpoint.region, method, url, body, signed_headers)
        await event_loop()
        return await to_thread.run_sync(signature, credentials.keys, endpoint.region, method, url, body, signed_headers)

    def error_facts(self, reply: HttpReply, body: bytes) -> Facts:
        """Read the error's name from the headers."""
        return refusal_facts(reply.headers, body)

    async def send(self, url: str, body: Body, **call: Unpack[CallOptions]) -> HttpReply:
        """Send a request, and send it once more if AWS refuses the credentials and there are new ones by now."""
        credentials = await self.account.credentials() if self._uses_signature else None

        async def renew(error: AuthenticationError) -> bool:
            if credentials is not None and error.code in REFUSED and await self.account.renew(credentials):
                return True
            source = BEARER if credentials is None else f"the source {credentials.method!r}"
            error.advice = f"the credentials are of {source}; renew or correct them"
            return False

        return await send_with_renewal(partial(super().send, url, body, **call), renew)

    def hide(self, text: str) -> str:
        """Remove all secrets from a text. AWS quotes the session token when it refuses a signature."""
        return self.account.hide(super().hide(text))

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the account, whose credentials belong to this process."""
        if self._session is not None:
            raise ConfigurationError(f"{self.id}: a boto3 session can't travel in a pickle; use profile_name=")
        state = super().__getstate__()
        state.pop("account")
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self.account = self._new_account()

    @property
    def _uses_signature(self) -> bool:
        return self._bearer is None and "authorization" not in self._user_headers

    def _new_account(self) -> Account:
        return Account(
            self.id,
            region=self.region,
            profile_name=self.profile_name,
            endpoint_url=self.endpoint_url,
            session=self._session,
        )


@hookimpl
def tako_capabilities(provider: Bedrock) -> Capabilities:
    """Read the table that this package ships."""
    return TABLE.find(table_id(provider.base_model or provider.model))


@hookimpl
def tako_translator(provider: Bedrock) -> Translator:
    """Translate between parts and content blocks."""
    return Translator(partial(encode_part, rules_for=provider.rules_for), decode_block)


@hookimpl
def tako_chat(provider: Bedrock, translator: Translator) -> Chat:
    """Ask for a whole reply (Converse)."""
    return chat_through(
        provider,
        partial(prepare, provider, translator),
        partial(decode_reply, translator=translator),
    )


@hookimpl
def tako_stream(provider: Bedrock, translator: Translator) -> Stream:
    """Ask for a reply in an event stream (ConverseStream)."""
    return stream_through(
        provider,
        partial(prepare, provider, translator),
        lambda _, exchange: ConverseDecoder(provider, exchange, translator),
        partial(decode_reply, translator=translator),
    )


def table_id(model: str) -> str:
    """Return a model's id without an ARN's prefix or an inference profile's region."""
    name = model.rpartition("/")[2]
    return re.sub(r"^(?:[a-z]{2}|us-gov|apac|amer|global)\.", "", name)


def region_of(model: str) -> str | None:
    """Return the region in an ARN, None for any other id."""
    match = _ARN.match(model)
    return match[1] if match else None


async def prepare(provider: Bedrock, translator: Translator, request: ChatRequest, stream: bool) -> Exchange:
    """Encode a request. A strict request fails here, before anything is sent.

    If a model can't stream with tools, tako asks for a whole reply, and streams that in one chunk.
    """
    model = request.model or provider.model
    rules = provider.rules_for(model)

    def encode(request: ChatRequest, context: PartContext) -> Exchange:
        body = encode_request(request, provider.named(model), rules, translator, context)
        return Exchange("", merge_extra(body, request.extra), context)

    exchange = await encode_fetched(provider, request, encode)
    refuse_if_strict(request, exchange.notices, provider)  # before tako looks for credentials
    stream = stream and (rules.converse.tools_in_streams or "toolConfig" not in exchange.body)
    model_path = path_of(model, "model", provider.id)
    exchange.url = f"{await provider.endpoint(model)}/model/{model_path}{STREAM_PATH if stream else CHAT_PATH}"
    return exchange
