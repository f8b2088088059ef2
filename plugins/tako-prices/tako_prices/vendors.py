"""Which vendor's prices hold for a provider: told by its name, or by the address that it asks."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from msgspec import Struct

if TYPE_CHECKING:
    from tako.provider import Provider

BY_NAME = {"azure-openai": "azure", "bedrock": "aws", "gemini": "google", "vertex": "google"}
"""Providers whose address says less than their name does, and what genai-prices calls their vendors."""
ADDRESSES = ("base_url", "url", "endpoint", "endpoint_url")
"""Attributes in which the others keep the address that they ask."""


class Vendor(Struct, frozen=True):
    """A vendor as genai-prices finds it: by its id there, or by the address of its API."""

    id: str | None = None
    url: str | None = None


def find_vendor(provider: Provider) -> Vendor | None:
    """Return whose prices hold, or None where it is nobody's: a callable, a server of one's own.

    A server that speaks OpenAI's dialect at another address has the prices of whoever owns the address.
    """
    if provider.name in BY_NAME:
        return Vendor(id=BY_NAME[provider.name])
    for name in ADDRESSES:
        url = getattr(provider, name, None)
        if isinstance(url, str) and urlsplit(url).scheme == "https":
            return Vendor(url=url)
    return None
