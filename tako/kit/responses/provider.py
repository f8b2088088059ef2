"""A whole plugin for a vendor that speaks the Responses API, and Chat Completions too.

::

    class Acme(ResponsesProvider):
        \"\"\"A model of Acme's.\"\"\"

        name = "acme"
        base_url = "https://api.acme.example/v1"
        key_variable = "ACME_API_KEY"
"""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Literal, get_args

import msgspec
from msgspec.structs import replace

from tako import notices
from tako.errors import BadRequestError, ConfigurationError, NotFoundError
from tako.hooks import hookimpl
from tako.json_values import as_array
from tako.kit.completions.encode import translator_for
from tako.kit.completions.exchange import chat_completions, stream_completions
from tako.kit.completions.provider import CompletionsProvider, prepare
from tako.kit.file_limits import MB, Limit
from tako.kit.listing import fetch_token_count
from tako.kit.responses.blocks import decode_block, encode_part, is_of_chat, is_of_responses
from tako.kit.responses.exchange import responses_chat, responses_stream
from tako.kit.responses.hosts import is_openai_or_azure
from tako.kit.responses.request import ENCRYPTED, encode_request
from tako.translator import Translator

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Sequence
    from typing import Unpack

    from tako.hookspecs import Chat, Stream
    from tako.kit.exchange import Exchange
    from tako.kit.http import CallOptions
    from tako.kit.wire import Body, HttpReply
    from tako.listing import TokenCount
    from tako.parts import Part
    from tako.state import Origin
    from tako.translator import PartContext
    from tako.types import ChatRequest, ChatResponse, Chunk

COUNTED_FIELDS = frozenset(
    (
        "conversation",
        "input",
        "instructions",
        "model",
        "parallel_tool_calls",
        "personality",
        "previous_response_id",
        "reasoning",
        "text",
        "tool_choice",
        "tools",
        "truncation",
    )
)
"""What of a request counts: ``InputTokenCountParams`` of openai 3.57."""
LIMITS = (
    Limit(
        "https://developers.openai.com/api/docs/guides/file-inputs", ("document", "text"), each=50 * MB, total=50 * MB
    ),
)
API_IN_REFUSAL = re.compile(r"/responses\b|\bresponses (?:api|endpoint)")
"""How a refusal names the API."""
POSSIBLE_MODELS = re.compile(r"\w[\w.:/-]*\w")
"""Words of a refusal that may be a model: Azure's say which one a deployment is of."""
Api = Literal["auto", "responses", "chat"]
"""Which API is asked; "auto" decides by address and model."""


class ResponsesProvider(CompletionsProvider):
    """A vendor that speaks the Responses API. A subclass says how with class attributes, as in CompletionsProvider.

    ``api`` is "responses", "chat" (Chat Completions), or "auto": Responses at OpenAI's and Azure's own addresses,
    except for older models, and Chat Completions anywhere else. ``/responses`` or ``/chat/completions`` goes after
    ``base_url``.
    """

    api: Api = "responses"
    conformance: ClassVar[str] = "responses"

    def speaks_responses(self, model: str | None = None) -> bool:
        """Whether requests go to the Responses API; ``model`` is the one that a request names itself, or None."""
        if self.api != "auto":
            return self.api == "responses"
        return is_openai_or_azure(self.server) and self.dialect_of(self.named(model or self.model)).needs != "chat"

    def url_of(self, model: str | None) -> str:
        """Return the address that requests go to; ``model`` is the one that a request names itself, or None."""
        return f"{self.base_url}/responses" if self.speaks_responses(model) else super().url_of(model)

    def encode(
        self, request: ChatRequest, translator: Translator, context: PartContext, *, stream: bool
    ) -> dict[str, Any]:
        """Make the body of a request."""
        dialect = self.dialect_of(context.known_as)
        if self.speaks_responses(request.model):
            return encode_request(request, self.wire_model, translator, context, dialect, stream=stream)
        if dialect.needs == "responses" and (self.api == "chat" or is_openai_or_azure(self.server)):
            text = 'this model is served by the Responses API alone, as far as is known: api="responses" asks it'
            context.notice(notices.OTHER_API, text, "")
        return super().encode(request, translator, context, stream=stream)

    async def count(self, request: ChatRequest) -> TokenCount:
        """Ask the Responses API, which counts (POST /responses/input_tokens); Chat Completions doesn't."""
        if not self.speaks_responses(request.model):
            return await super().count(request)
        exchange = await prepare(self, self.translator, request, False)
        body = {name: value for name, value in exchange.body.items() if name in COUNTED_FIELDS}
        url, query, rest = exchange.url.partition("?")
        return await fetch_token_count(self, exchange, f"{url}/input_tokens{query}{rest}", body, "input_tokens")

    def limits_for(self, model: str) -> Sequence[Limit]:
        """Return what OpenAI takes of files, at its own servers and Azure's."""
        return LIMITS if is_openai_or_azure(self.server) else ()

    def context(self, request: ChatRequest) -> PartContext:
        """Return the context of one request. State of one API means nothing to the other."""
        context = super().context(request)
        accepts, is_of_other_api = (
            context.accepts,
            is_of_chat if self.speaks_responses(request.model) else is_of_responses,
        )

        def fits(part: Part, origin: Origin) -> bool:
            return accepts(part, origin) and not is_of_other_api(part)

        context.accepts = fits
        return context

    def second_try(self, exchange: Exchange, error: BadRequestError) -> Exchange | None:
        """Ask a model that doesn't reason again, without its reasoning: an unknown one is taken for one that does."""
        included = as_array(exchange.body.get("include")) or []
        is_about_content = error.code == "invalid_encrypted_content"  # that it made, and not that it's asked for
        if ENCRYPTED not in included or is_about_content or "encrypted" not in str(error).lower():
            return super().second_try(exchange, error)
        body = {**exchange.body, "include": [name for name in included if name != ENCRYPTED]}
        if not body["include"]:
            del body["include"]
        return replace(exchange, body=body)

    async def send(self, url: str, body: Body, **call: Unpack[CallOptions]) -> HttpReply:
        """Send a request; a refusal by the wrong API says which one is right."""
        try:
            return await super().send(url, body, **call)
        except (BadRequestError, NotFoundError) as error:
            if url.partition("?")[0].endswith("/chat/completions") and self._is_wrong_api(str(error), body):
                error.advice = 'api="responses" asks the API that this model needs'
            raise

    def _is_wrong_api(self, refusal: str, body: Body) -> bool:
        """Whether Chat Completions refused what the Responses API takes."""
        refusal_text = refusal.lower()
        if API_IN_REFUSAL.search(refusal_text) or any(
            self.dialect_of(name).needs == "responses" for name in POSSIBLE_MODELS.findall(refusal_text)
        ):
            return True
        request_body = msgspec.json.decode(body if isinstance(body, bytes) else b"{}")
        dialect = self.dialect_of(self.named(request_body.get("model") or self.model))
        about_tools = request_body.get("tools") and any(
            subject in refusal_text for subject in ("tool", "function", "reasoning")
        )
        return dialect.needs == "responses" or bool(about_tools and not dialect.tools_beside_effort)


def check_api(api: str, owner: str) -> Api:
    """Return the option ``api``; raises ConfigurationError if it is none of the three."""
    match = next((option for option in get_args(Api) if option == api), None)
    if match is None:
        raise ConfigurationError(f'{owner}: api is "auto", "responses" or "chat", not {api!r}')
    return match  # type: ignore[no-any-return]  # one of the Literal's values


@hookimpl
def tako_translator(provider: ResponsesProvider) -> Translator:
    """Translate as the API does that a request goes to."""
    chat = translator_for(provider.dialect, provider.dialect_of)

    def encode(part: Part, context: PartContext) -> Any:
        if not provider.speaks_responses(context.request.model):
            return chat.encode(part, context)
        return encode_part(part, context, has_cache_marks=bool(provider.dialect_of(context.known_as).cache_mark))

    def decode(block: Any, context: PartContext) -> Part | None:
        decode_by_api = decode_block if provider.speaks_responses(context.request.model) else chat.decode
        return decode_by_api(block, context)

    return Translator(encode, decode)


@hookimpl
def tako_chat(provider: ResponsesProvider, translator: Translator) -> Chat:
    """Ask for a whole reply."""
    prepare_request = partial(prepare, provider, translator)
    responses = responses_chat(provider, translator, prepare_request)
    completions = chat_completions(provider, translator, prepare_request, provider.dialect)

    def chat(request: ChatRequest) -> Awaitable[ChatResponse]:
        return (responses if provider.speaks_responses(request.model) else completions)(request)

    return chat


@hookimpl
def tako_stream(provider: ResponsesProvider, translator: Translator) -> Stream:
    """Ask for a reply in Server-Sent Events."""
    prepare_request = partial(prepare, provider, translator)
    responses = responses_stream(provider, translator, prepare_request, require_finish=provider.dialect.require_finish)
    completions = stream_completions(provider, translator, prepare_request, provider.dialect)

    def stream(request: ChatRequest) -> AsyncGenerator[Chunk, None]:
        return (responses if provider.speaks_responses(request.model) else completions)(request)

    return stream
