"""Images named by URL, fetched by tako: the vendor takes bytes alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tako.loose import as_object

if TYPE_CHECKING:
    from tako.translator import PartContext, Translator
    from tako.url_prefetch import UrlPrefetch


async def fetch_in(
    messages: list[dict[str, Any]], policy: UrlPrefetch, translator: Translator, context: PartContext
) -> None:
    """Put the images in whose places hold ``{"url", "path"}``, in place; they are fetched at the same time.

    Each goes through the translator as the ImagePart that it now is. Raises UrlPrefetchError.
    """
    places = [
        (message["images"], place)
        for message in messages
        for image in message.get("images", ())
        if (place := as_object(image)) is not None
    ]
    if not places:
        return
    from tako.kit.prefetch import fetch_images

    for (images, place), image in zip(places, await fetch_images([p["url"] for _, p in places], policy), strict=True):
        context.path = place["path"]
        block: dict[str, Any] = translator.encode(image, context) or {}
        at = next(k for k, held in enumerate(images) if held is place)
        images[at : at + 1] = block.get("images", [])
