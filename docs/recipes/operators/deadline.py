"""No request takes longer than an operator allows, whatever the application asks for."""

from msgspec.structs import replace

import tako


@tako.around
async def deadline(provider, request, inner, *, longest: float = 60.0):
    requested = request.deadline or provider.deadline or longest
    async for chunk in inner(replace(request, deadline=min(requested, longest))):
        yield chunk
