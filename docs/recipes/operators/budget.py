"""Each tenant has a budget of tokens; the application says who calls: ``context={"tenant": "acme"}``."""

from collections import Counter

import tako

used = Counter()


class BudgetError(tako.errors.PermissionDeniedError):
    pass


@tako.around
async def budget(provider, request, inner, *, tokens: int = 100_000):
    tenant = request.context.get("tenant", "nobody")
    if used[tenant] >= tokens:
        raise BudgetError(f"{tenant} has used up its budget of {tokens} tokens")
    async for chunk in inner(request):
        if chunk.kind == "end" and provider.name != "fallback":  # its members count
            used[tenant] += chunk.usage.total
        yield chunk
