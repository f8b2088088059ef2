"""Google's access tokens: found, refreshed and shared without blocking the event loop.

google-auth is imported by the thread that needs it first.
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
from tako_vertex.sources import Source, end_of

if TYPE_CHECKING:
    from collections.abc import Callable

EARLY = 225.0
"""Seconds before its end at which a token is replaced, as google-auth does it; half the rest of a shorter one."""


class Grant(Struct, frozen=True, eq=False):
    """One token as the headers that carry it, and when it is to be replaced and ends (Unix time)."""

    headers: HttpHeaders
    renew_at: float
    expires_at: float


class Tokens:
    """The tokens of one provider, from one source; safe to use from several event loops and threads.

    ``clock`` gives Unix time.
    """

    def __init__(self, source: Source, clock: Callable[[], float] = time) -> None:
        self._source = source
        self._clock = clock
        self._secrets: list[Secret] = []
        self._lease = Lease(self._fetch, self._stage, name="tako-vertex-token", clock=clock)

    @property
    def project(self) -> str | None:
        """The project that the credentials name, once there is a grant."""
        return self._source.project

    async def grant(self) -> Grant:
        """Return a valid grant; raises the TakoError that says why there is none."""
        return await self._lease.get()

    async def renew(self, old: Grant) -> Grant:
        """Return another grant than one that was refused; raises like ``grant``."""
        return await self._lease.replace(old)

    def hide(self, text: str) -> str:
        """Take the tokens out of a text."""
        for secret in self._secrets:
            text = secret.hide(text)
        return text

    def _stage(self, grant: Grant) -> Stage:
        now = self._clock()
        if now < grant.renew_at:
            return Stage.GOOD
        return Stage.ENDING if now < grant.expires_at else Stage.ENDED

    def _fetch(self, old: Grant | None) -> Grant:
        """Get the next grant, in a thread that may wait."""
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
