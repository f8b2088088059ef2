"""After several failures in a row a provider is left alone for a while; calls fail at once meanwhile."""

import time
from collections import Counter

import tako
from tako.errors import OverloadedError, ServerError, TransportError

failed, until = Counter(), {}


@tako.around
async def breaker(provider, request, inner, *, failures: int = 5, pause: float = 30.0):
    who = provider.label
    if failed[who] >= failures and time.monotonic() < until[who]:
        raise OverloadedError(f"{who} failed {failed[who]} times in a row; it's left alone for {pause:g} s")
    try:
        async for chunk in inner(request):
            yield chunk
        failed[who] = 0
    except (TransportError, ServerError):
        failed[who] += 1
        until[who] = time.monotonic() + pause
        raise
