"""Costs at the prices of your own contract, by model, in US dollars for a million tokens."""

from msgspec.structs import replace

import tako


@tako.around
async def prices(provider, request, inner, *, models: dict[str, dict[str, float]] = {}):
    async for chunk in inner(request):
        own = models.get(request.model or provider.model)
        if chunk.kind == "end" and own:
            chunk = replace(chunk, cost=replace(provider.capabilities, **own).cost(chunk.usage))
        yield chunk
