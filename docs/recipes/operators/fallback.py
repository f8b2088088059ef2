"""If the first provider is down, another one answers, as long as no chunk has reached the caller."""

from functools import cache

from msgspec.structs import replace

import tako
from tako.errors import RateLimitError, ServerError, TransportError

other = cache(tako.get_provider)


@tako.around
async def fallback(provider, request, inner, *, to: str = "anthropic:claude-sonnet-5-5"):
    begun = False
    try:
        async for chunk in inner(request):
            begun = True
            yield chunk
    except (TransportError, ServerError, RateLimitError):
        if begun or provider is other(to):
            raise
        async with other(to).stream(replace(request, model=None)) as chunks:
            async for chunk in chunks:
                yield chunk
