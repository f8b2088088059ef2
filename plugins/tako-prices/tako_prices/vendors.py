"""Find the vendor whose prices apply to a provider, by its name or its address."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from msgspec import Struct

if TYPE_CHECKING:
    from tako.provider import Provider

VENDOR_IDS = {"azure-openai": "azure", "bedrock": "aws", "gemini": "google", "vertex": "google"}
"""Providers that are found by name, with the ids of their vendors in genai-prices."""
ADDRESSES = ("base_url", "url", "endpoint", "endpoint_url")
"""Attributes of the other providers that contain their address."""


class Vendor(Struct, frozen=True):
    """A vendor for genai-prices: its id there, or the address of its API."""

    id: str | None = None
    url: str | None = None


def find_vendor(provider: Provider) -> Vendor | None:
    """Return the vendor whose prices apply; None for a callable, or for your own server.

    A server with OpenAI's API at another address has the prices of the address's owner.
    """
    if provider.name in VENDOR_IDS:
        return Vendor(id=VENDOR_IDS[provider.name])
    for name in ADDRESSES:
        url = getattr(provider, name, None)
        if isinstance(url, str) and urlsplit(url).scheme == "https":
            return Vendor(url=url)
    return None
