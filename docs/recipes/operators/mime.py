"""Wrong MIME types are put right before a provider sees them."""

from msgspec.structs import replace

import tako


@tako.around
async def mime(request, inner, *, types: dict[str, str] = {"image/jpg": "image/jpeg", "text/x-markdown": "text/plain"}):
    def right(part):
        known = types.get(getattr(part, "mime", None))
        return replace(part, mime=known) if known else part

    messages = [replace(message, content=[right(part) for part in message.parts]) for message in request.messages]
    async for chunk in inner(replace(request, messages=messages)):
        yield chunk
