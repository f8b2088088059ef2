"""Whose servers speak the API: OpenAI's and Azure's own keep to rules that others don't have."""

from __future__ import annotations

from functools import lru_cache
from urllib.parse import urlsplit

HOSTS = ("api.openai.com", "openai.azure.com", "cognitiveservices.azure.com", "services.ai.azure.com")
"""Hosts, with their subdomains, that are OpenAI's own or Azure's."""


@lru_cache(256)
def is_openai_or_azure(server: str) -> bool:
    """Whether a server is OpenAI's own, or Azure's."""
    host = (urlsplit(server).hostname or "").rstrip(".")
    return any(host == suffix or host.endswith(f".{suffix}") for suffix in HOSTS)
