"""Card numbers stay at home: placeholders go out, and the text of the reply gets the numbers back."""

import re

from msgspec.structs import replace

import tako
from tako.parts import TextPart, ToolResultPart


@tako.around
async def redact(request, inner, *, pattern: str = r"\b(?:\d{4}[ -]?){3}\d{4}\b"):
    cards, held = {}, ""

    def hide(value):
        if isinstance(value, str):
            return re.sub(pattern, lambda card: cards.setdefault(card[0], f"<card {len(cards) + 1}>"), value)
        name = {TextPart: "text", ToolResultPart: "result"}.get(type(value))
        if name:
            return replace(value, **{name: hide(getattr(value, name))})
        return [hide(one) for one in value] if isinstance(value, list) else value

    messages = [replace(message, content=hide(message.content)) for message in request.messages]
    async for chunk in inner(replace(request, messages=messages)):
        text = (chunk.text or "") if chunk.kind == "delta" else ""
        half = re.search(r"<[^>]{0,12}$", held + text) if text else None  # the rest of a placeholder is still to come
        ready, held = (held + text)[: half and half.start()], half[0] if half else ""
        for card, name in cards.items():
            ready = ready.replace(name, card)
        if ready and not text:
            yield tako.Delta(ready)
        yield replace(chunk, text=ready) if text else chunk
