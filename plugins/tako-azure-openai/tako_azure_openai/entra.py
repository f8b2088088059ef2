"""Tokens of Entra ID, from a callable of the user's (``azure.identity.get_bearer_token_provider`` makes one)."""

from __future__ import annotations

import inspect
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

import anyio.to_thread

from tako.errors import AuthenticationError, TakoError, kind_of
from tako.kit.keys import Secret
from tako.kit.single_flight import TaskFlight
from tako.kit.wire import HttpHeaders

TokenProvider = Callable[[], str | Awaitable[str]]
"""Returns a token that is good now, or an awaitable of one. Caching and refreshing are its own affair."""

REMEMBERED = 8
"""How many tokens are remembered, to be taken out of error texts."""


class TokenSource:
    """Asks a token provider before each request, once for all requests of an event loop that wait at the same time.

    A provider that is no coroutine function may block, so it runs in a worker thread.
    """

    def __init__(self, provider: TokenProvider) -> None:
        self._provider = provider
        call = getattr(provider, "__call__", None)  # noqa: B004 - an object may be called by an async method
        self._is_async = inspect.iscoroutinefunction(provider) or inspect.iscoroutinefunction(call)
        self._flight = TaskFlight(self._fetch)
        self._recent: deque[Secret] = deque(maxlen=REMEMBERED)

    async def headers(self) -> HttpHeaders:
        """Return the header of one request; raises AuthenticationError where the provider fails."""
        return HttpHeaders({"authorization": "Bearer " + (await self._flight.result()).reveal()})

    def hide(self, text: str) -> str:
        """Return a text with the tokens of late taken out."""
        for secret in list(self._recent):
            text = secret.hide(text)
        return text

    def __reduce__(self) -> tuple[Any, ...]:
        return TokenSource, (self._provider,)

    async def _fetch(self) -> Secret:
        token = _checked(await self._ask())
        if token.reveal() not in [secret.reveal() for secret in self._recent]:
            self._recent.append(token)
        return token

    async def _ask(self) -> object:
        try:
            if self._is_async:
                made: Any = self._provider()
            else:
                made = await anyio.to_thread.run_sync(self._provider, abandon_on_cancel=True)
            return await made if inspect.isawaitable(made) else made
        except TakoError:
            raise
        except Exception as error:
            raise AuthenticationError(f"the token provider failed with {type(error).__name__}: {error}") from error


def _checked(given: object) -> Secret:
    """Return a token that can stand in a header."""
    if not isinstance(given, str):
        raise AuthenticationError(f"the token provider returned {kind_of(given)}, not the token as a str")
    secret = Secret(given)
    if secret.problem is not None:
        raise AuthenticationError(f"the token that the token provider returned {secret.problem}")
    return secret
