"""Google's access tokens: found, refreshed and shared without blocking the event loop.

google-auth is imported by the thread that needs it first. Whoever has a valid token uses it; near its end one thread
gets the next one while calls go on, and only calls without a valid token wait: together, for one refresh.
"""

from __future__ import annotations

import copy
import math
import os
import threading
from datetime import UTC
from time import time
from typing import TYPE_CHECKING, Any

import anyio.to_thread
from anyio.lowlevel import RunVar
from msgspec import Struct
from msgspec.structs import replace

from tako.errors import ConfigurationError, TakoError
from tako.kit.keys import Secret
from tako.kit.wire import HttpHeaders

if TYPE_CHECKING:
    from datetime import datetime

    from tako_vertex.sources import Source

EARLY = 225.0
"""Seconds before its end at which a token is replaced, as google-auth does it; half the rest of a shorter one."""
PAUSE = 10.0
"""Seconds until the next try to replace a token that is still valid."""


class Grant(Struct, frozen=True, eq=False):
    """One token as the headers that carry it, and when it is to be replaced and ends (Unix time)."""

    headers: HttpHeaders
    renew_at: float
    expires_at: float


class Tokens:
    """The tokens of one provider, from one source; safe to use from several event loops and threads."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._grant: Grant | None = None
        self._failure: TakoError | None = None
        self._attempts = 0
        self._secrets: list[Secret] = []
        self._turn: RunVar[anyio.Lock] = RunVar("tako_vertex_turn")
        self._lock = threading.Lock()
        self._renewing = False
        self._process = os.getpid()

    @property
    def project(self) -> str | None:
        """The project that the credentials name, once there is a grant."""
        return self._source.project

    async def grant(self) -> Grant:
        """Return a valid grant; raises the TakoError that says why there is none."""
        grant = self._grant
        if grant is not None:
            now = time()
            if now < grant.renew_at:
                return grant
            if now < grant.expires_at:
                self._renew_behind(grant)
                return grant
        return await self.renew(grant)

    async def renew(self, old: Grant | None) -> Grant:
        """Return another grant than ``old``. One refresh serves all who ask at once, and so does its failure."""
        seen = self._attempts
        async with self._turn_here():
            if self._grant is not old and self._grant is not None:
                return self._grant
            return await anyio.to_thread.run_sync(self._renew, old, seen, abandon_on_cancel=True)

    def hide(self, text: str) -> str:
        """Take the tokens out of a text."""
        for secret in self._secrets:
            text = secret.hide(text)
        return text

    def _renew(self, old: Grant | None, seen: int) -> Grant:
        """Get a grant, in a thread that may wait."""
        if self._process != os.getpid():
            self._fresh_process()
        with self._lock:
            if self._grant is not old and self._grant is not None:
                return self._grant
            if self._attempts != seen and self._failure is not None:
                raise copy.copy(self._failure) from self._failure.__cause__
            self._failure = None
            try:
                self._grant = self._granted(old)
            except TakoError as error:
                self._failure = error
                raise
            finally:
                self._attempts += 1
            return self._grant

    def _granted(self, old: Grant | None) -> Grant:
        headers = HttpHeaders()
        credentials = self._source.refreshed(old.headers if old is not None else None)
        credentials.apply(headers)
        end = _end_of(credentials.expiry)
        if credentials.token:
            self._secrets = [*self._secrets[-1:], Secret(_text(credentials.token))]
        return Grant(headers, end - min(EARLY, max(end - time(), 0.0) / 2) if end < math.inf else end, end)

    def _renew_behind(self, grant: Grant) -> None:
        """Replace a grant that is still valid, in a thread that nobody waits for."""
        if self._renewing and self._process == os.getpid():
            return
        self._renewing = True
        threading.Thread(target=self._try_renew, args=(grant, self._attempts), daemon=True).start()

    def _try_renew(self, grant: Grant, seen: int) -> None:
        try:
            self._renew(grant, seen)
        except TakoError:
            if self._grant is grant:
                self._grant = replace(grant, renew_at=min(time() + PAUSE, grant.expires_at))
        finally:
            self._renewing = False

    def _turn_here(self) -> anyio.Lock:
        """Return the lock of the running event loop, so that one thread at most waits for each."""
        turn = self._turn.get(None)
        if turn is None:
            turn = anyio.Lock()
            self._turn.set(turn)
        return turn

    def _fresh_process(self) -> None:
        """A fork copies locks as they are, held ones too."""
        self._lock = threading.Lock()
        self._renewing = False
        self._process = os.getpid()

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self._source,)


def _end_of(expiry: datetime | None) -> float:
    """Read google-auth's times, which are UTC without saying so."""
    if expiry is None:
        return math.inf
    return (expiry if expiry.tzinfo else expiry.replace(tzinfo=UTC)).timestamp()


def _text(token: Any) -> str:
    """google-auth allows tokens in bytes."""
    text = token.decode() if isinstance(token, bytes) else token
    if not isinstance(text, str):
        raise ConfigurationError("the credentials' token is neither text nor bytes")
    return text
