"""The promises of every provider, for this one."""

from __future__ import annotations

from typing import Any

from tako_ollama import Ollama

from tako.testing import ProviderSuite


class TestOllama(ProviderSuite):
    dialect = "ollama"

    def provider(self, base_url: str, **options: Any) -> Ollama:
        return Ollama("llava", api_key=self.secret, base_url=base_url, **options)
