"""The streaming contract: deltas, then exactly one End, or an exception. Outermost, so it covers every plugin."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tako.hooks import hookimpl
from tako.hooks.contract import add_provider_and_cost, call_chat, check_response, enforce_contract, name_provider
from tako.hooks.failures import passes_through
from tako.hooks.layers import provider_failure
from tako.types import ChatResponse

if TYPE_CHECKING:
    from tako.hookspecs import Around, Chat, Stream
    from tako.provider import Provider
    from tako.types import ChatRequest


@hookimpl(wrapper=True, tryfirst=True)
def tako_chat(provider: Provider) -> Around[Chat]:
    """Check that the answer is a response, and add the provider to errors."""
    inner = yield

    async def chat(request: ChatRequest) -> ChatResponse:
        try:
            response = await call_chat(inner, request)
            checked = response if response.__class__ is ChatResponse else check_response(response)
            return checked if checked.provider else add_provider_and_cost(checked, provider, request)
        except BaseException as error:
            if passes_through(error):
                name_provider(error, provider, request)
                raise
            raise provider_failure(error, provider, request) from error

    return chat


@hookimpl(wrapper=True, tryfirst=True)
def tako_stream(provider: Provider) -> Around[Stream]:
    """Check the chunks and their order, and add the provider to errors."""
    inner = yield

    return enforce_contract(inner, provider, lambda error, request: provider_failure(error, provider, request))
