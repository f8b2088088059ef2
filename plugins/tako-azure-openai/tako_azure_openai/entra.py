"""Tokens of Entra ID, from a callable of the user's (``azure.identity.get_bearer_token_provider`` makes one)."""

from __future__ import annotations

import inspect
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import anyio.to_thread
from anyio.lowlevel import RunVar

from tako.errors import AuthenticationError, TakoError
from tako.kit.keys import Secret
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
        self._flight: RunVar[_Flight | None] = RunVar("tako_azure_openai.flight", None)
        self._recent: deque[Secret] = deque(maxlen=REMEMBERED)

    async def headers(self) -> HttpHeaders:
        """Return the header of one request; raises AuthenticationError where the provider fails."""
        return HttpHeaders({"authorization": "Bearer " + (await self._token()).reveal()})

    def hide(self, text: str) -> str:
        """Return a text with the tokens of late taken out."""
        for secret in list(self._recent):
            text = secret.hide(text)
        return text

    def __reduce__(self) -> tuple[Any, ...]:
        return TokenSource, (self._provider,)

    async def _token(self) -> Secret:
        while (flight := self._flight.get()) is not None:
            await flight.over.wait()
            if flight.token is not None:
                return flight.token
            if flight.failure is not None:
                raise AuthenticationError(flight.failure.args[0]) from flight.failure.__cause__
        return await self._lead()

    async def _lead(self) -> Secret:
        """Ask on behalf of all who come while the answer is not there; if this task is cancelled, the next one asks."""
        flight = _Flight()
        mark = self._flight.set(flight)
        try:
            flight.token = _checked(await self._ask())
        except AuthenticationError as error:
            flight.failure = error
            raise
        finally:
            self._flight.reset(mark)
            flight.over.set()
        if flight.token.reveal() not in [secret.reveal() for secret in self._recent]:
            self._recent.append(flight.token)
        return flight.token

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


class _Flight:
    """One question to the token provider."""

    def __init__(self) -> None:
        self.over = anyio.Event()
        self.token: Secret | None = None
        self.failure: AuthenticationError | None = None


def _checked(given: object) -> Secret:
    """Return a token that can stand in a header."""
    if not isinstance(given, str):
        raise AuthenticationError(f"the token provider returned a {type(given).__name__}, not the token as a str")
    secret = Secret(given)
    if secret.problem is not None:
        raise AuthenticationError(f"the token that the token provider returned {secret.problem}")
    return secret
