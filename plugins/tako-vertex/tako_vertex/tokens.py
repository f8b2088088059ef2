"""Google's access tokens, fetched and refreshed in a thread, and shared by all calls.

That thread imports google-auth.
"""

from __future__ import annotations

import math
from time import time
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from tako.errors import ConfigurationError
from tako.kit.keys import Secret
from tako.kit.lease import Lease, Stage
from tako.kit.wire import HttpHeaders
from tako_vertex.credentials import CredentialSource, expiry_time

if TYPE_CHECKING:
    from collections.abc import Callable

REFRESH_EARLY = 225.0
"""Seconds before a token's end at which it's replaced, as in google-auth. Half the lifetime of a shorter one."""


class Grant(Struct, frozen=True, eq=False):
    """The headers with one token, and when it's replaced and expires (Unix time)."""

    headers: HttpHeaders
    renew_at: float
    expires_at: float


class Tokens:
    """The tokens of one provider, from one source. Safe to use from several event loops and threads.

    ``clock`` returns Unix time.
    """

    def __init__(self, source: CredentialSource, clock: Callable[[], float] = time) -> None:
        self._source = source
        self._clock = clock
        self._secrets: list[Secret] = []
        self._lease = Lease(self._fetch, self._stage, name="tako-vertex-token", clock=clock)

    @property
    def project(self) -> str | None:
        """The project of the credentials, known after the first grant."""
        return self._source.project

    async def grant(self) -> Grant:
        """Return a valid grant. Raises the TakoError that says why there's none."""
        return await self._lease.get()

    async def renew(self, old: Grant) -> Grant:
        """Return a new grant instead of one that was refused. Raises like ``grant``."""
        return await self._lease.replace(old)

    def hide(self, text: str) -> str:
        """Remove the tokens from a text."""
        for secret in self._secrets:
            text = secret.hide(text)
        return text

    def _stage(self, grant: Grant) -> Stage:
        now = self._clock()
        if now < grant.renew_at:
            return Stage.GOOD
        return Stage.ENDING if now < grant.expires_at else Stage.ENDED

    def _fetch(self, old_grant: Grant | None) -> Grant:
        """Return the next grant. Runs in a thread, because it blocks."""
        headers = HttpHeaders()
        credentials = self._source.refresh(old_grant.headers if old_grant is not None else None)
        credentials.apply(headers)
        expires_at = expiry_time(credentials.expiry)
        if credentials.token:
            self._secrets = [*self._secrets[-1:], Secret(_token_text(credentials.token))]
        early = min(REFRESH_EARLY, max(expires_at - self._clock(), 0.0) / 2) if expires_at < math.inf else 0.0
        return Grant(headers, expires_at - early, expires_at)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self._source,)


def _token_text(token: Any) -> str:
    """Return a token as text. google-auth allows bytes."""
    text = token.decode() if isinstance(token, bytes) else token
    if not isinstance(text, str):
        raise ConfigurationError("the credentials' token is neither text nor bytes")
    return text
