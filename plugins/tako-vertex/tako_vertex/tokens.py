"""Google's access tokens: found, refreshed and shared without blocking the event loop.

google-auth is imported by the thread that needs it first. Whoever has a valid token uses it; near its end one thread
gets the next one while calls go on, and only calls without a valid token wait: together, for one refresh.
"""

from __future__ import annotations

import copy
import math
from time import time
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from tako.errors import AuthenticationError, ConfigurationError, TakoError
from tako.kit.flight import SingleFlight
from tako.kit.keys import Secret
from tako.kit.wire import HttpHeaders
from tako_vertex.sources import Source, end_of

if TYPE_CHECKING:
    from collections.abc import Callable

EARLY = 225.0
"""Seconds before its end at which a token is replaced, as google-auth does it; half the rest of a shorter one."""
PAUSE = 10.0
"""Seconds until the next try to replace a token that is still valid."""
REST = 1.0
"""Seconds for which Google's refusal answers calls without a valid token: asked at once, it would refuse again."""


class Grant(Struct, frozen=True, eq=False):
    """One token as the headers that carry it, and when it is to be replaced and ends (Unix time)."""

    headers: HttpHeaders
    renew_at: float
    expires_at: float


class Tokens:
    """The tokens of one provider, from one source; safe to use from several event loops and threads."""

    def __init__(self, source: Source, clock: Callable[[], float] = time) -> None:
        self._source = source
        self._clock = clock
        self._grant: Grant | None = None
        self._old: Grant | None = None
        self._pause_until = 0.0
        self._refusal: AuthenticationError | None = None
        self._refused_until = 0.0
        self._secrets: list[Secret] = []
        self._flight = SingleFlight(self._fetch, "tako-vertex-token")

    @property
    def project(self) -> str | None:
        """The project that the credentials name, once there is a grant."""
        return self._source.project

    async def grant(self) -> Grant:
        """Return a valid grant; raises the TakoError that says why there is none."""
        grant = self._grant
        if grant is not None:
            now = self._clock()
            if now < grant.renew_at:
                return grant
            if now < grant.expires_at:
                if now >= self._pause_until:
                    self._old = grant
                    self._flight.begin()
                return grant
        return await self.renew(grant)

    async def renew(self, old: Grant | None) -> Grant:
        """Return another grant than ``old``. One refresh serves all who ask at once, and so does its failure."""
        if self._grant is not None and self._grant is not old:
            return self._grant
        if self._refusal is not None and self._clock() < self._refused_until:
            raise copy.copy(self._refusal) from self._refusal.__cause__
        self._old = old
        try:
            return await self._flight.result()
        except TakoError as error:
            raise copy.copy(error) from error.__cause__  # each caller has a traceback of its own

    def hide(self, text: str) -> str:
        """Take the tokens out of a text."""
        for secret in self._secrets:
            text = secret.hide(text)
        return text

    def _fetch(self) -> Grant:
        """Get the next grant, in a thread that may wait."""
        old = self._grant
        if old is not None and old is not self._old:  # somebody was faster
            return old
        try:
            self._grant = made = self._granted(old)
        except TakoError as error:
            now = self._clock()
            self._pause_until = now + PAUSE
            if isinstance(error, AuthenticationError):  # other failures are retried, at the pace of retries
                self._refused_until, self._refusal = now + REST, error
            raise
        return made

    def _granted(self, old: Grant | None) -> Grant:
        headers = HttpHeaders()
        credentials = self._source.refreshed(old.headers if old is not None else None)
        credentials.apply(headers)
        end = end_of(credentials.expiry)
        if credentials.token:
            self._secrets = [*self._secrets[-1:], Secret(_text(credentials.token))]
        return Grant(headers, end - min(EARLY, max(end - self._clock(), 0.0) / 2) if end < math.inf else end, end)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self._source,)


def _text(token: Any) -> str:
    """google-auth allows tokens in bytes."""
    text = token.decode() if isinstance(token, bytes) else token
    if not isinstance(text, str):
        raise ConfigurationError("the credentials' token is neither text nor bytes")
    return text
