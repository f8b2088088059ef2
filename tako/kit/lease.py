"""A value that expires, such as an access token, and is replaced before it does.

::

    lease = Lease(fetch, stage)   # fetch(old) may block: it runs in a worker thread, once for all who wait
    token = await lease.get()

Whoever has a valid value uses it. Near its end one thread fetches the next one while calls go on with the old; only
calls without a valid value wait, together, for one fetch. A fetch that fails does not fail calls that hold a value.
"""

from __future__ import annotations

from copy import copy
from enum import Enum, auto
from math import inf
from time import monotonic
from typing import TYPE_CHECKING, Generic, TypeVar

from tako.errors import AuthenticationError, TakoError
from tako.kit.single_flight import SingleFlight

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

RETRY_INTERVAL = 10.0
"""Seconds from a fetch that brought nothing to the next one while the old value still holds."""
REFUSAL_LIFETIME = 1.0
"""Seconds for which a refusal answers all who have no valid value: asked at once, the source would refuse again."""

T = TypeVar("T")


class Stage(Enum):
    """How far a value's life has gone."""

    GOOD = auto()
    ENDING = auto()
    """Still valid, and to be replaced."""
    ENDED = auto()


class Lease(Generic[T]):
    """One value at a time.

    ``fetch(old)`` returns the next value, or the old one itself where there is no other; it raises a TakoError, of
    which an AuthenticationError is a refusal that stands for a while (other failures are retried, at the pace of
    retries). ``clock`` gives seconds.
    """

    def __init__(
        self,
        fetch: Callable[[T | None], T],
        stage: Callable[[T], Stage],
        *,
        name: str = "tako-lease",
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._fetch = fetch
        self._stage = stage
        self._clock = clock
        self._flight = SingleFlight(self._fetch_next, name)
        self._replaced: T | None = None
        self._renew_from = -inf
        self._last_refusal: tuple[float, AuthenticationError | None] = -inf, None
        self.held: T | None = None
        """The value at hand, whatever its stage."""

    async def get(self) -> T:
        """Return a valid value; raises what ``fetch`` raises."""
        value = self.held
        if value is None:
            return await self.replace(None)
        stage = self._stage(value)
        if stage is Stage.ENDED:
            return await self.replace(value)
        if stage is Stage.ENDING and self._clock() >= self._renew_from:
            self._replaced = value
            self._flight.start()
        return value

    async def replace(self, old: T | None) -> T:
        """Return another value than ``old``, or ``old`` where there is none; raises what ``fetch`` raises.

        One fetch serves all who ask at once, and so does its failure.
        """
        value = self.held
        if value is not None and value is not old:
            return value
        valid_until, refusal = self._last_refusal
        if self._clock() < valid_until:
            if refusal is not None:
                raise copy(refusal) from refusal.__cause__
            if value is not None:
                return value
        self._replaced = old
        return await self._flight.result()

    def _fetch_next(self) -> T:
        """Fetch, in the flight's thread."""
        old = self.held
        if old is not None and old is not self._replaced:
            return old  # somebody was faster
        try:
            value = self._fetch(old)
        except TakoError as error:
            self._renew_from = self._clock() + RETRY_INTERVAL
            if isinstance(error, AuthenticationError):
                self._last_refusal = self._clock() + REFUSAL_LIFETIME, error
            raise
        if value is old:
            self._renew_from = self._clock() + RETRY_INTERVAL
            self._last_refusal = self._clock() + REFUSAL_LIFETIME, None
        else:
            self._last_refusal = -inf, None
        self.held = value
        return value


async def send_with_renewal(
    send: Callable[[], Awaitable[T]], renew: Callable[[AuthenticationError], Awaitable[bool]]
) -> T:
    """Send a request. If it's refused and ``renew(refusal)`` finds other credentials, send it once more."""
    try:
        return await send()
    except AuthenticationError as refusal:
        if not await renew(refusal):
            raise
    return await send()
