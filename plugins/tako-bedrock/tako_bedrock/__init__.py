"""AWS Bedrock's Converse API (https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html)."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Unpack
from urllib.parse import unquote

from anyio import to_thread

from tako import Capabilities, Chat, ChatRequest, Origin, Stream, Translator, UrlPrefetch, hookimpl
from tako.errors import AuthenticationError, BadRequestError, ConfigurationError, ProviderError
from tako.kit.addresses import check_url
from tako.kit.asking import ask_count, ask_json, models_in
from tako.kit.checks import check_text, path_of
from tako.kit.encoding import merge_extra
from tako.kit.exchange import Exchange, chat_through, refuse_if_strict, stream_through
from tako.kit.families import Rules, rules_of
from tako.kit.fetching import encode_fetched
from tako.kit.http import CallOptions, HttpOptions, HttpProvider
from tako.kit.keys import find_key
from tako.kit.lease import sent_again
from tako.kit.models import ModelTable
from tako.parts import Part, ReasoningPart
from tako_bedrock.blocks import decode_block, encode_part
from tako_bedrock.credentials import Account, Session
from tako_bedrock.documents import limits
from tako_bedrock.failures import CODES, REFUSED, refusal_facts
from tako_bedrock.reply import decode_reply
from tako_bedrock.request import encode_request
from tako_bedrock.signing import check_bearer, signature
from tako_bedrock.stream import ConverseDecoder

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tako.kit.failures import Facts
    from tako.kit.limits import Limit
    from tako.kit.wire import Body, HttpReply
    from tako.listing import ModelInfo, TokenCount
    from tako.translator import PartContext

BEARER = "AWS_BEARER_TOKEN_BEDROCK"
TABLE = ModelTable(__name__)
WHOLE, STREAM = "/converse", "/converse-stream"
COUNTED = frozenset(("messages", "system", "toolConfig", "additionalModelRequestFields"))
"""What of a request counts: ConverseTokensRequest of the API."""
LARGE = 1024 * 1024
"""Bytes of a body from which on signing it, which hashes it, is a thread's work."""
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
        self.account = self._account()

    async def endpoint(self, model: str | None = None) -> str:
        """Return the base URL of requests to a model, by default the provider's own.

        Raises ConfigurationError where no region is set.
        """
        if self.endpoint_url is not None and not self._signs:
            return self.endpoint_url
        return (await self.account.place(region_of(model or self.model))).endpoint

    async def list_models(self) -> list[ModelInfo]:
        """List the foundation models of the region, and which of them Converse may serve isn't told.

        Raises ProviderError, and ConfigurationError where no region is set.
        """
        base = (await self.endpoint()).replace("://bedrock-runtime", "://bedrock", 1)
        listed = await ask_json(self, f"{base}/foundation-models")
        return models_in(listed.get("modelSummaries"), "modelId")

    async def count(self, request: ChatRequest) -> TokenCount:
        """Ask how many tokens a request has (CountTokens). Raises ProviderError."""
        exchange = await prepare(self, self.translator, request, False)
        body = {name: value for name, value in exchange.body.items() if name in COUNTED}
        url = f"{exchange.url.removesuffix(WHOLE)}/count-tokens"
        return await ask_count(self, exchange, url, {"input": {"converse": body}}, "inputTokens")

    def rules_for(self, model: str) -> Rules:
        """Return what a model takes: of the provider's own, by ``base_model`` where its name tells nothing."""
        return rules_of(self.named(model))

    def accepts(self, own: Origin, part: Part, origin: Origin) -> bool:
        """Claude models take each other's thinking and blocks. Reasoning goes only to models that take it back."""
        rules = self.rules_for(own.model)
        takes = rules.converse.reasoning
        if isinstance(part, ReasoningPart) and (takes == "refused" or (takes == "own" and origin.model != own.model)):
            return False
        both = rules.family == self.rules_for(origin.model).family == "claude"
        return origin.matches(Origin(own.provider, "", own.server) if both else own)

    def limits_for(self, model: str) -> Sequence[Limit]:
        """Return what Converse takes of documents; it has no limit for PDF to Nova or to Claude 4 and later."""
        return limits(self.rules_for(model).family, self.base_model or model)

    def second_try(self, exchange: Exchange, error: BadRequestError) -> Exchange | None:
        """Ask for a whole reply where a model turns out not to stream, or no tools; the API has no code for it."""
        if not exchange.url.endswith(STREAM) or "stream" not in str(error.args[0]).lower():
            return None
        return Exchange(exchange.url.removesuffix(STREAM) + WHOLE, exchange.body, exchange.context, exchange.headers)

    async def find_credentials(self) -> str:
        """Find what a call would need, and return the base URL it would go to; `tako doctor` asks.

        Raises the TakoError that says what is missing.
        """
        if self._signs:
            await self.account.held()
        return await self.endpoint()

    async def authorize(self, method: str, url: str, body: bytes) -> Mapping[str, str]:
        """Sign a request, or put the bearer key in; an ``authorization`` among the user's headers is left alone."""
        if self._bearer is not None and "authorization" not in self._user_headers:
            check_bearer(url, self.id)
            return {"authorization": self._bearer.prefixed("Bearer ").reveal()}
        if not self._signs:
            return {}
        place = await self.account.place(region_of(unquote(url.rpartition("/model/")[2].partition("/")[0])))
        held = await self.account.held()
        headers = self._sent_headers
        signed = {name: headers[name] for name in ("content-type", *self._user_headers)}
        if len(body) < LARGE:
            return signature(held.keys, place.region, method, url, body, signed)
        return await to_thread.run_sync(signature, held.keys, place.region, method, url, body, signed)

    def error_facts(self, reply: HttpReply, body: bytes) -> Facts:
        """Read the error's name from the headers."""
        return refusal_facts(reply.headers, body)

    async def send(self, url: str, body: Body, **call: Unpack[CallOptions]) -> HttpReply:
        """Send a request; if the credentials are refused and there are others by now, send it once more with those."""
        held = await self.account.held() if self._signs else None

        async def renewed(refusal: AuthenticationError) -> bool:
            if held is not None and refusal.code in REFUSED and await self.account.renew(held):
                return True
            source = BEARER if held is None else f"the source {held.method!r}"
            refusal.args = (f"{refusal.args[0]} (the credentials are of {source}; renew or correct them)",)
            return False

        return await sent_again(partial(super().send, url, body, **call), renewed)

    def hide(self, text: str) -> str:
        """Take all secrets out of a text; a signature's refusal quotes the session token."""
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
        self.account = self._account()

    @property
    def _signs(self) -> bool:
        return self._bearer is None and "authorization" not in self._user_headers

    def _account(self) -> Account:
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
    """Return a model's id without what says where it runs: an ARN's head, an inference profile's region."""
    name = model.rpartition("/")[2]
    return re.sub(r"^(?:[a-z]{2}|us-gov|apac|amer|global)\.", "", name)


def region_of(model: str) -> str | None:
    """Return the region that an ARN names, None for any other id."""
    found = _ARN.match(model)
    return found[1] if found else None


async def prepare(provider: Bedrock, translator: Translator, request: ChatRequest, stream: bool) -> Exchange:
    """Encode a request; nothing touches the network before it is known what cannot be carried.

    Where a model takes no tools in streams, a whole reply is asked for, which is then streamed in one piece.
    """
    model = request.model or provider.model
    rules = provider.rules_for(model)

    def encode(request: ChatRequest, context: PartContext) -> Exchange:
        body = encode_request(request, provider.named(model), rules, translator, context)
        return Exchange("", merge_extra(body, request.extra), context)

    exchange = await encode_fetched(provider, request, encode)
    refuse_if_strict(request, exchange.notices, provider)  # before the credentials are looked for
    stream = stream and (rules.converse.tools_in_streams or "toolConfig" not in exchange.body)
    place = path_of(model, "model", provider.id)
    exchange.url = f"{await provider.endpoint(model)}/model/{place}{STREAM if stream else WHOLE}"
    return exchange
