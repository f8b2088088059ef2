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

PACE = 10.0
"""Seconds from a fetch that brought nothing to the next one while the old value still holds."""
REST = 1.0
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
        self._flight = SingleFlight(self._next, name)
        self._unwanted: T | None = None
        self._early_from = -inf
        self._verdict: tuple[float, AuthenticationError | None] = -inf, None
        self.held: T | None = None
        """The value at hand, whatever its stage."""

    async def get(self) -> T:
        """Return a valid value; raises what ``fetch`` raises."""
        held = self.held
        if held is None:
            return await self.replace(None)
        stage = self._stage(held)
        if stage is Stage.ENDED:
            return await self.replace(held)
        if stage is Stage.ENDING and self._clock() >= self._early_from:
            self._unwanted = held
            self._flight.start()
        return held

    async def replace(self, old: T | None) -> T:
        """Return another value than ``old``, or ``old`` where there is none; raises what ``fetch`` raises.

        One fetch serves all who ask at once, and so does its failure.
        """
        held = self.held
        if held is not None and held is not old:
            return held
        until, refusal = self._verdict
        if self._clock() < until:
            if refusal is not None:
                raise copy(refusal) from refusal.__cause__
            if held is not None:
                return held
        self._unwanted = old
        return await self._flight.result()

    def _next(self) -> T:
        """Fetch, in the flight's thread."""
        old = self.held
        if old is not None and old is not self._unwanted:
            return old  # somebody was faster
        try:
            made = self._fetch(old)
        except TakoError as error:
            self._early_from = self._clock() + PACE
            if isinstance(error, AuthenticationError):
                self._verdict = self._clock() + REST, error
            raise
        if made is old:
            self._early_from = self._clock() + PACE
            self._verdict = self._clock() + REST, None
        else:
            self._verdict = -inf, None
        self.held = made
        return made


async def sent_again(send: Callable[[], Awaitable[T]], renewed: Callable[[AuthenticationError], Awaitable[bool]]) -> T:
    """Send a request; where it is refused and ``renewed(refusal)`` finds other credentials, once more with those."""
    try:
        return await send()
    except AuthenticationError as refusal:
        if not await renewed(refusal):
            raise
    return await send()
