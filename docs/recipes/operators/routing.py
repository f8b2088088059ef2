"""Free users get a small model; the application says who calls: ``context={"tier": "free"}``."""

from msgspec.structs import replace

import tako


@tako.around
async def routing(request, inner, *, models: dict[str, str] = {"free": "gpt-6-luna"}):
    model = models.get(request.context.get("tier"), request.model)
    async for chunk in inner(replace(request, model=model)):
        yield chunk
