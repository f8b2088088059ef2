"""Tokens of Entra ID, from a function of yours (``azure.identity.get_bearer_token_provider`` makes one)."""

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
"""Returns a valid token, or an awaitable of one. It caches and refreshes its tokens itself."""

MAX_RECENT = 8
"""The number of recent tokens that are hidden in error texts."""


class TokenSource:
    """Calls a token provider before each request, once for all requests of an event loop that wait at the same time.

    A provider that isn't a coroutine function may block, so it runs in a worker thread.
    """

    def __init__(self, provider: TokenProvider) -> None:
        self._provider = provider
        call = getattr(provider, "__call__", None)  # noqa: B004 - an object's __call__ may be async
        self._is_async = inspect.iscoroutinefunction(provider) or inspect.iscoroutinefunction(call)
        self._flight = TaskFlight(self._fetch)
        self._recent: deque[Secret] = deque(maxlen=MAX_RECENT)

    async def headers(self) -> HttpHeaders:
        """Return the header of one request. Raises AuthenticationError if the provider fails."""
        return HttpHeaders({"authorization": "Bearer " + (await self._flight.result()).reveal()})

    def hide(self, text: str) -> str:
        """Hide recent tokens in a text."""
        for secret in list(self._recent):
            text = secret.hide(text)
        return text

    def __reduce__(self) -> tuple[Any, ...]:
        return TokenSource, (self._provider,)

    async def _fetch(self) -> Secret:
        token = _check(await self._call())
        if token.reveal() not in [secret.reveal() for secret in self._recent]:
            self._recent.append(token)
        return token

    async def _call(self) -> object:
        try:
            if self._is_async:
                result: Any = self._provider()
            else:
                result = await anyio.to_thread.run_sync(self._provider, abandon_on_cancel=True)
            return await result if inspect.isawaitable(result) else result
        except TakoError:
            raise
        except Exception as error:
            raise AuthenticationError(f"the token provider failed with {type(error).__name__}: {error}") from error


def _check(token: object) -> Secret:
    """Return a token as a secret. Raises AuthenticationError if a header can't have it."""
    if not isinstance(token, str):
        raise AuthenticationError(f"the token provider returned {kind_of(token)}, not the token as a str")
    secret = Secret(token)
    if secret.problem is not None:
        raise AuthenticationError(f"the token that the token provider returned {secret.problem}")
    return secret
