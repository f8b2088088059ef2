"""Replies are kept in Redis for an hour (``pip install redis``); the same request to the same provider is sent once."""

from hashlib import sha256

import msgspec
import redis.asyncio

import tako

decoder = msgspec.json.Decoder(list[tako.ChatChunk])


@tako.around
async def cache(provider, request, inner, *, url: str = "redis://localhost:6379", seconds: int = 3600):
    source = [provider.label, provider.id, getattr(provider, "base_url", None)]  # several vendors serve one model
    key = "tako:" + sha256(msgspec.json.encode([source, request])).hexdigest()
    async with redis.asyncio.from_url(url) as store:
        known = await store.get(key)
        chunks = decoder.decode(known) if known else []
        for chunk in chunks:
            yield chunk
        if not known:
            async for chunk in inner(request):
                chunks.append(chunk)
                if chunk.kind == "end":
                    await store.set(key, msgspec.json.encode(chunks), ex=seconds)
                yield chunk
