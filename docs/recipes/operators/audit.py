"""A line for each request: who called which provider, what it used, how long it took, and what went wrong."""

import logging
import time

import tako

log = logging.getLogger("audit")


@tako.around
async def audit(provider, request, inner):
    began, outcome = time.monotonic(), "left early"
    try:
        async for chunk in inner(request):
            if chunk.kind == "end":
                outcome = f"{chunk.usage.total} tokens from {chunk.provider}"
            yield chunk
    except tako.TakoError as error:
        outcome = f"{type(error).__name__}: {error}"
        raise
    finally:
        user = request.context.get("user", "nobody")
        if provider.name != "fallback":  # its members have lines of their own
            log.info("%s asked %s: %s (%.1f s)", user, provider.label, outcome, time.monotonic() - began)
