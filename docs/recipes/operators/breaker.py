"""After several failures in a row a provider is left alone for a while; calls fail at once meanwhile."""

import time
from collections import Counter

import tako
from tako.errors import OverloadedError, ServerError, TransportError

failed, until = Counter(), {}


@tako.around
async def breaker(provider, request, inner, *, failures: int = 5, pause: float = 30.0):
    label = provider.label
    if failed[label] >= failures and time.monotonic() < until[label]:
        raise OverloadedError(f"{label} failed {failed[label]} times in a row; it's left alone for {pause:g} s")
    try:
        async for chunk in inner(request):
            yield chunk
        failed[label] = 0
    except (TransportError, ServerError):
        failed[label] += 1
        until[label] = time.monotonic() + pause
        raise
